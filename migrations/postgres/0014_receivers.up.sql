-- Which receivers live. Each says so every few seconds and counts the others: of a tenant's limits it enforces its share.
CREATE TABLE receivers (
    receiver_id uuid PRIMARY KEY,
    alive_until timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON receivers TO duoscope_platform;

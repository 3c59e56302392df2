-- Which receiver has which request in hand, so that the same bytes sent to two receivers over the same stores are stored
-- once. A key is a hash of tenant and bytes: nobody's data. What is lost with an unlogged table is that for a minute.
CREATE UNLOGGED TABLE ingest_claims (
    claim_key uuid PRIMARY KEY,
    receiver_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    -- What the sender was told, where the request was acknowledged and waits on that receiver's disk.
    outcome jsonb
);
CREATE INDEX ingest_claims_expiry ON ingest_claims (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON ingest_claims TO duoscope_platform;

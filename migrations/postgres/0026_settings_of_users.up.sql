-- What people have chosen for themselves in the UI, so that it is theirs in every browser. Small: it is read at every login.
ALTER TABLE users ADD COLUMN settings jsonb NOT NULL DEFAULT '{}'
    CHECK (jsonb_typeof(settings) = 'object' AND length(settings::text) <= 4096);

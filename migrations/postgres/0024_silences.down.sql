-- Whoever waits for a silence is told now.
ALTER TABLE notifications NO FORCE ROW LEVEL SECURITY;
ALTER TABLE notifications DROP CONSTRAINT notifications_muted_check;
UPDATE notifications SET state = 'queued', next_attempt_at = now() WHERE state = 'muted';
ALTER TABLE notifications
    DROP CONSTRAINT notifications_state_check,
    DROP CONSTRAINT notifications_settled_check,
    DROP COLUMN silence_id,
    ADD CONSTRAINT notifications_state_check CHECK (state IN ('queued', 'failed', 'sent', 'given_up', 'needless')),
    ADD CONSTRAINT notifications_check CHECK ((state IN ('queued', 'failed')) = (settled_at IS NULL)),
    FORCE ROW LEVEL SECURITY;
DROP TABLE silences;

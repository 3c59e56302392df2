-- How strongly, and how lately, somebody showed who they are; addresses that change; accounts that sign in elsewhere.

ALTER TABLE mfa_secrets
    -- By how many time steps the authenticator's clock is ahead of ours: its codes of that step count, and no others.
    ADD COLUMN clock_offset_steps smallint NOT NULL DEFAULT 0,
    -- The last code that was right at another time than that: the next one that is off alike sets the offset.
    ADD COLUMN stray_step bigint,
    ADD COLUMN stray_offset_steps smallint,
    ADD CONSTRAINT mfa_secrets_stray CHECK ((stray_step IS NULL) = (stray_offset_steps IS NULL));

-- When the user last showed who they are. NULL: not known, because a provider did not say, or the session is older than
-- this column.
ALTER TABLE user_sessions ADD COLUMN authenticated_at timestamptz;

-- What is asked of a provider, and what, if it answers one of them, counts as more than one factor.
ALTER TABLE identity_providers ADD COLUMN acr_values text[] NOT NULL DEFAULT '{}';

-- The session that asked for the address to become its user's. NULL: it is the user's already.
ALTER TABLE email_verifications ADD COLUMN asked_in_session_id uuid;

-- Until then the password works although the organization wants its provider to be used: an operator's way in.
ALTER TABLE users ADD COLUMN password_until timestamptz;

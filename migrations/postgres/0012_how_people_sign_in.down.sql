ALTER TABLE users DROP COLUMN password_until;
ALTER TABLE email_verifications DROP COLUMN asked_in_session_id;
ALTER TABLE identity_providers DROP COLUMN acr_values;
ALTER TABLE user_sessions DROP COLUMN authenticated_at;
ALTER TABLE mfa_secrets DROP COLUMN stray_offset_steps, DROP COLUMN stray_step, DROP COLUMN clock_offset_steps;

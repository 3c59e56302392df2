DROP TABLE mail_outbox, login_attempts, password_reset_tokens, email_verifications, user_sessions, trusted_devices;
DROP FUNCTION app_user_id();

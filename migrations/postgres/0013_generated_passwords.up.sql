-- Until when a password works that duoscope made for somebody. NULL: somebody chose it, and it has no end.
ALTER TABLE users ADD COLUMN password_expires_at timestamptz;

-- Until when the roles of an invitation are given. NULL: without an end.
ALTER TABLE invitations ADD COLUMN roles_expire_at timestamptz;

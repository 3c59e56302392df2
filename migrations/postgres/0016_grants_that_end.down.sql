ALTER TABLE invitations DROP COLUMN roles_expire_at;

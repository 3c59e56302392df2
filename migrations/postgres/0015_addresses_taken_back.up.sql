-- Whoever shuts a user of their organization out takes back, with the sessions, the address that was asked for in one.
-- Which user that is, app.user_id says: the policy `scope` holds for this role too.
GRANT SELECT (organization_id, user_id, is_used, asked_in_session_id), UPDATE (is_used)
    ON email_verifications TO duoscope_organization;

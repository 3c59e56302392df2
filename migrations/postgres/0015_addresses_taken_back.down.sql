REVOKE SELECT (organization_id, user_id, is_used, asked_in_session_id), UPDATE (is_used)
    ON email_verifications FROM duoscope_organization;

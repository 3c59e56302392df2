REVOKE SELECT (organization_id, status) ON api_keys FROM duoscope_organization;
DROP POLICY organization_count ON api_keys;
DROP TABLE organization_limits;

-- What an organization may have and send, all of its tenants together. The platform sets it; a table of its own, because
-- an organization may change its row of `organizations`.
CREATE TABLE organization_limits (
    organization_id uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE organization_limits ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON organization_limits FOR SELECT USING (organization_id = app_organization_id());
CREATE POLICY platform ON organization_limits TO duoscope_platform USING (true) WITH CHECK (true);
GRANT SELECT ON organization_limits TO duoscope_service, duoscope_organization;
GRANT SELECT, INSERT, UPDATE ON organization_limits TO duoscope_platform;
CREATE TRIGGER notify_of_change AFTER INSERT OR UPDATE ON organization_limits
    FOR EACH ROW EXECUTE FUNCTION notify_of_place('organization');

-- Keys are counted over all tenants of the organization.
CREATE POLICY organization_count ON api_keys FOR SELECT TO duoscope_organization
    USING (organization_id = app_organization_id());
GRANT SELECT (organization_id, status) ON api_keys TO duoscope_organization;

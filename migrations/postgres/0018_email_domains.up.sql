-- Whose e-mail domains are whose. An identity provider vouches for addresses of domains that its organization has proven,
-- by a DNS record or by an operator's word; a name alone proves nothing, and anybody may write one down.
CREATE TABLE email_domains (
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    email_domain_id uuid NOT NULL,
    domain text NOT NULL CHECK (domain ~ '^[a-z0-9.-]{4,253}$'),
    -- What the DNS record says: random, so that the record names this claim and no other organization's.
    token text NOT NULL CHECK (token ~ '^[A-Za-z0-9_-]{20,64}$'),
    verified_at timestamptz,
    verified_by text CHECK (verified_by IN ('dns', 'operator', 'migration')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, email_domain_id),
    UNIQUE (organization_id, domain),
    CHECK ((verified_at IS NULL) = (verified_by IS NULL))
);
-- Claims may be many, so that nobody keeps another from claiming; a proof is one organization's.
CREATE UNIQUE INDEX email_domains_verified ON email_domains (domain) WHERE verified_at IS NOT NULL;

-- Domains that providers name already: proven where just one organization names them, as nobody disputes them. The owner
-- of the schema is no superuser everywhere, so forced row level security would hide the rows.
ALTER TABLE organizations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE identity_providers NO FORCE ROW LEVEL SECURITY;
INSERT INTO email_domains (organization_id, email_domain_id, domain, token, verified_at, verified_by)
SELECT
    organization_id, gen_random_uuid(), domain, replace(gen_random_uuid()::text, '-', ''),
    CASE WHEN organizations_naming = 1 THEN now() END, CASE WHEN organizations_naming = 1 THEN 'migration' END
FROM (
    SELECT organization_id, domain, count(*) OVER (PARTITION BY domain) AS organizations_naming
    FROM (
        SELECT DISTINCT p.organization_id, lower(named.domain) AS domain
        FROM identity_providers p
        JOIN organizations o USING (organization_id)
        CROSS JOIN LATERAL unnest(p.allowed_email_domains) AS named (domain)
        WHERE p.deleted_at IS NULL AND o.deleted_at IS NULL AND lower(named.domain) ~ '^[a-z0-9.-]{4,253}$'
    ) AS naming
) AS counted;
ALTER TABLE identity_providers FORCE ROW LEVEL SECURITY;
ALTER TABLE organizations FORCE ROW LEVEL SECURITY;

CREATE TRIGGER set_updated_at BEFORE UPDATE ON email_domains FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE email_domains ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- The organization's as a whole, as providers are: a tenant's transaction sees none.
CREATE POLICY scope_organization ON email_domains TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY platform ON email_domains TO duoscope_platform USING (true) WITH CHECK (true);
GRANT SELECT ON email_domains TO duoscope_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON email_domains TO duoscope_organization;
GRANT SELECT, INSERT, UPDATE ON email_domains TO duoscope_platform;

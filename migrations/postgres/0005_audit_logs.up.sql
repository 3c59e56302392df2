-- The audit log: one chain of entries an organization, and one of the platform's own, which nobody edits.
--
-- An entry is the text `content`, canonical JSON that metadata/audit_logs.py writes. Everything else in the row follows
-- from it: the trigger copies what is searched for into columns, gives the entry the next number of its chain and hashes
-- organization_id:sequence:previous_hash:content with SHA-256. So an edit of the text or of a column, a removal and an
-- insertion all show. The services may add entries and read them; the trigger below refuses everything else, also to
-- the owner until that owner drops the trigger: `duoscope admin verify-audit` finds what was done then.
--
-- No foreign keys: an entry outlives what it speaks of. ffffffff-… (RFC 9562, section 5.10) stands for the platform.

CREATE TABLE audit_chains (
    organization_id uuid PRIMARY KEY,
    -- The last entry; its row is locked from one entry to the end of that entry's transaction, which orders them.
    sequence bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    hash text NOT NULL DEFAULT repeat('0', 64) CHECK (hash ~ '^[0-9a-f]{64}$'),
    -- Up to where ClickHouse has the entries, and up to where an INSERT was begun: after a kill that one is repeated
    -- exactly, so that its deduplication token speaks of the same rows.
    shipped_sequence bigint NOT NULL DEFAULT 0,
    shipping_sequence bigint NOT NULL DEFAULT 0,
    CHECK (shipped_sequence <= shipping_sequence AND shipping_sequence <= sequence)
);

CREATE TABLE audit_logs (
    organization_id uuid NOT NULL,
    sequence bigint NOT NULL,
    audit_log_id uuid NOT NULL,
    -- Where it happened; NULL for what concerns the whole organization.
    workspace_id uuid,
    tenant_id uuid,
    recorded_at timestamptz NOT NULL,
    actor_kind text NOT NULL CHECK (actor_kind IN ('user', 'api-key', 'operator', 'system')),
    user_id uuid,
    email text NOT NULL,
    ip_address text,
    user_agent text,
    request_id uuid NOT NULL,
    action text NOT NULL CHECK (action ~ '^[a-z0-9-]+([._][a-z0-9-]+)+$'),
    resource_type text NOT NULL CHECK (resource_type <> ''),
    resource_id text NOT NULL,
    result text NOT NULL CHECK (result IN ('success', 'failure', 'error')),
    content text NOT NULL CHECK (length(content) <= 131072),
    previous_hash text NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (organization_id, sequence),
    UNIQUE (organization_id, audit_log_id)
);
-- Searches go by audit_log_id, which is as old as the entry: the sequence would tell a tenant how much its sisters do.
CREATE INDEX audit_logs_tenant ON audit_logs (tenant_id, audit_log_id);
CREATE INDEX audit_logs_recorded_at ON audit_logs (organization_id, recorded_at);
CREATE INDEX audit_logs_user ON audit_logs (organization_id, user_id, audit_log_id);
CREATE INDEX audit_logs_resource ON audit_logs (organization_id, resource_type, resource_id, audit_log_id);

-- As the owner: the services cannot touch the heads of the chains themselves.
CREATE FUNCTION append_audit_log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    entry json := NEW.content::json;
    head audit_chains;
BEGIN
    NEW.organization_id := (entry ->> 'organization_id')::uuid;
    INSERT INTO audit_chains (organization_id) VALUES (NEW.organization_id) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT head FROM audit_chains WHERE organization_id = NEW.organization_id FOR UPDATE;
    NEW.sequence := head.sequence + 1;
    NEW.previous_hash := head.hash;
    NEW.hash := encode(sha256(convert_to(
        concat_ws(':', NEW.organization_id, NEW.sequence, NEW.previous_hash, NEW.content), 'UTF8')), 'hex');
    NEW.audit_log_id := (entry ->> 'audit_log_id')::uuid;
    NEW.workspace_id := (entry ->> 'workspace_id')::uuid;
    NEW.tenant_id := (entry ->> 'tenant_id')::uuid;
    NEW.recorded_at := (entry ->> 'recorded_at')::timestamptz;
    NEW.actor_kind := entry ->> 'actor_kind';
    NEW.user_id := (entry ->> 'user_id')::uuid;
    NEW.email := entry ->> 'email';
    NEW.ip_address := entry ->> 'ip_address';
    NEW.user_agent := entry ->> 'user_agent';
    NEW.request_id := (entry ->> 'request_id')::uuid;
    NEW.action := entry ->> 'action';
    NEW.resource_type := entry ->> 'resource_type';
    NEW.resource_id := entry ->> 'resource_id';
    NEW.result := entry ->> 'result';
    UPDATE audit_chains SET sequence = NEW.sequence, hash = NEW.hash WHERE organization_id = NEW.organization_id;
    RETURN NEW;
END $$;
CREATE TRIGGER append_audit_log BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION append_audit_log();

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER refuse_truncation BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER refuse_removal BEFORE DELETE ON audit_chains
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();

ALTER TABLE audit_chains ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON audit_chains FOR SELECT USING (organization_id = app_organization_id());
-- A tenant reads what happened in it, and neither what concerns the organization nor a sister tenant.
CREATE POLICY scope_read ON audit_logs FOR SELECT
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- Written for the organization at large: whoever makes a tenant writes the entry that belongs to it.
CREATE POLICY scope_insert ON audit_logs FOR INSERT WITH CHECK (organization_id = app_organization_id());

-- The trigger's function acts as the owner, whom row level security binds as well.
CREATE POLICY owner ON audit_chains TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY platform ON audit_chains TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON audit_logs TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT ON audit_chains, audit_logs TO duoscope_service, duoscope_platform;
GRANT INSERT (content) ON audit_logs TO duoscope_service, duoscope_platform;
GRANT UPDATE (shipped_sequence, shipping_sequence) ON audit_chains TO duoscope_platform;

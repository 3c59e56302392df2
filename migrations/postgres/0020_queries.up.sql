-- Who may see what a tenant's users and keys ask of its telemetry, and cancel it.
INSERT INTO permissions (resource, action, description)
SELECT 'query', action, initcap(action) || ' queries.'
FROM unnest(ARRAY['read', 'write', 'delete', 'admin']) AS action;
INSERT INTO built_in_role_permissions (role_type, permission_id)
SELECT 'admin', permission_id FROM permissions WHERE resource = 'query'
UNION ALL
SELECT 'developer', permission_id FROM permissions WHERE resource = 'query' AND action IN ('read', 'delete');
ALTER TABLE roles NO FORCE ROW LEVEL SECURITY;
ALTER TABLE role_permissions NO FORCE ROW LEVEL SECURITY;
INSERT INTO role_permissions (organization_id, role_owner_id, role_id, permission_id)
SELECT r.organization_id, r.owner_id, r.role_id, b.permission_id
FROM roles r JOIN built_in_role_permissions b USING (role_type) JOIN permissions p USING (permission_id)
WHERE p.resource = 'query';
ALTER TABLE role_permissions FORCE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;

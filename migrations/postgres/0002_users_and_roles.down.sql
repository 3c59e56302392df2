DROP TRIGGER make_built_in_roles ON organizations;
DROP FUNCTION make_built_in_roles();
DROP POLICY scope_read ON users;
DROP TABLE built_in_role_permissions, role_permissions, user_roles, roles, permissions, users;

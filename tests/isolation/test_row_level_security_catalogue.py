"""What the catalogue of PostgreSQL says about who may do what to which table, whatever our code does.

Every table of somebody's data has forced row level security, and for each command that a role may run on it a policy
that says on which rows. What roles may do at all is written down in grants.txt: a migration that grants more must be
seen to do so (DUOSCOPE_TESTS_REGENERATE=1 writes it anew).
"""

import os
from pathlib import Path

import asyncpg
import pytest

ROLES = ("duoscope_service", "duoscope_organization", "duoscope_platform", "duoscope_purge")
GRANTS = Path(__file__).with_name("grants.txt")
WITHOUT_ROWS_OF_ANYBODY = {
    "schema_migrations", "regions", "permissions", "built_in_role_permissions", "dashboard_templates",
    "encryption_keys", "signing_keys",
    "ingest_claims", "receivers",
}  # fmt: skip
"""May only shrink, but for what the platform alone may touch and names no tenant, such as hashes of requests."""
NO_ROW_AT_ALL = {
    ("duoscope_service", name, "SELECT")
    for name in (
        "identity_providers",
        "identity_provider_roles",
        "user_identities",
        "oidc_used_states",
        "email_domains",
    )
}
"""May be asked for rows and is shown none: no policy lets it."""
COMMANDS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_GRANTS = """
SELECT g.grantee::text AS role, g.table_name::text AS name, g.privilege_type::text AS privilege, NULL AS columns
FROM information_schema.role_table_grants g WHERE table_schema = 'public' AND grantee <> grantor
UNION ALL
SELECT grantee::text, c.table_name::text, privilege_type::text, string_agg(column_name::text, ' ' ORDER BY column_name)
FROM information_schema.column_privileges c WHERE table_schema = 'public' AND grantee <> grantor
AND NOT EXISTS (
    SELECT FROM information_schema.role_table_grants t
    WHERE (t.grantee, t.table_name, t.privilege_type) = (c.grantee, c.table_name, c.privilege_type)
)
GROUP BY 1, 2, 3
"""


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def tables(owner):
    rows = await owner.fetch(
        "SELECT relname::text, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    assert {row["relname"] for row in rows} > WITHOUT_ROWS_OF_ANYBODY
    return {row["relname"]: row for row in rows}


async def test_every_table_of_somebodys_has_forced_row_level_security(tables):
    for name in set(tables) - WITHOUT_ROWS_OF_ANYBODY:
        assert tables[name]["relrowsecurity"], name
        assert tables[name]["relforcerowsecurity"], name


async def test_nothing_but_tables_holds_rows(owner):
    """A view runs as its owner, and a materialized one has no row level security at all."""
    others = await owner.fetch(
        "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind NOT IN ('r', 'p', 'i', 'I', 'S', 'c')"
    )
    assert not [tuple(row) for row in others]


async def test_a_role_has_a_policy_for_every_command_that_it_may_run(owner, tables):
    policies = await owner.fetch("SELECT tablename, roles, cmd, permissive, qual, with_check FROM pg_policies")
    for grant in await owner.fetch(_GRANTS):
        if grant["name"] in WITHOUT_ROWS_OF_ANYBODY:
            continue
        own = [
            policy
            for policy in policies
            if policy["tablename"] == grant["name"]
            and {grant["role"], "public"} & set(policy["roles"])
            and policy["cmd"] in {"ALL", grant["privilege"]}
        ]
        assert own or (grant["role"], grant["name"], grant["privilege"]) in NO_ROW_AT_ALL, tuple(grant)
        for policy in own:
            # USING says which rows are there, WITH CHECK which may be made; without it ALL checks with USING.
            assert policy["qual"] or grant["privilege"] == "INSERT", tuple(grant)
            if grant["privilege"] in {"INSERT", "UPDATE"}:
                assert policy["with_check"] or (policy["cmd"] == "ALL" and policy["qual"]), tuple(grant)


async def test_a_policy_without_a_scope_is_for_a_role_that_crosses_tenants(owner):
    for policy in await owner.fetch("SELECT * FROM pg_policies"):
        conditions = [text for text in (policy["qual"], policy["with_check"]) if text is not None]
        if all("app_organization_id()" in text or "app_tenant_id()" in text for text in conditions):
            continue
        assert set(policy["roles"]) <= {"duoscope_platform", "duoscope_purge", await owner.fetchval("SELECT user")}, (
            policy["tablename"], policy["policyname"], conditions,
        )  # fmt: skip
        if policy["roles"] == ["duoscope_purge"] and policy["cmd"] in {"ALL", "DELETE"}:
            assert "deleted_at" in policy["qual"] or "expires_at" in policy["qual"], policy["tablename"]


async def test_nobody_within_an_organization_makes_a_platform_admin(owner):
    policies = await owner.fetch(
        "SELECT * FROM pg_policies WHERE tablename = 'users' AND cmd IN ('ALL', 'INSERT', 'UPDATE')"
        "AND NOT 'duoscope_platform' = ANY (roles) AND NOT 'duoscope_purge' = ANY (roles)"
    )
    assert policies
    for policy in policies:
        assert "NOT is_platform_admin" in (policy["with_check"] or policy["qual"]), policy["policyname"]


async def test_roles_may_do_what_is_written_down_and_nothing_else(owner):
    lines = sorted(
        f"{grant['role']} {grant['name']} {grant['privilege']} {grant['columns'] or '*'}"
        for grant in await owner.fetch(_GRANTS)
    )
    text = "\n".join(lines) + "\n"
    if os.environ.get("DUOSCOPE_TESTS_REGENERATE"):
        GRANTS.write_text(text)
    assert text == GRANTS.read_text()
    for line in lines:
        role, name, privilege, columns = line.split(" ", 3)
        assert role in ROLES, line
        assert privilege in COMMANDS, f"{line}: TRUNCATE, REFERENCES and TRIGGER look past row level security"
        if name in {"signing_keys", "ingest_claims", "receivers"}:
            assert role == "duoscope_platform", line
        if name == "audit_logs":
            assert privilege == "SELECT" or (privilege == "INSERT" and columns == "content"), line


async def test_roles_are_bound_by_row_level_security_and_own_nothing(owner):
    for role in ROLES:
        row = await owner.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", role)
        for power in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication", "rolinherit"):
            assert not row[power], (role, power)
        assert row["rolcanlogin"] is (role == "duoscope_service"), role
        for catalogue, column in (("pg_class", "relowner"), ("pg_proc", "proowner"), ("pg_namespace", "nspowner")):
            assert not await owner.fetchval(f"SELECT count(*) FROM {catalogue} WHERE {column} = $1", row["oid"]), role
        assert not await owner.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", role), role
        above = await owner.fetch(
            "SELECT rolname::text FROM pg_roles WHERE rolname <> $1 AND pg_has_role($1, oid, 'MEMBER')", role
        )
        may_become = set(ROLES) - {"duoscope_service"} if role == "duoscope_service" else set()
        assert {name for (name,) in above} == may_become, role


async def test_functions_with_the_owners_rights_are_few_and_pinned(owner):
    functions = await owner.fetch(
        "SELECT proname::text AS name, coalesce(proconfig::text, '') AS settings, prorettype::regtype::text AS answers "
        "FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    for function in functions:
        assert "search_path=" in function["settings"], function["name"]
        # Only triggers: nobody calls one with arguments of their own.
        assert function["answers"] == "trigger", function["name"]

"""The shipped PostgreSQL schema: replayable there and back, and closed to whoever has no scope or another one."""

import asyncpg
import pytest

from duoscope.kernel.ids import new_id
from duoscope.metadata.encryption_keys import SEALED
from duoscope.stores.migrations import Migrator

_CATALOGUE = """
SELECT 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'policy', tablename, policyname, concat(roles, cmd, qual, with_check) FROM pg_policies
UNION ALL SELECT 'grant', table_name, grantee, privilege_type FROM information_schema.role_table_grants
WHERE table_schema = 'public'
UNION ALL SELECT 'function', proname, '', pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE NOT tgisinternal
UNION ALL SELECT 'security', relname, '', concat(relrowsecurity, relforcerowsecurity) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
ORDER BY 1, 2, 3, 4
"""
# Tables that hold nobody's data. May only shrink.
_UNSCOPED = {"schema_migrations", "regions", "permissions", "built_in_role_permissions", "dashboard_templates"}
_PLATFORMS_OWN = {"encryption_keys", "signing_keys", "ingest_claims", "receivers"}
"""Tables without anybody's data which the platform alone may write to."""
_ACROSS_TENANTS = {"platform": "duoscope_platform", "purge": "duoscope_purge"}
"""The policies that name no scope, and the one role that each is for."""


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def _catalogue(address) -> list[tuple[str, ...]]:
    connection = await asyncpg.connect(address.admin_dsn)
    try:
        return [tuple(row) for row in await connection.fetch(_CATALOGUE)]
    finally:
        await connection.close()


async def test_up_down_up_again_gives_the_same_catalogue(blank_database):
    migrator = Migrator(postgres_admin_dsn=blank_database.admin_dsn)
    await migrator.up()
    first = await _catalogue(blank_database)
    await migrator.down("postgres", 0)
    assert {row[1] for row in await _catalogue(blank_database)} == {"schema_migrations"}
    await migrator.up()
    assert await _catalogue(blank_database) == first


async def test_domains_that_one_organization_alone_names_are_proven_by_the_migration(blank_database):
    migrator = Migrator(postgres_admin_dsn=blank_database.admin_dsn)
    await migrator.up()
    await migrator.down("postgres", 17)
    connection = await asyncpg.connect(blank_database.admin_dsn)
    try:
        region, shop, bank = new_id(), new_id(), new_id()
        await connection.execute("INSERT INTO regions (region_id, name, code) VALUES ($1, 'R', 'r')", region)
        for organization, code in ((shop, "shop"), (bank, "bank")):
            await connection.execute(
                "INSERT INTO organizations (organization_id, region_id, name, code) VALUES ($1, $2, $3, $3)",
                *(organization, region, code),
            )
        for number, (organization, domains, is_deleted) in enumerate([
            (shop, ["shop.example", "both.example"], False), (shop, ["Shop.example"], False),
            (bank, ["both.example", "bank.example"], False), (bank, ["shop.example", "old.example"], True),
        ]):  # fmt: skip
            await connection.execute(
                "INSERT INTO identity_providers (organization_id, identity_provider_id, slug, name, issuer, client_id, "
                "client_secret_encrypted, allowed_email_domains, deleted_at) "
                "VALUES ($1, $2, $3, 'P', 'https://login.example', 'c', 'x', $4, CASE WHEN $5 THEN now() END)",
                *(organization, new_id(), f"p-{number}", domains, is_deleted),
            )
        await migrator.up()
        rows = await connection.fetch("SELECT organization_id, domain, verified_by, token FROM email_domains")
        assert {(row["organization_id"], row["domain"], row["verified_by"]) for row in rows} == {
            (shop, "shop.example", "migration"), (shop, "both.example", None),
            (bank, "both.example", None), (bank, "bank.example", "migration"),
        }  # fmt: skip
        assert len({row["token"] for row in rows}) == len(rows) == 4
    finally:
        await connection.close()


async def test_without_what_keeps_a_browsers_key_to_pages_it_is_revoked(blank_database):
    migrator = Migrator(postgres_admin_dsn=blank_database.admin_dsn)
    await migrator.up()
    connection = await asyncpg.connect(blank_database.admin_dsn)
    try:
        region, place = new_id(), (new_id(), new_id(), new_id())
        await connection.execute("SET row_security = off")
        await connection.execute("INSERT INTO regions (region_id, name, code) VALUES ($1, 'R', 'r')", region)
        await connection.execute(
            "INSERT INTO organizations (organization_id, region_id, name, code) VALUES ($1, $2, 'O', 'o')",
            *(place[0], region),
        )
        await connection.execute(
            "INSERT INTO workspaces (organization_id, workspace_id, name, code) VALUES ($1, $2, 'W', 'w')", *place[:2]
        )
        await connection.execute(
            "INSERT INTO tenants (organization_id, workspace_id, tenant_id, name, code) VALUES ($1, $2, $3, 'T', 't')",
            *place,
        )
        for letter, is_browser_only in (("a", True), ("b", False)):
            await connection.execute(
                "INSERT INTO api_keys (organization_id, workspace_id, tenant_id, api_key_id, key_id, secret_hash, "
                "name, rate_limit, allowed_origins, is_browser_only) "
                "VALUES ($1, $2, $3, $4, $5, 'x', $6, 1, '{*}', $7)",
                *(*place, new_id(), f"tfk-{letter * 16}", letter, is_browser_only),
            )
        await migrator.down("postgres", 18)
        rows = await connection.fetch("SELECT name, status FROM api_keys ORDER BY name")
        assert [tuple(row) for row in rows] == [("a", "revoked"), ("b", "active")]
        await migrator.up()
    finally:
        await connection.close()


async def test_every_scoped_table_has_forced_row_level_security_and_policies_that_name_the_scope(owner):
    tables = {
        row["relname"]: row
        for row in await owner.fetch(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
    }
    assert set(tables) > _UNSCOPED | _PLATFORMS_OWN
    policies = await owner.fetch("SELECT * FROM pg_policies")
    for name in set(tables) - _UNSCOPED - _PLATFORMS_OWN:
        assert tables[name]["relrowsecurity"], name
        assert tables[name]["relforcerowsecurity"], name
        own = [policy for policy in policies if policy["tablename"] == name]
        assert any(policy["policyname"].startswith("scope") for policy in own), name
        for policy in own:
            if policy["policyname"] in _ACROSS_TENANTS:
                assert policy["roles"] == [_ACROSS_TENANTS[policy["policyname"]]], name
                continue
            if policy["policyname"].startswith("organization"):
                assert policy["roles"] == ["duoscope_organization"], name
            if policy["policyname"] == "owner":
                # For a function of the schema's owner, whom forced row level security binds as well.
                assert policy["roles"] == [await owner.fetchval("SELECT current_user")], name
                continue
            for condition in (policy["qual"], policy["with_check"]):
                assert condition is None or "app_organization_id()" in condition, (name, policy["policyname"])
            assert policy["cmd"] == "INSERT" or policy["qual"], name
            assert policy["cmd"] in {"SELECT", "DELETE"} or policy["with_check"], name


async def test_every_key_of_a_tenants_table_includes_the_tenant(owner):
    rows = await owner.fetch(
        """
        SELECT c.conrelid::regclass::text AS name, c.contype::text AS kind, c.confrelid::regclass::text AS target,
            array_agg(a.attname::text) AS columns
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
        WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('p', 'f')
        GROUP BY c.oid, 1, 2, 3
        """
    )
    for row in rows:
        if row["name"] in _UNSCOPED | _PLATFORMS_OWN or row["target"] in {"regions", "permissions"}:
            continue
        assert {"organization_id", "tenant_id"} & set(row["columns"]), dict(row)


async def test_services_own_nothing_and_cannot_remove_the_hierarchy(owner):
    assert await owner.fetchval("SELECT count(*) FROM pg_class WHERE relowner = 'duoscope_service'::regrole") == 0
    for role in ("duoscope_service", "duoscope_platform", "duoscope_organization"):
        for table in ("regions", "organizations", "workspaces", "tenants", "users", "permissions"):
            assert not await owner.fetchval("SELECT has_table_privilege($1, $2, 'DELETE')", role, table)
    assert not await owner.fetchval("SELECT has_table_privilege('duoscope_service', 'organizations', 'INSERT')")
    for role in ("duoscope_platform", "duoscope_organization", "duoscope_purge"):
        assert not await owner.fetchval("SELECT pg_has_role('duoscope_service', $1, 'USAGE')", role)


async def test_what_hangs_on_the_hierarchy_goes_with_it(owner):
    """Otherwise the purge of a tenant would fail on the first table that somebody forgot."""
    left = await owner.fetch(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'a' "
        "AND confrelid::regclass::text IN ('organizations', 'workspaces', 'tenants', 'users', 'roles', 'invitations')"
    )
    assert not [tuple(row) for row in left]


async def test_the_platforms_keys_are_the_platforms(owner):
    """Sealed data keys are read wherever something is sealed; signing keys nowhere but by the platform."""
    for role in ("duoscope_service", "duoscope_organization", "duoscope_purge"):
        for table in _PLATFORMS_OWN:
            for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                assert not await owner.fetchval("SELECT has_table_privilege($1, $2, $3)", role, table, privilege)
        assert not await owner.fetchval("SELECT has_table_privilege($1, 'signing_keys', 'SELECT')", role)


async def test_every_sealed_column_is_known(owner):
    """Otherwise a rotation would leave values behind that no key opens any more."""
    columns = await owner.fetch(
        "SELECT c.table_name, c.column_name, array_agg(k.column_name::text ORDER BY k.ordinal_position) AS key "
        "FROM information_schema.columns c "
        "JOIN information_schema.table_constraints t USING (table_schema, table_name) "
        "JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name) "
        "WHERE c.table_schema = 'public' AND c.column_name LIKE '%\\_encrypted' AND t.constraint_type = 'PRIMARY KEY' "
        "AND c.table_name <> 'encryption_keys' GROUP BY 1, 2"
    )
    expected = {(each.table, each.column, each.key) for each in SEALED}
    assert {(row["table_name"], row["column_name"], tuple(row["key"])) for row in columns} == expected

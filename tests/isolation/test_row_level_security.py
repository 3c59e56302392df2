"""PostgreSQL keeps tenants apart by itself: these tests go around every layer of ours but the store."""

import contextlib

import asyncpg
import pytest

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from support.store_errors import refused

_PLATFORM = PlatformScope(reason="test")


async def _tenant(store, *, organization_id=None, workspace_id=None) -> Scope:
    """A tenant with a user, a custom role and a key; in a new organization and workspace unless told."""
    scope = Scope(organization_id or new_id(), workspace_id or new_id(), new_id())
    o, w, t = scope.organization_id, scope.workspace_id, scope.tenant_id
    async with store.open_platform(_PLATFORM, "test.make") as tx:
        await tx.execute("INSERT INTO regions (region_id, name, code) VALUES ($1, 'r', 'r') ON CONFLICT DO NOTHING", o)
        if organization_id is None:
            await tx.execute(
                "INSERT INTO organizations (organization_id, region_id, name, code) "
                "SELECT $1, region_id, 'o', $2 FROM regions",
                *(o, o.hex),
            )
        if workspace_id is None:
            await tx.execute(
                "INSERT INTO workspaces (organization_id, workspace_id, name, code) VALUES ($1, $2, 'w', $3)",
                *(o, w, w.hex),
            )
        await tx.execute(
            "INSERT INTO tenants (organization_id, workspace_id, tenant_id, name, code) VALUES ($1, $2, $3, 't', $4)",
            *(o, w, t, t.hex),
        )
    async with store.open(scope, "test.fill") as tx:
        await tx.execute(
            "INSERT INTO users (organization_id, workspace_id, tenant_id, user_id, email, password_hash) "
            "VALUES ($1, $2, $3, $3, $4, '')",
            *(o, w, t, f"{t.hex}@example.com"),
        )
        await tx.execute(
            "INSERT INTO roles (organization_id, workspace_id, tenant_id, role_id, name) "
            "VALUES ($1, $2, $3, $3, 'custom')",
            *(o, w, t),
        )
        await tx.execute(
            "INSERT INTO api_keys (organization_id, workspace_id, tenant_id, api_key_id, key_id, secret_hash, name) "
            "VALUES ($1, $2, $3, $3, 'tfk-' || translate(left(md5($4), 16), '0189', 'wxyz'), '', 'k')",
            *(o, w, t, t.hex),
        )
    return scope


@pytest.fixture
async def pair(metadata_store):
    """Two tenants of one workspace: the closest neighbours there are."""
    first = await _tenant(metadata_store)
    second = await _tenant(metadata_store, organization_id=first.organization_id, workspace_id=first.workspace_id)
    return first, second


@pytest.mark.parametrize("table", ["users", "api_keys"])
async def test_a_tenant_sees_and_touches_its_own_rows_only(metadata_store, pair, table):
    first, second = pair
    async with metadata_store.open(first, "test.read") as tx:
        assert [r["tenant_id"] for r in await tx.fetch(f"SELECT tenant_id FROM {table}")] == [first.tenant_id]
        assert await tx.execute(f"UPDATE {table} SET updated_at = now() WHERE tenant_id = $1", second.tenant_id) == 0
        assert await tx.execute(f"UPDATE {table} SET updated_at = now()") == 1


async def test_a_foreign_insert_raises(metadata_store, pair):
    first, second = pair
    for foreign in (second, await _tenant(metadata_store)):
        with refused(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with metadata_store.open(first, "test.insert") as tx:
                await tx.execute(
                    "INSERT INTO roles (organization_id, workspace_id, tenant_id, role_id, name) "
                    "VALUES ($1, $2, $3, $4, 'x')",
                    *(foreign.organization_id, foreign.workspace_id, foreign.tenant_id, new_id()),
                )


async def test_a_row_cannot_be_moved_to_another_tenant(metadata_store, pair):
    first, second = pair
    with refused(asyncpg.InsufficientPrivilegeError):
        async with metadata_store.open(first, "test.move") as tx:
            await tx.execute("UPDATE users SET tenant_id = $1", second.tenant_id)


async def test_no_scope_sees_nothing(metadata_store, database, pair):
    connection = await asyncpg.connect(database.service_dsn)
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
    )
    assert len(tables) >= 10
    for state in ("unset", "emptied by an earlier transaction"):
        for table in tables:
            with contextlib.suppress(asyncpg.InsufficientPrivilegeError):  # not even a right to look
                assert await connection.fetchval(f"SELECT count(*) FROM {table['relname']}") == 0, (table, state)
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.tenant_id', $1, true)", str(pair[0].tenant_id))
    await connection.close()


async def test_references_across_tenants_cannot_be_written_down(metadata_store, pair):
    """Foreign keys look past row level security; the composite ones still find nothing."""
    first, second = pair
    scope = (first.organization_id, first.workspace_id, first.tenant_id)
    stranger = await _tenant(metadata_store)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(refused(asyncpg.ForeignKeyViolationError))
        tx = await stack.enter_async_context(metadata_store.open(first, "test.key"))
        await tx.execute(
            "INSERT INTO api_key_permissions (organization_id, workspace_id, tenant_id, api_key_id, permission) "
            "VALUES ($1, $2, $3, $4, 'logs:write')",
            *(*scope, second.tenant_id),
        )
    # A sister tenant's custom role, honestly labelled and mislabelled; then a stranger's user.
    for owner, role, user, error in (
        (second.tenant_id, second.tenant_id, first.tenant_id, asyncpg.CheckViolationError),
        (first.tenant_id, second.tenant_id, first.tenant_id, asyncpg.ForeignKeyViolationError),
        (first.organization_id, second.tenant_id, first.tenant_id, asyncpg.ForeignKeyViolationError),
        (first.tenant_id, first.tenant_id, stranger.tenant_id, asyncpg.ForeignKeyViolationError),
    ):
        with refused(error):
            async with metadata_store.open(first, "test.role") as tx:
                await tx.execute(
                    "INSERT INTO user_roles (organization_id, workspace_id, tenant_id, user_role_id, user_id, "
                    "role_id, role_owner_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    *(*scope, new_id(), user, role, owner),
                )


async def test_a_tenant_cannot_raise_itself_above_tenants(metadata_store, pair):
    first, _ = pair
    with refused(asyncpg.InsufficientPrivilegeError):
        async with metadata_store.open(first, "test.admin") as tx:
            await tx.execute("UPDATE users SET is_platform_admin = true")
    async with metadata_store.open(first, "test.built_in") as tx:
        assert await tx.fetchval("SELECT count(*) FROM roles WHERE role_type IS NOT NULL") == 5
        assert await tx.execute("UPDATE roles SET name = 'mine' WHERE role_type = 'viewer'") == 0
        assert await tx.execute("DELETE FROM roles WHERE role_type = 'viewer'") == 0
    for owner, permission, error in (
        (first.tenant_id, "region:write", asyncpg.ForeignKeyViolationError),
        (first.organization_id, "log:read", asyncpg.InsufficientPrivilegeError),
    ):
        with refused(error):
            async with metadata_store.open(first, "test.grant") as tx:
                await tx.execute(
                    "INSERT INTO role_permissions (organization_id, role_owner_id, role_id, permission_id) "
                    "SELECT $1, $2, $3, permission_id FROM permissions WHERE name = $4",
                    *(first.organization_id, owner, first.tenant_id, permission),
                )


async def test_the_scope_ends_with_its_transaction(metadata_store, pair):
    first, _ = pair
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with metadata_store.open(first, "test.fails") as tx:
            assert await tx.execute("UPDATE users SET first_name = 'changed'") == 1
            raise ZeroDivisionError
    async with metadata_store.open(Scope(new_id(), new_id(), new_id()), "test.nobody") as tx:
        assert await tx.fetchval("SELECT count(*) FROM users") == 0
    async with metadata_store.open(first, "test.rolled_back") as tx:
        assert await tx.fetchval("SELECT first_name FROM users") == ""
        assert await tx.fetchval("SELECT current_user") == "duoscope_service"


async def test_a_lost_server_is_unavailable_and_comes_back(metadata_store, database, pair):
    first, _ = pair
    owner = await asyncpg.connect(database.admin_dsn)
    kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'duoscope_service'"
    with pytest.raises(DuoscopeError) as lost:  # noqa: PT012
        async with metadata_store.open(first, "test.lost") as tx:
            assert await owner.fetchval(kill) >= 1
            await tx.fetchval("SELECT 1")
    assert lost.value.kind is ErrorKind.UNAVAILABLE
    assert lost.value.code == "metadata-store-unavailable"
    await metadata_store.ping()
    await owner.close()

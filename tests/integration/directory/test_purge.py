"""What was deleted 90 days ago is removed with everything that depends on it; younger deletions can be restored."""

import asyncpg
import pytest

from duoscope.kernel.scope import PlatformScope
from duoscope.worker.purge import purge_deleted


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def _counts(owner) -> dict[str, int]:
    tables = ("organizations", "workspaces", "tenants", "users", "roles", "user_roles", "api_keys", "invitations")
    return {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


async def test_only_what_is_old_goes_and_takes_along_what_hangs_on_it(metadata_store, inhabit, owner):
    first, second = await inhabit(metadata_store, "one"), await inhabit(metadata_store, "two")
    before = await _counts(owner)
    assert await purge_deleted(metadata_store) == 0
    await owner.execute("UPDATE tenants SET deleted_at = now() - interval '91 days' WHERE code = 'one'")
    await owner.execute("UPDATE tenants SET deleted_at = now() - interval '89 days' WHERE code = 'two'")
    assert await purge_deleted(metadata_store) == 1
    after = await _counts(owner)
    assert after["tenants"] == before["tenants"] - 1
    assert after["user_roles"] == after["api_keys"] == 1
    # Its people stay with the organization, without a home.
    assert after["users"] == before["users"]
    assert await owner.fetchval("SELECT tenant_id FROM users WHERE user_id = $1", first.user.user_id) is None
    entry = await owner.fetchrow("SELECT * FROM audit_logs WHERE action = 'tenant.purged'")
    assert (entry["resource_id"], entry["organization_id"]) == (str(first.tenant_id), first.tenant.organization_id)

    await owner.execute("UPDATE users SET deleted_at = now() - interval '1 year' WHERE email = 'two@example.com'")
    assert await purge_deleted(metadata_store) == 1
    assert (await _counts(owner))["user_roles"] == 0
    await owner.execute("UPDATE organizations SET deleted_at = now() - interval '91 days'")
    assert await purge_deleted(metadata_store) == 1
    assert set((await _counts(owner)).values()) == {0}
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action LIKE '%.purged'") == 3
    assert second.tenant_id


async def test_the_purging_role_cannot_remove_what_is_young(metadata_store, inhabited, owner):
    await owner.execute("UPDATE tenants SET deleted_at = now()")
    async with metadata_store.open_purge(PlatformScope(reason="test"), "test.purge") as tx:
        for table in ("tenants", "users", "organizations", "workspaces", "roles"):
            assert await tx.execute(f"DELETE FROM {table}") == 0

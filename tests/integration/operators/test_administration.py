"""What an operator's commands do, and how they refuse."""

import pytest

from duoscope.identity.authorization.permissions import PLATFORM_PERMISSIONS, ROLE_PERMISSIONS
from duoscope.identity.operators import administration
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import api_keys, organizations, permissions, regions, roles, tenants, users, workspaces


async def test_tenants_share_what_has_the_same_name(metadata_store):
    make = administration.create_tenant
    one = await make(metadata_store, organization="Acme Inc.", workspace="Main", tenant="One", retention_days=7)
    two = await make(metadata_store, organization="acme inc", workspace="Main", tenant="Two")
    other = await make(metadata_store, organization="Other", workspace="Main", tenant="One")
    assert (one.code, one.retention_days, two.retention_days) == ("one", 7, 30)
    assert one.workspace_id == two.workspace_id != other.workspace_id
    assert [t.tenant_id for t in await administration.list_tenants(metadata_store)] == [
        one.tenant_id, two.tenant_id, other.tenant_id,
    ]  # fmt: skip
    with pytest.raises(DuoscopeError) as taken:
        await make(metadata_store, organization="Acme Inc", workspace="main", tenant="one")
    assert (taken.value.kind, taken.value.code) == (ErrorKind.CONFLICT, "tenant-exists")
    async with metadata_store.open(Scope(one.organization_id, one.workspace_id, one.tenant_id), "test.list") as tx:
        assert [t.tenant_id for t in await tenants.list_all(tx)] == [one.tenant_id]
        assert len(await workspaces.list_all(tx)) == len(await organizations.list_all(tx)) == 1
        assert [role.name for role in await roles.list_all(tx)] == sorted(roles.BUILT_IN)
        assert (await tenants.get(tx, other.tenant_id)) is None
        assert [region.code for region in await regions.list_all(tx)] == ["default"]
        assert {p.name for p in await permissions.list_all(tx)} == ROLE_PERMISSIONS | PLATFORM_PERMISSIONS


async def test_users_and_keys_are_seen_by_their_tenant_only(metadata_store, inhabited, inhabit):
    second = await inhabit(metadata_store, "two")
    for mine, foreign in ((inhabited, second), (second, inhabited)):
        t = mine.tenant
        async with metadata_store.open(Scope(t.organization_id, t.workspace_id, t.tenant_id), "test.list") as tx:
            assert [user.email for user in await users.list_all(tx)] == [mine.user.email]
            assert [key.key_id for key in await api_keys.list_all(tx)] == [mine.key.key_id]
            assert await users.get(tx, foreign.user.user_id) is None
            assert await api_keys.get(tx, foreign.key.api_key_id) is None
            assert await api_keys.revoke(tx, foreign.key.key_id, reason="mine!") is None
            assert not await users.set_password(tx, foreign.user.user_id, "x")


async def test_refusals(metadata_store, hasher, inhabited):
    tenant_id = inhabited.tenant_id
    with pytest.raises(DuoscopeError, match="retention_days must be one of 3, 7"):
        await administration.set_retention(metadata_store, tenant_id=tenant_id, retention_days=5)
    with pytest.raises(DuoscopeError, match="No such tenant"):
        await administration.set_retention(metadata_store, tenant_id=new_id(), retention_days=7)
    with pytest.raises(DuoscopeError, match="No such tenant"):
        await administration.create_api_key(metadata_store, hasher, tenant_id=new_id(), name="x")
    with pytest.raises(DuoscopeError, match="permissions must be"):
        await administration.create_api_key(
            metadata_store, hasher, tenant_id=tenant_id, name="x", permissions=["logs:delete"]
        )
    new = {"tenant_id": tenant_id, "password": "long enough password"}
    with pytest.raises(DuoscopeError, match="this e-mail address"):
        await administration.create_user(metadata_store, hasher, email="ONE@example.com", **new)
    with pytest.raises(DuoscopeError, match="No such role 'king'"):
        await administration.create_user(metadata_store, hasher, email="a@example.com", role="king", **new)
    for wrong in ("nonsense", "a,b@x", "<x>@y"):
        with pytest.raises(DuoscopeError, match="email must look like"):
            await administration.create_user(metadata_store, hasher, email=wrong, **new)
    with pytest.raises(DuoscopeError, match="No such user"):
        await administration.reset_password(metadata_store, hasher, email="x@y", password="long enough password")


async def test_platform_scope_needs_a_reason():
    with pytest.raises(ValueError, match="reason"):
        PlatformScope(reason="")

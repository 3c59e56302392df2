"""A command leaves the same audit entries as the API for the same change, except for the actor."""

import json

import pytest

from duoscope.identity.operators import administration, organizations
from duoscope.kernel.scope import PlatformScope, Scope

_PLATFORM = PlatformScope(reason="test")
_WHOSE = {"actor_kind", "user_id", "email", "ip_address", "user_agent", "request_id", "recorded_at", "audit_log_id"}


@pytest.fixture
def entries(metadata_store):
    """The entries of an action, oldest first, and the kind of actor of each."""

    async def read(action):
        async with metadata_store.open_platform(_PLATFORM, "test.entries") as tx:
            rows = await tx.fetch("SELECT content FROM audit_logs WHERE action = $1 ORDER BY audit_log_id", action)
        found = [json.loads(row["content"]) for row in rows]
        kinds = [entry["actor_kind"] for entry in found]
        return kinds, [{name: value for name, value in entry.items() if name not in _WHOSE} for entry in found]

    return read


def _names(entry):
    """An entry's shape, for what differs by its ids and names."""
    return {**entry, "after": sorted(entry["after"]), "resource_id": "", "organization_id": ""}


async def test_a_change_of_retention(metadata_store, inhabited, api, entries):
    t = inhabited.tenant
    scope = Scope(t.organization_id, t.workspace_id, t.tenant_id)
    await administration.set_retention(metadata_store, tenant_id=t.tenant_id, retention_days=7)
    await administration.set_retention(metadata_store, tenant_id=t.tenant_id, retention_days=30)
    headers = await api.headers(scope, "tenant:write", organization_wide=True)
    answer = await api.client.patch(f"/api/v1/tenants/{t.tenant_id}", json={"retention_days": 7}, headers=headers)
    assert answer.status_code == 200, answer.text
    kinds, (first, _, by_api) = await entries("tenant.changed")
    assert kinds == ["operator", "operator", "user"]
    assert first == by_api
    assert (first["tenant_id"], first["resource_id"]) == (str(t.tenant_id), str(t.tenant_id))
    assert (first["before"], first["after"]) == (
        {"settings": {"retention_days": 30}}, {"settings": {"retention_days": 7}},
    )  # fmt: skip


async def test_organizations_workspaces_and_tenants(metadata_store, inhabited, api, entries):
    """Each is told once, in a chain of the organization's own, whoever made it and by whichever command."""
    t = inhabited.tenant
    kinds, (first,) = await entries("region.created")
    assert (kinds, first["after"]["code"]) == (["operator"], "default")
    await organizations.create_organization(metadata_store, name="By command")
    async with metadata_store.open_platform(_PLATFORM, "test.region") as tx:
        region_id = await tx.fetchval("SELECT region_id FROM regions WHERE code = 'default'")
    scope = Scope(t.organization_id, t.workspace_id, t.tenant_id)
    headers = await api.headers(scope, "tenant:write", "workspace:write", organization_wide=True, platform_admin=True)
    wanted = {"region_id": str(region_id), "name": "By API"}
    answer = await api.client.post("/api/v1/organizations", json=wanted, headers=headers)
    assert answer.status_code == 201, answer.text
    _, (by_tenant, by_command, by_api) = await entries("organization.created")
    assert _names(by_tenant) == _names(by_command) == _names(by_api)
    assert by_tenant["organization_id"] == str(t.organization_id)

    made = await administration.create_tenant(
        metadata_store, organization=by_tenant["after"]["code"], workspace="Another", tenant="Third"
    )
    body = {"name": "By API"}
    answer = await api.client.post("/api/v1/workspaces", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    body |= {"workspace_id": answer.json()["workspace_id"]}
    answer = await api.client.post("/api/v1/tenants", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    for action in ("workspace.created", "tenant.created"):
        kinds, (command, other) = await entries(action)
        assert kinds == ["operator", "user"]
        command["workspace_id"] = other["workspace_id"] = command["tenant_id"] = other["tenant_id"] = ""
        assert _names(command) == _names(other)
        assert command["organization_id"] == other["organization_id"] == str(made.organization_id)

"""Two admins who remove each other at the same moment: one of them stays."""

import asyncio
import itertools

import asyncpg
import pytest

from duoscope.identity.operators import administration

PASSWORD = "correct horse battery"
NAMES = ("ada", "bob")
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def admins(api):
    """The two admins of an organization: by name, their headers and ids."""
    services, found = api.services, {}
    place = await administration.create_tenant(
        services.metadata, organization="O", workspace="W", tenant="T", mfa_required=False
    )
    for name in NAMES:
        user = await administration.create_user(
            services.metadata, services.hasher, tenant_id=place.tenant_id,
            email=f"{name}@example.com", password=PASSWORD, role="admin",
        )  # fmt: skip
        body = {"email": user.email, "password": PASSWORD}
        token = (await api.client.post("/api/v1/auth/login", json=body)).json()["access_token"]
        found[name] = {"headers": {"authorization": f"Bearer {token}"}, "user_id": str(user.user_id)}
    for each in found.values():
        path = f"/api/v1/users/{each['user_id']}/roles"
        [role] = (await api.client.get(path, headers=each["headers"])).json()["items"]
        each["role"] = f"{path}/{role['user_role_id']}"
    return place.organization_id, found


def _removal(how, whom):
    """Method, path and body."""
    user = f"/api/v1/users/{whom['user_id']}"
    return {
        "delete": ("DELETE", user, None),
        "deactivate": ("PATCH", user, {"is_active": False}),
        "take the role": ("DELETE", whom["role"], None),
        "end the role": ("PATCH", whom["role"], {"expires_at": "2099-01-01T00:00:00Z"}),
    }[how]


HOW = ("delete", "deactivate", "take the role", "end the role")


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations_with_replacement(HOW, 2)))
async def test_of_two_last_admins_who_remove_one_another_at_once_one_stays(api, admins, owner, first, second):
    organization_id, found = admins
    # Both have looked, and neither has done it yet, until the lock that changes of an organization take is let go.
    lock = f"hashtextextended('organization {organization_id}', 0)"
    await owner.execute(f"SELECT pg_advisory_lock({lock})")
    calls = []
    for (own, other), how in zip((NAMES, NAMES[::-1]), (first, second), strict=True):
        method, path, body = _removal(how, found[other])
        calls.append(asyncio.create_task(api.client.request(method, path, json=body, headers=found[own]["headers"])))
    async with asyncio.timeout(20):
        while await owner.fetchval(_WAITING) < 2:  # noqa: ASYNC110 - nothing tells when another begins to wait
            await asyncio.sleep(0.01)
    await owner.execute(f"SELECT pg_advisory_unlock({lock})")
    answers = await asyncio.gather(*calls)
    refused = [answer for answer in answers if answer.status_code not in {200, 204}]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "last-admin")]
    left = await owner.fetch(
        "SELECT u.email FROM users u JOIN user_roles ur USING (organization_id, user_id) "
        "WHERE u.is_active AND u.deleted_at IS NULL AND ur.expires_at IS NULL"
    )
    assert len(left) == 1

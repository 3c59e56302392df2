"""Admins end the sessions of their people: of one, or of the organization, and of nobody else's."""

import dataclasses

import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope

_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}


@pytest.fixture
def mine(new_scope):
    return new_scope()


@pytest.fixture
def sister(mine):
    """Another tenant of the organization."""
    return dataclasses.replace(mine, tenant_id=new_id())


@pytest.fixture
def theirs(new_scope):
    return new_scope()


class People:
    """Users by what they may do, each with a session."""

    def __init__(self, api) -> None:
        self.api = api

    async def add(self, scope, *permissions, **reach):
        return (await self.api.headers(scope, *permissions, **reach)) | _SAME_ID

    async def id_of(self, headers):
        return (await self.api.client.get("/api/v1/auth/me", headers=headers)).json()["user_id"]

    async def works(self, *who):
        return [(await self.api.client.get("/api/v1/auth/me", headers=each)).status_code == 200 for each in who]

    async def end(self, headers, path):
        return await self.api.client.delete(f"/api/v1/{path}/sessions", headers=headers)


@pytest.fixture
def people(api):
    return People(api)


def _code(response):
    return response.status_code, response.json().get("code")


async def _reasons(api):
    async with api.services.metadata.open_platform(PlatformScope(reason="test"), "test.audit") as tx:
        rows = await tx.fetch(
            "SELECT resource_type, content::json #>> '{after,reason}' AS reason, "
            "content::json #>> '{after,sessions}' AS sessions FROM audit_logs WHERE action = 'session.ended'"
        )
    return [tuple(row) for row in rows]


async def test_an_admin_ends_the_sessions_of_one_user(api, people, mine):
    admin, bob, eve = [await people.add(mine, *permissions) for permissions in (ROLE_PERMISSIONS, (), ("user:admin",))]
    bobs = f"users/{await people.id_of(bob)}"
    assert _code(await people.end(bob, bobs)) == (403, "permission-denied")
    assert _code(await people.end(eve, f"users/{await people.id_of(admin)}")) == (403, "beyond-own-permissions")
    ended = await people.end(admin, bobs)
    assert (ended.status_code, ended.json()) == (200, {"sessions": 1})
    assert await people.works(admin, bob, eve) == [True, False, True]
    assert (await people.end(admin, bobs)).json() == {"sessions": 0}
    assert await _reasons(api) == [("session", "ended-by-admin", "1")]


async def test_the_sessions_of_a_neighbours_user_are_out_of_reach(people, mine, sister, theirs):
    admin = await people.add(mine, *ROLE_PERMISSIONS)
    never = await people.end(admin, f"users/{new_id()}")
    others = [await people.add(scope) for scope in (sister, theirs)]
    for other in others:
        refused = await people.end(admin, f"users/{await people.id_of(other)}")
        assert (refused.status_code, refused.content, refused.headers) == (404, never.content, never.headers)
    assert await people.works(*others) == [True, True]


@pytest.mark.parametrize("keeps", [True, False])
async def test_an_organizations_admin_ends_all_of_its_sessions(api, people, mine, sister, theirs, keeps):  # noqa: PLR0917
    admin = await people.add(mine, *ROLE_PERMISSIONS, organization_wide=True)
    own = [await people.add(mine), await people.add(sister)]
    platform_admin, other = await people.add(mine, "user:admin", platform_admin=True), await people.add(theirs)
    path = f"organizations/{mine.organization_id}"
    answer = await api.client.delete(
        f"/api/v1/{path}/sessions", params={"keep_current": "true"} if keeps else {}, headers=admin
    )
    assert (answer.status_code, answer.json()) == (200, {"sessions": 2 if keeps else 3})
    assert await people.works(admin, *own, platform_admin, other) == [keeps, False, False, True, True]
    assert await _reasons(api) == [("organization", "ended-by-admin", "2" if keeps else "3")]
    assert (await people.end(platform_admin, path)).json() == {"sessions": 2 if keeps else 1}
    assert (await people.end(await people.add(theirs, "user:admin", platform_admin=True), path)).status_code == 200


async def test_less_than_everything_organization_wide_is_not_enough(people, mine, theirs):
    bob = await people.add(mine)
    path = f"organizations/{mine.organization_id}"
    tenants = await people.add(mine, *ROLE_PERMISSIONS)
    assert _code(await people.end(tenants, path)) == (403, "permission-denied")
    helper = await people.add(mine, "user:admin", organization_wide=True)
    assert _code(await people.end(helper, path)) == (403, "beyond-own-permissions")
    stranger = await people.add(theirs, *ROLE_PERMISSIONS, organization_wide=True)
    refused, never = await people.end(stranger, path), await people.end(stranger, f"organizations/{new_id()}")
    assert (refused.status_code, refused.content, refused.headers) == (404, never.content, never.headers)
    assert await people.works(bob) == [True]

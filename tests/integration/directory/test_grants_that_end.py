"""Invitations give roles for no longer than whoever sends them holds these, when they are sent and when accepted."""

import datetime as dt

import pytest

from duoscope.delivery.mail import Mailer
from duoscope.identity.authorization.permissions import Authority, operator_over
from duoscope.identity.directory.invitations import Invitations
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import OrganizationScope, PlatformScope
from duoscope.kernel.settings import Settings
from duoscope.metadata import roles, user_roles
from duoscope.secrets.keys import SecretKeys

PASSWORD = "a password that is long enough"
NOBODY = Actor(None, "", "user")
_TEST = PlatformScope(reason="test")
_NEXT_YEAR = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=365)


@pytest.fixture
def invitations(metadata_store, hasher):
    mailer = Mailer(Settings(), SecretKeys((b"s" * 32,)))
    return Invitations(metadata_store, mailer, hasher, public_url="http://test")


@pytest.fixture
async def sender(metadata_store, inhabited):
    """Somebody who holds the developer role in their tenant until next year, and no other."""
    tenant, user = inhabited.tenant, inhabited.user
    async with metadata_store.open_platform(_TEST, "test.limit") as tx:
        await tx.execute("UPDATE user_roles SET expires_at = $2 WHERE user_id = $1", user.user_id, _NEXT_YEAR)
        [role] = [role for role in await roles.list_all(tx) if role.role_type == "developer"]
    held = dict.fromkeys(role.permissions, _NEXT_YEAR)
    scope = OrganizationScope(tenant.organization_id)
    actor = Actor(user.user_id, user.email, "user")
    return Authority(scope, actor, tenant.organization_id, False, tenant.tenant_id, held, {}), role, tenant


async def _invite(invitations, sender, until):
    authority, role, tenant = sender
    return await invitations.create(
        authority,
        email="guest@example.com",
        role_ids=[role.role_id],
        tenant_id=tenant.tenant_id,
        roles_expire_at=until,
        needs_mail=False,
    )


async def _accept(invitations, sent):
    token = sent.link.partition("#")[2]
    return await invitations.accept(NOBODY, token, first_name="Ada", last_name="L", password=PASSWORD)


async def _refusal(awaitable) -> str:
    with pytest.raises(DuoscopeError) as refused:
        await awaitable
    return refused.value.code


async def test_the_roles_end_when_the_invitation_says(metadata_store, invitations, sender):
    for until in (None, _NEXT_YEAR + dt.timedelta(seconds=1)):
        assert await _refusal(_invite(invitations, sender, until)) == "beyond-own-permissions"
    sent = await _invite(invitations, sender, _NEXT_YEAR)
    accepted = await _accept(invitations, sent)
    async with metadata_store.open_platform(_TEST, "test.held") as tx:
        [held] = await user_roles.of_user(tx, accepted.user_id)
    assert held.expires_at == _NEXT_YEAR


async def test_an_invitation_lapses_when_its_sender_holds_the_role_less_long(metadata_store, invitations, sender):
    sent = await _invite(invitations, sender, _NEXT_YEAR)
    authority, _, tenant = sender
    async with metadata_store.open_platform(_TEST, "test.shorten") as tx:
        shorter = _NEXT_YEAR - dt.timedelta(days=1)
        await tx.execute("UPDATE user_roles SET expires_at = $2 WHERE user_id = $1", authority.actor.user_id, shorter)
    assert await _refusal(_accept(invitations, sent)) == "invitation-invalid"
    operator = operator_over(tenant.organization_id)
    again = await invitations.resend(operator, sent.invitation.invitation_id, needs_mail=False)
    assert again.invitation.roles_expire_at == _NEXT_YEAR
    await _accept(invitations, again)


async def test_an_invitation_whose_roles_have_ended_gives_nothing(metadata_store, invitations, sender):
    sent = await _invite(invitations, sender, _NEXT_YEAR)
    async with metadata_store.open_platform(_TEST, "test.end") as tx:
        await tx.execute("UPDATE invitations SET roles_expire_at = now()")
    assert await _refusal(_accept(invitations, sent)) == "invitation-invalid"
    operator = operator_over(sender[2].organization_id)
    renewed = invitations.resend(operator, sent.invitation.invitation_id, needs_mail=False)
    assert await _refusal(renewed) == "invalid-request"

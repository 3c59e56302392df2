"""`duoscope admin`: creates organizations, invites users, and lists who has access."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import msgspec
import rich_click as click

from duoscope.cli import output, welcome
from duoscope.cli.admin import mfa_option, open_store
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.identity.directory.invitations import Invitations, Sent
    from duoscope.identity.operators.organizations import MadeOrganization
    from duoscope.metadata.invitations import Overview
    from duoscope.metadata.user_roles import Assignment
    from duoscope.stores.postgres import MetadataStore

T = TypeVar("T")


@click.command("create-organization")
@click.argument("name")
@click.option("--region", default="default", show_default=True, help="Code of its region.")
@mfa_option
@settings_options("data_dir")
@json_option
def create_organization(settings: Settings, name: str, region: str, *, mfa_required: bool, as_json: bool) -> None:
    """Create an organization with a first workspace and tenant."""
    from duoscope.identity.operators import organizations
    from duoscope.runtime import serve

    async def run() -> "MadeOrganization":
        async with open_store(settings) as store:
            return await organizations.create_organization(store, name=name, region=region, mfa_required=mfa_required)

    made = serve.run(run())
    if as_json:
        output.emit_json(
            {
                **msgspec.structs.asdict(made.organization),
                "workspace_id": made.workspace_id,
                "tenant_id": made.tenant_id,
            }
        )
        return
    code = made.organization.code
    click.echo(f"Made organization {made.organization.name} ({made.organization.organization_id}), code {code}.")
    if mfa_required:
        click.echo("Its people need a second factor: they enrol one at their first login.")
    invitation = f"admin invite someone@example.com --organization {code} --role admin"
    click.echo(f"Next: {welcome.command(settings, invitation)}")


@click.command("invite")
@click.argument("email")
@click.option("--organization", required=True, help="Code of the organization; see list-tenants.")
@click.option("--role", default="viewer", show_default=True, help="A built-in role, or one of the organization.")
@click.option("--tenant", "tenant_id", type=click.UUID, help="Only in this tenant; organization-wide if not given.")
@settings_options("data_dir")
@json_option
def invite(
    settings: Settings, email: str, organization: str, role: str, tenant_id: UUID | None, *, as_json: bool
) -> None:
    """Invite a user. The link is printed, and sent by mail if a mail server is configured."""
    from duoscope.identity.operators import organizations

    sent = _with_invitations(
        settings,
        lambda store, invitations: organizations.invite(
            store, invitations, organization=organization, email=email, role=role, tenant_id=tenant_id
        ),
    )
    _show_link(sent, f"Invited {email} as {role}.", as_json=as_json)


@click.command("list-invitations")
@click.option("--organization", help="Code of the organization, see list-tenants; all if not given.")
@settings_options("data_dir")
@json_option
def list_invitations(settings: Settings, organization: str | None, *, as_json: bool) -> None:
    """List invitations, newest first: address, roles and state; never their links."""
    from duoscope.identity.operators import organizations
    from duoscope.runtime import serve

    async def run() -> "list[Overview]":
        async with open_store(settings) as store:
            return await organizations.list_invitations(store, organization=organization)

    found = serve.run(run())
    if as_json:
        output.emit_json(found)
        return
    rows = [
        (
            one.invitation_id,
            one.organization,
            one.email,
            one.roles,
            f"{one.workspace} / {one.tenant}" if one.tenant else "everywhere",
            one.status,
            one.expires_at.strftime("%Y-%m-%d %H:%M"),
        )
        for one in found
    ]
    columns = ("Invitation", "Organization", "To", "Roles", "Where", "Status", "Until (UTC)")
    output.table(columns, rows, empty="No invitations.")


@click.command("resend-invitation")
@click.argument("invitation_id", type=click.UUID)
@settings_options("data_dir")
@json_option
def resend_invitation(settings: Settings, invitation_id: UUID, *, as_json: bool) -> None:
    """Give an open or expired invitation a new link, which replaces the old one. See list-invitations for its id.

    The link is printed, and sent by mail if a mail server is configured.
    """
    from duoscope.identity.operators import organizations

    sent = _with_invitations(
        settings, lambda store, invitations: organizations.resend_invitation(store, invitations, invitation_id)
    )
    _show_link(
        sent, f"The invitation of {sent.invitation.email} has a new link; the one before has ended.", as_json=as_json
    )


@click.command("revoke-invitation")
@click.argument("invitation_id", type=click.UUID)
@settings_options("data_dir")
def revoke_invitation(settings: Settings, invitation_id: UUID) -> None:
    """End an invitation: its link stops working. See list-invitations for its id."""
    from duoscope.identity.operators import organizations

    _with_invitations(
        settings, lambda store, invitations: organizations.revoke_invitation(store, invitations, invitation_id)
    )
    click.echo(f"Revoked invitation {invitation_id}; its link does not work any more.")


@click.command("list-access")
@click.option("--organization", help="Code of the organization, see list-tenants; all if not given.")
@settings_options("data_dir")
@json_option
def list_access(settings: Settings, organization: str | None, *, as_json: bool) -> None:
    """List users with their roles, where they apply, and until when."""
    from duoscope.identity.operators import organizations
    from duoscope.runtime import serve

    async def run() -> "list[Assignment]":
        async with open_store(settings) as store:
            return await organizations.list_access(store, organization=organization)

    found = serve.run(run())
    if as_json:
        output.emit_json(found)
        return
    rows = [
        (
            access.organization,
            access.email + (" (platform admin)" if access.is_platform_admin else ""),
            access.role,
            f"{access.workspace} / {access.tenant}" if access.tenant else "everywhere",
            access.expires_at.strftime("%Y-%m-%d %H:%M") if access.expires_at else "-",
            "yes" if access.is_active else "no",
        )
        for access in found
    ]
    output.table(("Organization", "User", "Role", "Where", "Until (UTC)", "Active"), rows, empty="Nobody.")


def _with_invitations(settings: Settings, work: "Callable[[MetadataStore, Invitations], Awaitable[T]]") -> T:
    from duoscope.delivery.mail import Mailer
    from duoscope.identity.directory.invitations import Invitations
    from duoscope.identity.passwords.hashing import SlowHasher
    from duoscope.runtime import serve
    from duoscope.secrets.keys import SecretKeys

    async def run() -> T:
        mailer = Mailer(settings, SecretKeys.load(settings))
        hasher = SlowHasher(threads=1)
        url = settings.public_url or _api_url(settings)
        try:
            async with open_store(settings) as store:
                return await work(store, Invitations(store, mailer, hasher, public_url=url))
        finally:
            hasher.close()

    return serve.run(run())


def _show_link(sent: "Sent", done: str, *, as_json: bool) -> None:
    if as_json:
        output.emit_json({**asdict(sent.invitation), "link": sent.link})
        return
    click.echo(f"{done} The link works once, until {sent.invitation.expires_at:%Y-%m-%d %H:%M} UTC:")
    click.echo(sent.link)


def _api_url(settings: Settings) -> str:
    """The API's address at the first start of this data folder; this command may not know its port."""
    try:
        return json.loads((settings.data_dir / "credentials.json").read_text("utf-8"))["api_url"]
    except (OSError, ValueError, KeyError):
        return f"http://{settings.host}:{settings.api_port}"


COMMANDS: Final = (create_organization, invite, list_invitations, resend_invitation, revoke_invitation, list_access)

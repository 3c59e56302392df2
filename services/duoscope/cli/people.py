"""`duoscope admin`: organizations, invitations, and who can do what."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final
from uuid import UUID

import rich_click as click

from duoscope.cli import output, welcome
from duoscope.cli.admin import mfa_option, open_store
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.identity.invitations import Sent
    from duoscope.identity.operators import MadeOrganization
    from duoscope.metadata.user_roles import Access


@click.command("create-organization")
@click.argument("name")
@click.option("--region", default="default", show_default=True, help="Code of its region.")
@mfa_option
@settings_options("data_dir")
@json_option
def create_organization(settings: Settings, name: str, region: str, *, mfa_required: bool, as_json: bool) -> None:
    """Make an organization with a first workspace and tenant."""
    from duoscope import runtime
    from duoscope.identity import operators

    async def run() -> "MadeOrganization":
        async with open_store(settings) as store:
            return await operators.create_organization(store, name=name, region=region, mfa_required=mfa_required)

    made = runtime.run(run())
    if as_json:
        output.emit_json({**asdict(made.organization), "workspace_id": made.workspace_id, "tenant_id": made.tenant_id})
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
@click.option("--role", default="viewer", show_default=True, help="Built-in, or one of the organization's own.")
@click.option("--tenant", "tenant_id", type=click.UUID, help="Only in this tenant; organization-wide if not given.")
@settings_options("data_dir")
@json_option
def invite(
    settings: Settings, email: str, organization: str, role: str, tenant_id: UUID | None, *, as_json: bool
) -> None:
    """Invite somebody. The link is printed, and mailed where a mail server is configured."""
    from duoscope import runtime
    from duoscope.identity import operators
    from duoscope.identity.invitations import Invitations
    from duoscope.identity.mail import Mailer
    from duoscope.identity.passwords import SlowHasher
    from duoscope.identity.secret_keys import SecretKeys

    async def run() -> "Sent":
        mailer = Mailer(settings, SecretKeys.load(settings))
        hasher = SlowHasher(threads=1)
        url = settings.public_url or _api_url(settings)
        try:
            async with open_store(settings) as store:
                return await operators.invite(
                    store,
                    Invitations(store, mailer, hasher, public_url=url),
                    organization=organization,
                    email=email,
                    role=role,
                    tenant_id=tenant_id,
                )
        finally:
            hasher.close()

    sent = runtime.run(run())
    if as_json:
        output.emit_json({**asdict(sent.invitation), "link": sent.link})
        return
    click.echo(
        f"Invited {email} as {role}. The link works once, until {sent.invitation.expires_at:%Y-%m-%d %H:%M} UTC:"
    )
    click.echo(sent.link)


@click.command("list-access")
@click.option("--organization", help="Code of the organization, see list-tenants; all if not given.")
@settings_options("data_dir")
@json_option
def list_access(settings: Settings, organization: str | None, *, as_json: bool) -> None:
    """List who can do what: users, their roles, where and until when."""
    from duoscope import runtime
    from duoscope.identity import operators

    async def run() -> "list[Access]":
        async with open_store(settings) as store:
            return await operators.list_access(store, organization=organization)

    found = runtime.run(run())
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


def _api_url(settings: Settings) -> str:
    """Where the API of this data folder was at its first start; this command may not have been told its port."""
    try:
        return json.loads((settings.data_dir / "credentials.json").read_text("utf-8"))["api_url"]
    except (OSError, ValueError, KeyError):
        return f"http://{settings.host}:{settings.api_port}"


COMMANDS: Final = (create_organization, invite, list_access)

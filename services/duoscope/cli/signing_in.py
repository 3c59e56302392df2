"""`duoscope admin`: ends sessions, proves e-mail domains, and allows a password where the organization requires single
sign-on.
"""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

from typing import Final

import rich_click as click

from duoscope.cli import output
from duoscope.cli.admin import open_store
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel.errors import invalid
from duoscope.kernel.settings import Settings

PASSWORD_HOURS_MAX: Final = 24


@click.command("end-sessions")
@click.argument("email", required=False)
@click.option("--organization", help="Code of an organization, see list-tenants: the sessions of all its users.")
@settings_options("data_dir")
@json_option
def end_sessions(settings: Settings, email: str | None, organization: str | None, *, as_json: bool) -> None:
    """End all sessions of a user, or of an organization; their access tokens stop at once."""
    from duoscope.identity.authentication import session_admin
    from duoscope.kernel.actor import operator
    from duoscope.runtime import serve

    if (email is None) == (organization is None):
        raise invalid("Give an e-mail address, or --organization.")

    async def run() -> int:
        async with open_store(settings) as store:
            return await session_admin.end_by_operator(store, operator(), email=email, organization=organization)

    count = serve.run(run())
    if as_json:
        output.emit_json({"sessions": count})
        return
    click.echo(f"Ended {count} {'session' if count == 1 else 'sessions'} of {email or organization}.")


@click.command("allow-password")
@click.argument("email")
@click.option(
    "--hours",
    type=click.IntRange(1, PASSWORD_HOURS_MAX),
    default=1,
    show_default=True,
    help="For how long.",
)
@settings_options("data_dir")
def allow_password(settings: Settings, email: str, hours: int) -> None:
    """Let a user log in with their password for a while, though their organization requires single sign-on
    (sso_required).
    """
    from duoscope.identity.authentication import sso
    from duoscope.kernel.actor import operator
    from duoscope.runtime import serve

    async def run() -> None:
        async with open_store(settings) as store:
            await sso.allow_password(store, operator(), email, lifetime_s=hours * 3600)

    serve.run(run())
    click.echo(f"The password of {email} counts for {hours} {'hour' if hours == 1 else 'hours'}.")


@click.command("verify-domain")
@click.argument("domain")
@click.option("--organization", required=True, help="Code of the organization that owns the domain; see list-tenants.")
@click.option("--take-over", is_flag=True, help="Remove another organization's proof.")
@settings_options("data_dir")
@json_option
def verify_domain(settings: Settings, domain: str, organization: str, *, take_over: bool, as_json: bool) -> None:
    """Confirm that an e-mail domain belongs to an organization, so that its identity providers may vouch for addresses
    in it.

    This replaces the DNS record with which its admins can prove that themselves.
    """
    from duoscope.identity.oidc import email_domains
    from duoscope.kernel.actor import operator
    from duoscope.metadata.email_domains import EmailDomain
    from duoscope.runtime import serve

    async def run() -> EmailDomain:
        async with open_store(settings) as store:
            return await email_domains.verify_by_operator(
                store, operator(), organization=organization, domain=domain, takes_over=take_over
            )

    claim = serve.run(run())
    if as_json:
        output.emit_json(
            {"email_domain_id": claim.email_domain_id, "domain": claim.domain, "verified_by": claim.verified_by}
        )
        return
    click.echo(f"{claim.domain} is the organization's, by {claim.verified_by}.")


COMMANDS: Final = (end_sessions, allow_password, verify_domain)

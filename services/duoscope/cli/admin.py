"""`duoscope admin`: commands for an operator with access to the metadata store, across tenants.

They work while duoscope runs: they connect to the same PostgreSQL, embedded or not.
"""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import rich_click as click

from duoscope.cli import output, welcome
from duoscope.cli.options import Command, json_option, require_data, settings_options
from duoscope.kernel.clock import now
from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import RETENTION_CLASSES_DAYS, RETENTION_DEFAULT_DAYS
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.identity.passwords.hashing import SlowHasher
    from duoscope.identity.passwords.rules import PasswordRules
    from duoscope.metadata.tenants import Tenant
    from duoscope.stores.postgres import MetadataStore

T = TypeVar("T")

PERMISSIONS: Final = ("traces:write", "metrics:write", "logs:write", "monitors:report")
READ_PERMISSIONS: Final = ("traces:read", "metrics:read", "logs:read")
ALERT_PERMISSIONS: Final = ("alerts:read", "alerts:write")
GRACE_HOURS_MAX: Final = 720
ROLES: Final = "admin, developer, viewer, demo, service, or a role of the tenant's own"
_RETENTION: Final = click.Choice([str(days) for days in RETENTION_CLASSES_DAYS])
_PASSWORD_OPTIONS: Final = "The password is asked for unless --generate or --password-stdin is given."  # noqa: S105 - help text


@click.group()
def admin() -> None:
    """Manage tenants, users and API keys.

    Anyone who can reach the metadata store can use these commands. They work while duoscope runs.
    """


def _tenant_option(command: Command) -> Command:
    return click.option("--tenant", "tenant_id", type=click.UUID, required=True, help="Tenant id; see list-tenants.")(
        command
    )


def mfa_option(command: Command) -> Command:
    """Add the options that say whether a new organization requires a second factor."""
    return click.option(
        "--mfa-required/--mfa-optional",
        default=True,
        show_default=True,
        help="Whether users of a newly created organization need a second factor.",
    )(command)


def _password_options(command: Command) -> Command:
    command = click.option(
        "--generate", is_flag=True, help="Generate a password that is valid for a day, and print it once."
    )(command)
    return click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")(command)


@admin.command("create-tenant")
@click.argument("name")
@click.option(
    "--organization",
    default="Default",
    show_default=True,
    help="Name or code; created if it does not exist. Its organization-wide roles apply in the tenant too.",
)
@click.option("--workspace", default="Default", show_default=True, help="Created if it does not exist.")
@click.option(
    "--retention-days",
    type=_RETENTION,
    default=str(RETENTION_DEFAULT_DAYS),
    show_default=True,
    help="Days to keep telemetry.",
)
@mfa_option
@settings_options("data_dir")
@json_option
def create_tenant(
    settings: Settings,
    name: str,
    organization: str,
    workspace: str,
    retention_days: str,
    *,
    mfa_required: bool,
    as_json: bool,
) -> None:
    """Create a tenant, with its organization and workspace if they are new."""
    from duoscope.identity.operators import administration

    tenant = _with_store(
        settings,
        lambda store, _: administration.create_tenant(
            store,
            organization=organization,
            workspace=workspace,
            tenant=name,
            retention_days=int(retention_days),
            mfa_required=mfa_required,
        ),
    )
    if as_json:
        output.emit_json(tenant)
        return
    click.echo(f"Made tenant {tenant.name} ({tenant.tenant_id}), which keeps telemetry {tenant.retention_days} days.")
    click.echo(f"Next: {welcome.command(settings, f'admin create-api-key --tenant {tenant.tenant_id}')}")


@admin.command("list-tenants")
@settings_options("data_dir")
@json_option
def list_tenants(settings: Settings, *, as_json: bool) -> None:
    """List all tenants with their organizations and workspaces."""
    from duoscope.identity.operators import administration, organizations

    async def found(store: "MetadataStore", _: object) -> "tuple[list[Tenant], dict[UUID, tuple[str, str]]]":
        return await administration.list_tenants(store), await organizations.list_places(store)

    tenants, places = _with_store(settings, found)
    if as_json:
        output.emit_json(tenants)
        return
    rows = [(t.tenant_id, t.name, *places[t.tenant_id], f"{t.retention_days} days", _yes(t.is_active)) for t in tenants]
    output.table(("Tenant", "Name", "Organization", "Workspace", "Kept", "Active"), rows, empty="No tenants.")


@admin.command("create-user", help=f"Make a user at home in a tenant. {_PASSWORD_OPTIONS}")
@click.argument("email")
@_tenant_option
@click.option("--role", default="viewer", show_default=True, help=f"{ROLES}.")
@_password_options
@settings_options("data_dir")
@json_option
def create_user(settings: Settings, email: str, tenant_id: UUID, role: str, **options: Any) -> None:
    """Create a user."""
    from duoscope.identity.operators import administration

    as_json = options.pop("as_json")
    password, expires_at = _password(**options)
    user = _with_store(
        settings,
        lambda store, hasher: administration.create_user(
            store,
            hasher,
            tenant_id=tenant_id,
            email=email,
            password=password,
            password_expires_at=expires_at,
            role=role,
            rules=_rules(settings),
        ),
    )
    if as_json:
        output.emit_json({"user_id": user.user_id, "email": user.email, "role": role, **_told(password, expires_at)})
        return
    click.echo(f"Made user {user.email} ({user.user_id}) with the role {role}.")
    _show_password(password, expires_at)


@admin.command("create-api-key")
@_tenant_option
@click.option("--name", default="collector", show_default=True, help="What the key is for.")
@click.option(
    "--allow",
    type=click.Choice((*PERMISSIONS, *READ_PERMISSIONS, *ALERT_PERMISSIONS)),
    multiple=True,
    help="A permission of the key; can be given several times. [default: send all signals]",
)
@click.option("--expires-in-days", type=click.IntRange(min=1), metavar="DAYS", help="Never, if not given.")
@click.option(
    "--rate-limit",
    type=click.IntRange(min=1),
    metavar="REQUESTS",
    help="Requests per minute. [default: no limit; 6000 with --browser-only]",
)
@click.option(
    "--allowed-origin",
    "allowed_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Pages that may send with it, such as https://shop.example.com, or * for all; can be given several times.",
)
@click.option("--browser-only", "is_browser_only", is_flag=True, help="For pages, which everybody can read.")
@settings_options("data_dir")
@json_option
def create_api_key(  # noqa: PLR0917 - click passes them by name
    settings: Settings,
    tenant_id: UUID,
    name: str,
    allow: tuple[str, ...],
    expires_in_days: int | None,
    rate_limit: int | None,
    allowed_origins: tuple[str, ...],
    *,
    is_browser_only: bool,
    as_json: bool,
) -> None:
    """Create an API key with which a collector or SDK sends telemetry for a tenant. It is shown once."""
    from duoscope.identity.operators import administration

    expires_at = now() + timedelta(days=expires_in_days) if expires_in_days else None
    key = _with_store(
        settings,
        lambda store, hasher: administration.create_api_key(
            store,
            hasher,
            tenant_id=tenant_id,
            name=name,
            permissions=allow,
            expires_at=expires_at,
            rate_limit=rate_limit,
            allowed_origins=allowed_origins,
            is_browser_only=is_browser_only,
        ),
    )
    if as_json:
        output.emit_json({**asdict(key), "expires_at": expires_at})
        return
    click.echo(f"Made key {key.key_id} for tenant {key.tenant_id}: {', '.join(key.permissions)}.")
    _show_once("API key", key.api_key)


@admin.command("list-api-keys")
@click.option("--tenant", "tenant_id", type=click.UUID, help="Only keys of this tenant.")
@settings_options("data_dir")
@json_option
def list_api_keys(settings: Settings, tenant_id: UUID | None, *, as_json: bool) -> None:
    """List API keys, newest first; never their secrets."""
    from duoscope.identity.operators import administration

    keys = _with_store(settings, lambda store, _: administration.list_api_keys(store, tenant_id=tenant_id))
    if as_json:
        output.emit_json(keys)
        return
    rows = [
        (
            key.key_id,
            key.name,
            key.tenant_id,
            key.status,
            key.last_used_at.strftime("%Y-%m-%d %H:%M") if key.last_used_at else "never",
            " ".join(key.permissions),
        )
        for key in keys
    ]
    output.table(("Key", "Name", "Tenant", "Status", "Last used (UTC)", "May"), rows, empty="No API keys.")


@admin.command("rotate-api-key")
@click.argument("key_id")
@click.option(
    "--grace-hours",
    type=click.IntRange(0, GRACE_HOURS_MAX),
    default=24,
    show_default=True,
    help="Hours for which the previous secret keeps working.",
)
@settings_options("data_dir")
@json_option
def rotate_api_key(settings: Settings, key_id: str, grace_hours: int, *, as_json: bool) -> None:
    """Give an API key a new secret, by its id (tfk-…, the part before the dot). The secret is shown once.

    Both secrets work until the grace period is over, so that collectors can change over one by one. A secret from
    before the last rotation stops working at once.
    """
    from duoscope.identity.operators import administration

    key_id = key_id.partition(".")[0]
    key = _with_store(
        settings,
        lambda store, hasher: administration.rotate_api_key(store, hasher, key_id, grace_s=grace_hours * 3600),
    )
    if as_json:
        output.emit_json(asdict(key))
        return
    click.echo(f"{key.key_id} has another secret; the one before works for {grace_hours} more hours.")
    _show_once("API key", key.api_key)


@admin.command("revoke-api-key")
@click.argument("key_id")
@click.option("--reason", default="revoked by an operator", show_default=True, help="Kept with the key.")
@settings_options("data_dir")
def revoke_api_key(settings: Settings, key_id: str, reason: str) -> None:
    """Revoke an API key for good, by its id (tfk-…, the part before the dot). Receivers refuse it within 2 seconds."""
    from duoscope.identity.operators import administration

    key_id = key_id.partition(".")[0]
    _with_store(settings, lambda store, _: administration.revoke_api_key(store, key_id, reason=reason))
    click.echo(f"Revoked {key_id}. Receivers notice within 2 seconds.")


@admin.command("reset-password", help=f"Give a user another password and end their sessions. {_PASSWORD_OPTIONS}")
@click.argument("email")
@_password_options
@settings_options("data_dir")
@json_option
def reset_password(settings: Settings, email: str, **options: Any) -> None:
    """Set a new password for a user."""
    from duoscope.identity.operators import administration, bootstrap

    as_json = options.pop("as_json")
    password, expires_at = _password(**options)
    _with_store(
        settings,
        lambda store, hasher: administration.reset_password(
            store, hasher, email=email, password=password, password_expires_at=expires_at, rules=_rules(settings)
        ),
    )
    bootstrap.forget_password(settings.data_dir, email)
    if as_json:
        output.emit_json({"email": email, **_told(password, expires_at)})
        return
    click.echo(f"{email} has another password; their sessions have ended.")
    _show_password(password, expires_at)


@admin.command("set-retention")
@_tenant_option
@click.argument("days", type=_RETENTION, metavar="DAYS")
@settings_options("data_dir")
def set_retention(settings: Settings, tenant_id: UUID, days: str) -> None:
    """Set the number of days for which a tenant's telemetry is kept. Applies to telemetry that arrives from now on."""
    from duoscope.identity.operators import administration

    _with_store(
        settings,
        lambda store, _: administration.set_retention(store, tenant_id=tenant_id, retention_days=int(days)),
    )
    click.echo(f"Telemetry of tenant {tenant_id} that arrives from now on is kept {days} days.")
    click.echo("Receivers notice within 30 seconds; what is stored already keeps its own time.")


@asynccontextmanager
async def open_store(settings: Settings) -> "AsyncGenerator[MetadataStore]":
    """Open the metadata store of a running or stopped duoscope; its schema must be this installation's.

    Raises:
        DuoscopeError: NOT_FOUND for a data folder in which nothing was ever started, rather than creating one there.
    """
    from contextlib import AsyncExitStack

    from duoscope.stores.embedded import postgres_address
    from duoscope.stores.migrations import verify_schema
    from duoscope.stores.postgres import MetadataStore

    async with AsyncExitStack() as stack:
        dsn = settings.postgres_dsn
        if settings.embedded_postgres:
            require_data(settings)
            dsn = (await stack.enter_async_context(postgres_address(settings.data_dir))).service_dsn
        store = await MetadataStore.connect(dsn, connections_max=1, component="admin")
        stack.push_async_callback(store.close)
        verify_schema("postgres", await store.applied_migrations())
        yield store


def _with_store(settings: Settings, work: "Callable[[MetadataStore, SlowHasher], Awaitable[T]]") -> T:
    from duoscope.identity.passwords.hashing import SlowHasher
    from duoscope.runtime import serve

    async def run() -> T:
        async with open_store(settings) as store:
            hasher = SlowHasher(threads=1)
            try:
                return await work(store, hasher)
            finally:
                hasher.close()

    return serve.run(run())


def _password(*, generate: bool, password_stdin: bool) -> tuple[str, datetime | None]:
    """The password to set, and when it expires if it was generated here."""
    from duoscope.identity.passwords.rules import generated

    if generate and password_stdin:
        raise invalid("Give --generate or --password-stdin, not both.")
    if generate:
        return generated()
    if password_stdin:
        return sys.stdin.readline().rstrip("\r\n"), None
    if not sys.stdin.isatty():
        raise invalid("There is no terminal to ask for the password on: give --generate or --password-stdin.")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True), None


def _told(password: str, expires_at: datetime | None) -> dict[str, Any]:
    return {"password": password if expires_at else None, "password_expires_at": expires_at}


def _show_password(password: str, expires_at: datetime | None) -> None:
    if expires_at is not None:
        _show_once("Password", password)
        click.echo(
            f"It works until {expires_at:%Y-%m-%d %H:%M} UTC. Before, its user logs in and sets their own, with "
            "POST /api/v1/auth/password/change."
        )


def _rules(settings: Settings) -> "PasswordRules":
    from duoscope.identity.passwords.breached_passwords import BreachedPasswords
    from duoscope.identity.passwords.rules import PasswordRules

    return PasswordRules(BreachedPasswords(settings.breached_passwords_url))


def _show_once(name: str, value: str | None) -> None:
    if value is not None:
        click.echo(f"{name}, shown this once: {value}")


def _yes(value: bool) -> str:  # noqa: FBT001 - it is what is printed
    return "yes" if value else "no"

"""`duoscope admin show-limits` and `set-limits`: the limits of a tenant or an organization."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import rich_click as click

from duoscope.cli import output
from duoscope.cli.admin import open_store
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel import organization_limits, query_limits
from duoscope.kernel.actor import operator
from duoscope.kernel.errors import invalid
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.named_limits import NamedLimits
from duoscope.kernel.organization_limits import OrganizationLimits
from duoscope.kernel.query_limits import QueryLimits
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.identity.directory.organization_limits import Holding
    from duoscope.metadata.tenants import Tenant
    from duoscope.stores.postgres import MetadataStore

T = TypeVar("T")

_DEFAULT = "default"


def _whose(command: Callable[..., None]) -> Callable[..., None]:
    tenant = click.option("--tenant", "tenant_id", type=click.UUID, help="Tenant id; see list-tenants.")
    organization = click.option("--organization", help="Code of the organization, in place of a tenant.")
    return tenant(organization(command))


@click.command("show-limits")
@_whose
@settings_options("data_dir")
@json_option
def show_limits(settings: Settings, tenant_id: UUID | None, organization: str | None, *, as_json: bool) -> None:
    """Show the limits of a tenant or an organization, and which of them are its own.

    The others are the instance's defaults, from this command's environment. For rates and active series, 0 means no
    limit.
    """
    from duoscope.identity.directory import ingest_limits as limits_of_tenants

    if tenant_id is None:
        _show_organization(settings, _of_organization(settings, _one(tenant_id, organization), {}), as_json=as_json)
        return
    _one(tenant_id, organization)
    tenant = _with_store(settings, lambda store: limits_of_tenants.of_tenant(store, tenant_id))
    _show(settings, tenant, as_json=as_json)


@click.command("set-limits")
@_whose
@click.argument("changes", nargs=-1, required=True, metavar="NAME=NUMBER...")
@settings_options("data_dir")
@json_option
def set_limits(
    settings: Settings, tenant_id: UUID | None, organization: str | None, changes: tuple[str, ...], *, as_json: bool
) -> None:
    """Set limits of a tenant, such as `items_per_second=20000`; `items_per_second=default` restores the default.

    For an organization, such as `tenants=200`.

    show-limits lists the names; 0 means no limit. Running receivers apply the change at once.
    """
    from duoscope.identity.directory import ingest_limits as limits_of_tenants

    if tenant_id is None:
        code = _one(tenant_id, organization)
        wanted = dict(_parsed(change, organization_limits.NAMED) for change in changes)
        _show_organization(settings, _of_organization(settings, code, wanted), as_json=as_json)
        return
    _one(tenant_id, organization)
    wanted = dict(_parsed(change, query_limits.OF_TENANT) for change in changes)
    tenant = _with_store(settings, lambda store: limits_of_tenants.change(store, operator(), tenant_id, wanted))
    _show(settings, tenant, as_json=as_json)


COMMANDS: Final = (show_limits, set_limits)


def _one(tenant_id: UUID | None, organization: str | None) -> str:
    if (tenant_id is None) == (organization is None):
        raise click.UsageError("Give one of --tenant and --organization.")
    return organization or ""


def _of_organization(settings: Settings, code: str, changes: dict[str, int | None]) -> "Holding":
    from duoscope.identity.directory import organization_limits as limits_of_organizations

    return _with_store(settings, lambda store: limits_of_organizations.of_code(store, operator(), code, changes))


def _show_organization(settings: Settings, holding: "Holding", *, as_json: bool) -> None:
    applied = asdict(OrganizationLimits.parse(settings.organization_limits).with_own(holding.own))
    in_force = organization_limits.rates(holding.rates, IngestLimits.parse(settings.ingest_limits))
    applied |= dict(zip(organization_limits.RATES, in_force, strict=True))
    if as_json:
        shown = {"organization_id": holding.organization_id, "limits": applied, "own": holding.own}
        output.emit_json({**shown, "used": holding.used})
        return
    rows = [
        (name, f"{value:,}", "the organization's" if name in holding.own else "", str(holding.used.get(name, "")))
        for name, value in applied.items()
    ]
    output.table(("Limit", "Holds", "Own", "Used"), rows, empty="")


def _parsed(change: str, limits: NamedLimits) -> tuple[str, int | None]:
    name, _, text = change.partition("=")
    if text == _DEFAULT and name in limits.names:
        return name, None
    if not text.isascii() or not text.isdigit():
        raise invalid(f"{change!r} is not of the form NAME=NUMBER, such as items_per_second=20000.")
    return name, limits.check(name, int(text))


def _show(settings: Settings, tenant: "Tenant", *, as_json: bool) -> None:
    applied = asdict(IngestLimits.parse(settings.ingest_limits).with_own(tenant.own_limits))
    applied |= asdict(QueryLimits.parse(settings.query_limits).with_own(tenant.own_limits))
    if as_json:
        output.emit_json({"tenant_id": tenant.tenant_id, "limits": applied, "own": tenant.own_limits})
        return
    rows = [
        (name, f"{value:,}", "the tenant's" if name in tenant.own_limits else "") for name, value in applied.items()
    ]
    output.table(("Limit", "Holds", "Own"), rows, empty="")


def _with_store(settings: Settings, work: "Callable[[MetadataStore], Awaitable[T]]") -> T:
    from duoscope.runtime import serve

    async def run() -> T:
        async with open_store(settings) as store:
            return await work(store)

    return serve.run(run())

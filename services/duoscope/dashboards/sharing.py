"""Links by which strangers see a dashboard, and nothing else.

A token has 128 random bits and is kept as its hash. Whoever has it may look over a range up to now that is bounded, and
choose listed values of listed variables; the questions are the dashboard's own, asked with the rights that whoever made
the link held. Links are managed by their ids. The scope of a stranger is made here.
"""

import base64
import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import structs

from duoscope.dashboards import management, stored
from duoscope.dashboards.filling import ALL
from duoscope.dashboards.model import Dashboard
from duoscope.dashboards.variables import ListVariable, QueryVariable
from duoscope.dashboards.variables import chosen as first_chosen
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory.soft_deletion import require_living
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, not_found
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import dashboard_links, dashboards, widgets
from duoscope.metadata.dashboard_links import DashboardLink
from duoscope.stores.postgres import MetadataStore

LINKS_MAX: Final = 100
"""Of one dashboard, with those that were revoked."""
TOKEN: Final = re.compile(r"dsl_[a-z2-7]{26}", re.ASCII)
"""The form of a token, by which logs know one wherever it stands."""
KNOWN_S: Final = 1.0
"""For how long a link is not looked up again: it ends so long after it was revoked, at the latest."""
_KNOWN_MAX: Final = 1000
_RATE: Final = 10.0
_BURST: Final = 60.0
"""Requests a second of one address or one link, and how many at once."""
_WRONG_RATE: Final = 0.5
_WRONG_BURST: Final = 20.0
"""The same for tokens that open nothing."""
_RATES_MAX: Final = 10_000
_LOOKUP: Final = PlatformScope(reason="the token of a link names no tenant")


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that can be used, and what it opens.

    Attributes:
        scope: of the dashboard's tenant.
        link: its terms.
        own_limits: of the tenant, by name.
        dashboard: as it is now.
    """

    scope: Scope
    link: DashboardLink
    own_limits: Mapping[str, int]
    dashboard: Dashboard

    def chosen(self, variables: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
        """The values that a stranger chose, and of other listed variables those that the dashboard begins with and are
        listed, or else the listed ones. Raises INVALID `not-shared` unless all that were chosen are listed.
        """
        found: dict[str, tuple[str, ...]] = {}
        for name, values in variables.items():
            listed = self.link.variables.get(name, [])
            found[name] = tuple(dict.fromkeys(values))
            if not found[name] or not set(found[name]) <= set(listed):
                raise invalid("The link does not let you choose that.", code="not-shared")
        for variable in self.dashboard.variables:
            if (listed := self.link.variables.get(variable.name)) and variable.name not in found:
                at_first = first_chosen(variable, None)
                shown = tuple(value for value in (*at_first.values, *[ALL] * at_first.is_all) if value in listed)
                several = isinstance(variable, QueryVariable | ListVariable) and variable.multi
                found[variable.name] = tuple(dict.fromkeys(shown or listed))[: None if several else 1]
        return found

    def bounded(self) -> Dashboard:
        """The dashboard, with no widget that looks further back than the link lets anybody."""
        most = self.link.range_seconds_max
        widgets_ = tuple(
            each if each.range_seconds is None else structs.replace(each, range_seconds=min(each.range_seconds, most))
            for each in self.dashboard.widgets
        )
        return structs.replace(self.dashboard, widgets=widgets_)

    def range_s(self, wanted: int | None) -> int:
        """The length of the range, up to now. Raises INVALID `not-shared` for one that is too long."""
        if wanted is None:
            return min(self.dashboard.range_seconds, self.link.range_seconds_max)
        if not 60 <= wanted <= self.link.range_seconds_max:  # noqa: PLR2004 - a minute
            raise invalid(f"The link shows from 60 to {self.link.range_seconds_max} seconds.", code="not-shared")
        return wanted


async def create(
    store: MetadataStore,
    principal: Principal,
    dashboard_id: UUID,
    *,
    name: str,
    variables: Mapping[str, list[str]],
    range_seconds_max: int,
    embed_origins: list[str],
    expires_at: datetime | None,
) -> tuple[DashboardLink, str]:
    """Make a link. Returns it with its token, which is known to nobody afterwards.

    Raises:
        DuoscopeError: NOT_FOUND; INVALID for a variable that the dashboard does not have; FORBIDDEN for a dashboard
            that asks what its author may not ask; CONFLICT `too-many-links`.
    """
    token = "dsl_" + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
    async with store.open(principal.scope, "dashboard_links.create") as tx:
        row = await management.locked(tx, dashboard_id)
        dashboard = stored.document(
            name=row.name,
            description=row.description,
            layout_config=row.layout_config,
            variables=row.variables,
            rows=await widgets.of_dashboard(tx, dashboard_id),
        )
        known = {variable.name for variable in dashboard.variables}
        if unknown := sorted(set(variables) - known):
            raise invalid(f"`variables`: the dashboard has no variable {unknown[0][:64]!r}.")
        needed = {
            each for widget in dashboard.widgets for query in widget.queries for each in query.question.permissions
        }
        for permission in sorted(needed):
            principal.require(permission)
        if len(await dashboard_links.of_dashboard(tx, dashboard_id)) >= LINKS_MAX:
            message = f"A dashboard has at most {LINKS_MAX} links."
            raise DuoscopeError(ErrorKind.CONFLICT, "too-many-links", message)
        link = await dashboard_links.create(
            tx,
            dashboard_id,
            name=name,
            token_hash=_hash(token),
            permissions=sorted(needed),
            variables={each: list(dict.fromkeys(values)) for each, values in variables.items()},
            range_seconds_max=range_seconds_max,
            embed_origins=embed_origins,
            expires_at=expires_at,
            created_by=principal.user_id,
        )
        await dashboard_links.mark(tx, dashboard_id)
        await audit.created(tx, principal.actor, link)
    return link, token


async def list_links(store: MetadataStore, principal: Principal, dashboard_id: UUID) -> list[DashboardLink]:
    """The links of a dashboard, with those that are over. Raises NOT_FOUND."""
    async with store.open(principal.scope, "dashboard_links.list") as tx:
        require_living(await dashboards.get(tx, dashboard_id), "dashboard")
        return await dashboard_links.of_dashboard(tx, dashboard_id)


async def revoke(store: MetadataStore, principal: Principal, *, dashboard_id: UUID, dashboard_link_id: UUID) -> None:
    """Revoke a link, for good. Raises NOT_FOUND."""
    async with store.open(principal.scope, "dashboard_links.revoke") as tx:
        await management.locked(tx, dashboard_id)
        link = await dashboard_links.revoke(tx, dashboard_id=dashboard_id, dashboard_link_id=dashboard_link_id)
        if link is None:
            raise not_found("link")
        await dashboard_links.mark(tx, dashboard_id)
        await audit.record(tx, principal.actor, "dashboard-link.revoked", link)


class Links:
    """The links that strangers use in this process. `clock` counts seconds and never goes back."""

    def __init__(self, store: MetadataStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Opened]] = OrderedDict()
        self._rates: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def open(self, token: str, address: str | None) -> Opened:
        """Open a link.

        Raises:
            DuoscopeError: NOT_FOUND, the same for a token that is wrong, over or revoked, and for a dashboard that is
                deleted; RATE_LIMITED `too-many-requests`; UNAVAILABLE.
        """
        place = address or "-"
        self._require_room(f"address {place}", _RATE, _BURST)
        hashed = _hash(token)
        known = self._known.get(hashed)
        if known is None or self._clock() >= known[0]:
            self._known.pop(hashed, None)
            self._require_room(f"wrong {place}", _WRONG_RATE, _WRONG_BURST, cost=0.0)
            began = self._clock()
            opened = await self._find(hashed) if TOKEN.fullmatch(token) else None
            if opened is None:
                self._require_room(f"wrong {place}", _WRONG_RATE, _WRONG_BURST)
                raise not_found("dashboard")
            # From when it was asked for, so that it is never known for longer.
            known = self._known[hashed] = began + KNOWN_S, opened
            while len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        self._require_room(f"link {hashed}", _RATE, _BURST)
        return known[1]

    async def _find(self, hashed: str) -> Opened | None:
        async with self._store.open_platform(_LOOKUP, "dashboard_links.find") as tx:
            found = await dashboard_links.find(tx, hashed)
        if found is None:
            return None
        link, own_limits = found
        scope = Scope(link.organization_id, link.workspace_id, link.tenant_id)
        async with self._store.open(scope, "dashboard_links.dashboard") as tx:
            row = await dashboards.get(tx, link.dashboard_id)
            if row is None or row.deleted_at is not None:
                return None
            dashboard = stored.document(
                name=row.name,
                description=row.description,
                layout_config=row.layout_config,
                variables=row.variables,
                rows=await widgets.of_dashboard(tx, link.dashboard_id),
            )
        return Opened(scope, link, own_limits, dashboard)

    def _require_room(self, who: str, rate: float, burst: float, *, cost: float = 1.0) -> None:
        now = self._clock()
        left, at = self._rates.pop(who, (burst, now))
        left = min(burst, left + (now - at) * rate)
        has_room = left >= 1.0
        self._rates[who] = (left - cost if has_room else left), now
        while len(self._rates) > _RATES_MAX:
            self._rates.popitem(last=False)
        if not has_room:
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED, "too-many-requests", "Too many requests; wait a little.", retry_after_s=2.0
            )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

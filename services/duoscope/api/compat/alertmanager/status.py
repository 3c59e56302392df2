"""What Alertmanager says of itself: its version, and that there is no cluster to look at; and who can be told."""

from datetime import datetime
from typing import Any, Final

from litestar import Request
from msgspec import Struct

import duoscope
from duoscope.api.bodies import Services
from duoscope.api.compat.alertmanager.forms import KEYS, ROOT, AmReceiver
from duoscope.api.routing import LISTS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel import clock
from duoscope.metadata import notification_groups

ROUTES: Final = Routes("alertmanager")
_STARTED: Final = clock.now()
_SPOKEN: Final = "0.25.0"
"""The version of Alertmanager whose API this is."""


class Cluster(Struct, frozen=True):
    """There is none: all processes share one PostgreSQL."""

    status: str
    peers: list[dict[str, str]]


class Version(Struct, frozen=True, rename="camel"):
    """Versions: of the API that is spoken, and of duoscope as the revision."""

    version: str
    revision: str
    branch: str
    build_user: str
    build_date: str
    go_version: str


class Config(Struct, frozen=True):
    """There is no file."""

    original: str


class AlertmanagerStatus(Struct, frozen=True, rename="camel"):
    """The answer of `status`."""

    cluster: Cluster
    version_info: Version
    config: Config
    uptime: datetime


@ROUTES.get(f"{ROOT}/status", "Alertmanager: status", "alert:read", problems=LISTS, **KEYS)
async def alertmanager_status() -> AlertmanagerStatus:
    """The version, and a cluster of nobody."""
    version = Version(_SPOKEN, f"duoscope {duoscope.__version__}", "", "", "", "")
    return AlertmanagerStatus(Cluster("disabled", []), version, Config(""), _STARTED)


@ROUTES.get(f"{ROOT}/receivers", "Alertmanager: receivers", "alert:read", problems=LISTS, **KEYS)
async def alertmanager_receivers(request: Request[Principal, Any, Any], services: Services) -> list[AmReceiver]:
    """The names of the tenant's notification groups."""
    async with services.metadata.open(request.user.scope, "alertmanager.receivers") as tx:
        return [AmReceiver(each.name) for each in await notification_groups.of_tenant(tx)]

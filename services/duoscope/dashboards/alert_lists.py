"""Lists of alerts on dashboards: those of our rules, by state and labels."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from duoscope.dashboards.widgets import AlertList
from duoscope.kernel.scope import Scope
from duoscope.metadata import alert_instances
from duoscope.metadata.listing import PageRequest, rows
from duoscope.stores.postgres import MetadataStore

_READ_MAX = 1000
"""Alerts that are looked at for those that match."""


class ShownAlert(Struct, frozen=True):
    """An alert as a widget shows it."""

    name: Annotated[str, Meta(description="Of its rule.", examples=["Checkout fails"])]
    severity: str
    status: str
    labels: dict[str, str]
    value: float | None
    since: datetime


async def read(store: MetadataStore, scope: Scope, listed: AlertList) -> tuple[list[ShownAlert], bool]:
    """The alerts of a list, the newest first, and whether these are all."""
    page = PageRequest("since", is_descending=True, limit=_READ_MAX, filters={"active": True})
    async with store.open(scope, "dashboards.alerts") as tx:
        found, has_more = await rows(tx, alert_instances.LISTING, page)
    matching = [
        ShownAlert(row["alert_rule_name"], row["severity"], row["status"], row["labels"], row["value"], row["since"])
        for row in found
        if _matches(listed, row["status"], row["alert_rule_name"], row["labels"])
    ]
    return matching[: listed.limit], not has_more and len(matching) <= listed.limit


def _matches(listed: AlertList, status: str, name: str, labels: dict[str, str]) -> bool:
    if status not in listed.states or listed.name.lower() not in name.lower():
        return False
    return all(not value or labels.get(label, "") == value for label, value in listed.labels.items())

"""Makes what channels are owed of transitions of alerts, sends it, and forgets what was settled long ago."""

from typing import Final

from duoscope.background.driver import AGAIN, Driver, Job, Next, Running
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import aggregation_groups, external_alerts, notifications, silences
from duoscope.notification.owing import TRANSITIONS_MAX, Ask, no_queries, owe
from duoscope.notification.sending import CHANNELS_MAX, Sender
from duoscope.stores.postgres import MetadataStore

OWE_NOTIFICATIONS: Final = Job("owe-notifications", period_s=5.0, at_once=True, retry_s=2.0)
"""The evaluator asks for a turn when something happened; the period is for what another process left."""
SEND_NOTIFICATIONS: Final = Job("send-notifications", period_s=5.0, at_once=True, retry_s=2.0, stop_s=3.0)
"""What is newly owed is sent at once; the period is for what is tried again. At a stop, an attempt under way gets a few
seconds: one that was answered but not recorded would be made twice."""
WHILE_BUSY_S: Final = 1.0
FORGET_NOTIFICATIONS: Final = Job("forget-notifications", period_s=3600.0)
KEPT_S: Final = 30 * 24 * 3600.0
ENDED_KEPT_S: Final = 24 * 3600.0
"""How long an alert is known that somebody posted and that is over."""
ROWS_MAX: Final = 10_000
_FORGETTING: Final = PlatformScope(reason="settled notifications of all tenants are removed")


async def forget_settled(metadata: MetadataStore) -> int:
    """Remove notifications that were settled, and silences that ended, long ago. Returns how many, of each up to
    ROWS_MAX.
    """
    async with metadata.open_platform(_FORGETTING, "notifications.forget") as tx:
        removed = await notifications.purge(tx, older_than_s=KEPT_S, rows_max=ROWS_MAX)
        removed = max(removed, await silences.forget(tx, older_than_s=KEPT_S, rows_max=ROWS_MAX))
        removed = max(removed, await external_alerts.forget(tx, older_than_s=ENDED_KEPT_S, rows_max=ROWS_MAX))
        return max(removed, await aggregation_groups.forget(tx, rows_max=ROWS_MAX))


def start_notifications(
    driver: Driver, metadata: MetadataStore, sender: Sender, ask: Ask = no_queries
) -> list[Running]:
    """Start the jobs; `ask` answers the queries of annotations."""

    async def owe_all() -> Next | None:
        taken = await owe(metadata, external_url=sender.external_url, ask=ask)
        if taken:
            driver.activate(SEND_NOTIFICATIONS.name)
        return AGAIN if taken == TRANSITIONS_MAX else None

    async def send() -> Next | None:
        served = await sender.send_due(stopping=sending.stopping)
        return AGAIN if served == CHANNELS_MAX else Next(WHILE_BUSY_S) if served else None

    async def forget() -> Next | None:
        return AGAIN if await forget_settled(metadata) == ROWS_MAX else None

    sending = driver.start(SEND_NOTIFICATIONS, send)
    return [sending, driver.start(OWE_NOTIFICATIONS, owe_all), driver.start(FORGET_NOTIFICATIONS, forget)]

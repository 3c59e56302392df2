"""Periodic removal of rows that have expired; `purge` removes what was deleted long ago, on the same clock."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from duoscope.background.driver import Driver, Job, Running
from duoscope.identity.authentication.throttle import FORGET_S, KNOWN_FOR_S
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import (
    alert_transitions,
    api_key_usage_logs,
    email_verifications,
    login_attempts,
    mail_outbox,
    password_reset_tokens,
    refresh_tokens,
    trusted_devices,
    user_sessions,
)
from duoscope.stores.postgres import MetadataStore, Transaction
from duoscope.worker.purge import purge_deleted

_log = logging.getLogger(__name__)

FORGET_ENDED_TOKENS: Final = Job("forget-ended-tokens", period_s=3600.0, at_once=True, turn_max_s=3600.0)
PURGE_DELETED: Final = Job("purge-deleted", period_s=3600.0, at_once=True, turn_max_s=3600.0)
ROWS_MAX: Final = 10_000
"""Rows removed in one transaction; the rest goes in the next ones."""
SESSION_KEPT_S: Final = 90 * 24 * 3600.0
"""How long an ended session is kept: it shows whether a client is new to its user."""
MAIL_KEPT_S: Final = 30 * 24 * 3600.0
TRANSITIONS_KEPT_S: Final = 24 * 3600.0
"""How long the outbox of alerts keeps what history has."""
UNNOTIFIED_KEPT_S: Final = 7 * 24 * 3600.0
"""And what notification has not taken up by then is too old to tell."""
_REASON: Final = PlatformScope(reason="what has expired is removed for all tenants")


async def forget_ended_tokens(metadata: MetadataStore) -> int:
    """Remove tokens, links, sessions, devices, counters, mail and told alerts that are of no more use. Returns how many
    rows.

    May run twice at once.
    """
    total = 0
    steps: tuple[Callable[[Transaction], Awaitable[int]], ...] = (
        lambda tx: refresh_tokens.purge_expired(tx, ROWS_MAX),
        lambda tx: user_sessions.purge_ended(tx, older_than_s=SESSION_KEPT_S, rows_max=ROWS_MAX),
        lambda tx: trusted_devices.purge_expired(tx, ROWS_MAX),
        lambda tx: password_reset_tokens.purge_expired(tx, ROWS_MAX),
        lambda tx: email_verifications.purge_expired(tx, ROWS_MAX),
        lambda tx: login_attempts.purge(tx, forget_s=FORGET_S, known_for_s=KNOWN_FOR_S),
        lambda tx: api_key_usage_logs.forget_old(tx, ROWS_MAX),
        lambda tx: mail_outbox.purge_failed(tx, older_than_s=MAIL_KEPT_S),
        lambda tx: alert_transitions.forget(
            tx, kept_s=TRANSITIONS_KEPT_S, kept_unnotified_s=UNNOTIFIED_KEPT_S, rows_max=ROWS_MAX
        ),
    )
    for step in steps:
        removed = ROWS_MAX
        while removed == ROWS_MAX:
            async with metadata.open_platform(_REASON, "worker.forget_ended_tokens") as tx:
                removed = await step(tx)
            total += removed
    return total


def start_housekeeping(driver: Driver, metadata: MetadataStore) -> list[Running]:
    """Start the jobs that forget and purge every hour."""

    async def forget() -> None:
        removed = await forget_ended_tokens(metadata)
        _log.info("housekeeping: %d rows of ended sessions, tokens and the like removed", removed)

    async def purge() -> None:
        await purge_deleted(metadata)

    return [driver.start(FORGET_ENDED_TOKENS, forget), driver.start(PURGE_DELETED, purge)]

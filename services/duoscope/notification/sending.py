"""Sends what channels are owed, and settles it.

A channel is leased by one sender at a time, so its messages stay in order; several are served at once, so that one's
trouble is not another's. Each attempt is counted, under the message's key, before it is made: where a worker dies
between the other side's yes and our commit, the repetition bears the same key.

What a group of alerts is owed goes out in one message (metadata/aggregation_groups.py). A tenant that sent as many
messages in this hour as it may is told the rest in summaries: each channel all that is due, once in a while.

The other side in trouble gets a pause that grows with each failure in a row, with jitter, up to an hour; `Retry-After`
is obeyed. What could not be delivered for AGE_MAX_S, or is refused, is given up, and can be replayed. `410 Gone`
switches the channel off.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from prometheus_client import Counter

from duoscope.delivery.mail import Mailer
from duoscope.identity.audit import record as audit
from duoscope.kernel.actor import system
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import notification_attempts, notification_channels, notifications
from duoscope.metadata.notification_attempts import Attempt, Due, Place
from duoscope.metadata.notification_channels import LeasedChannel
from duoscope.metadata.notifications import ONE_BY_ONE
from duoscope.net.outbound import Outbound
from duoscope.notification.channels import email
from duoscope.notification.channels.requests import Config
from duoscope.notification.management import opened
from duoscope.notification.messages import Alert, Message
from duoscope.notification.posting import Outcome, Verdict, post
from duoscope.secrets.box import SecretBox
from duoscope.stores.postgres import MetadataStore, Transaction

CHANNELS_MAX: Final = 32
"""Served at once by one sender."""
MESSAGES_MAX: Final = 20
"""To one channel under one lease; then others have their turn."""
ALERTS_MAX: Final = 500
"""In one message; the rest of its group is counted."""
SUMMARY_EVERY: Final = timedelta(minutes=15)
"""To one channel of a tenant that is beyond its messages an hour."""
LEASE_S: Final = 60.0
"""Longer than an attempt takes: the client waits for a place and then for the answer, 10 s each."""
RETRY_FIRST_S: Final = 5.0
RETRY_FACTOR: Final = 3.0
RETRY_MAX_S: Final = 3600.0
JITTER: Final = 0.2
AGE_MAX_S: Final = 24 * 3600.0

_BEYOND: Final = "The tenant has sent as many messages in this hour as it may: the rest comes as a summary."
_SENDING: Final = PlatformScope(reason="the outbox holds what channels of all tenants are owed")
_ATTEMPTS: Final = Counter(
    "duoscope_notifications_total", "Messages of alerts by channel type and what became of an attempt.",
    ["channel_type", "result"],
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender, with all that it needs. `external_url` is where the UI is."""

    store: MetadataStore
    box: SecretBox
    outbound: Outbound
    mailer: Mailer
    external_url: str

    async def send_due(self, *, stopping: asyncio.Event | None = None) -> int:
        """Serve the channels that something is due for. Returns how many. May run in several workers at once."""
        async with self.store.open_platform(_SENDING, "notifications.lease") as tx:
            leased = await notification_channels.lease(tx, rows_max=CHANNELS_MAX, lease_s=LEASE_S)
        results = await asyncio.gather(*(self._serve(each, stopping) for each in leased), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(leased)

    async def _serve(self, leased: LeasedChannel, stopping: asyncio.Event | None) -> None:
        """Send to one channel until nothing is due, or it fails."""
        for sent in range(MESSAGES_MAX + 1):
            async with self.store.open_platform(_SENDING, "notifications.begin") as tx:
                if not await notification_channels.renew(tx, leased, lease_s=LEASE_S):
                    return
                is_over = sent == MESSAGES_MAX or (stopping is not None and stopping.is_set())
                batch, pause_s = ([], 0.0) if is_over else await _begin(tx, leased)
                if not batch:
                    failures = 0 if sent else leased.failures
                    problem = _BEYOND if pause_s else "" if sent else leased.channel.last_problem
                    await notification_channels.release(tx, leased, failures=failures, pause_s=pause_s, problem=problem)
                    return
                message = await self._message(tx, leased, batch)
                try:
                    config = await opened(tx, self.box, leased.channel)
                except DuoscopeError as error:
                    config = error
            if not await self._attempt(leased, config, message, batch):
                return

    async def _attempt(
        self, leased: LeasedChannel, config: Config | DuoscopeError, message: Message, batch: Sequence[Due]
    ) -> bool:
        """Make and settle one attempt. Returns whether the channel takes more."""
        outcome: Outcome
        if isinstance(config, DuoscopeError):
            outcome = Outcome(None, config.message, Verdict.LATER)
        elif isinstance(config, email.EmailConfig):
            outcome = Outcome(None, "The mail was handed to the outbox.")
            if not self.mailer.is_configured:
                outcome = Outcome(None, "This installation cannot send mail.", Verdict.LATER)
        else:
            outcome = await post(self.outbound, leased.channel, config, message)
        async with self.store.open_platform(_SENDING, "notifications.settle") as tx:
            if not await notification_channels.renew(tx, leased, lease_s=LEASE_S):
                return False  # whoever holds the lease now, or changed the channel, sends it again under its key
            if isinstance(config, email.EmailConfig) and outcome.verdict is Verdict.SENT:
                await self._mail(tx, leased, config, message)
            return await _settle(tx, leased, batch, outcome)

    async def _mail(self, tx: Transaction, leased: LeasedChannel, config: email.EmailConfig, message: Message) -> None:
        """Hand a mail to its outbox, in the transaction that settles the rows: so it is sent once."""
        made = email.mail(message)
        for to in config.to:
            await self.mailer.queue(
                tx, organization_id=leased.channel.organization_id, to=to, subject=made.subject, text=made.text
            )

    async def _message(self, tx: Transaction, leased: LeasedChannel, batch: Sequence[Due]) -> Message:
        """The message of rows, whose attempt begins."""
        first, place = batch[0], _place(leased)
        key = first.key or new_id()
        await notification_attempts.begin_attempt(tx, key, place, _ids(batch))
        alerts = tuple(msgspec.convert(each.alert, Alert) for each in batch if each.alert is not None)
        is_one_group = all(each.group_key == first.group_key for each in batch)
        one_by_one = leased.channel.channel_type in ONE_BY_ONE
        labels = await notification_attempts.group_labels(tx, place, first.group_key) if is_one_group else {}
        incident = first.group_key if is_one_group else f"summary/{leased.channel.channel_id}"
        return Message(
            key=f"msg_{key.hex}",
            incident=f"{first.alert_rule_id or 'external'}/{first.instance_id}" if one_by_one else incident,
            alerts=alerts,
            group_labels={"alertname": alerts[0].name} if labels is None else labels,
            receiver=leased.receiver,
            external_url=self.external_url,
            omitted=len(batch) - len(alerts),
        )


async def _begin(tx: Transaction, leased: LeasedChannel) -> tuple[list[Due], float]:
    """The rows of the next message; or none, and for how many seconds there may be none."""
    place = _place(leased)
    await notification_attempts.drop_needless(tx, place)
    batch = await notification_attempts.due(tx, place, is_summary=False, alerts_max=ALERTS_MAX)
    if not batch or batch[0].key is not None:
        return batch, 0.0
    limits = AlertLimits().with_own(leased.own_limits)
    if await notification_attempts.take_turn(tx, place.tenant_id, messages_max=limits.alert_messages_per_hour):
        return batch, 0.0
    if leased.channel.channel_type in ONE_BY_ONE:  # an incident cannot be opened or closed in a summary
        return [], SUMMARY_EVERY.total_seconds()
    if pause_s := await notification_attempts.take_summary(tx, place, every=SUMMARY_EVERY):
        return [], pause_s
    return await notification_attempts.due(tx, place, is_summary=True, alerts_max=ALERTS_MAX), 0.0


def _place(leased: LeasedChannel) -> Place:
    return Place(leased.channel.tenant_id, leased.channel.channel_id)


async def _settle(tx: Transaction, leased: LeasedChannel, batch: Sequence[Due], outcome: Outcome) -> bool:
    """Record what became of an attempt. Returns whether the channel takes more."""
    channel = leased.channel
    attempt = Attempt(channel.tenant_id, _ids(batch), outcome.status, outcome.answer)
    verdict = outcome.verdict
    is_old = max(each.age_s for each in batch) > AGE_MAX_S
    _ATTEMPTS.labels(channel.channel_type, "given up" if is_old and verdict is Verdict.LATER else verdict.value).inc()
    if verdict is Verdict.SENT:
        await notification_attempts.settle(tx, attempt, state="sent")
        return True
    problem = f"{outcome.status or ''} {outcome.answer}".strip()
    if verdict is Verdict.REFUSED:  # the next message may be taken
        await notification_attempts.settle(tx, attempt, state="given_up")
        await notification_channels.release(
            tx, leased, failures=leased.failures, pause_s=RETRY_FIRST_S, problem=problem
        )
    elif verdict is Verdict.GONE:
        await notification_attempts.settle(tx, attempt, state="given_up")
        await notification_channels.release(tx, leased, failures=0, pause_s=0, problem=problem, is_active=False)
        await notifications.give_up_queued(tx, tenant_id=channel.tenant_id, channel_id=channel.channel_id)
        await notifications.tell_others(tx, tenant_id=channel.tenant_id, channel_id=channel.channel_id, reason=problem)
        await audit.record(
            tx, system("sender of notifications"), "notification-channel.switched-off", channel,
            before={"is_active": True}, after={"is_active": False, "reason": problem},
        )  # fmt: skip
    else:
        pause_s = max(_pause_s(leased.failures), outcome.retry_after_s or 0)
        if is_old:
            await notification_attempts.settle(tx, attempt, state="given_up")
        else:
            # A message that fails by itself lets others go first.
            delay_s = max(pause_s, _pause_s(max(each.attempts for each in batch)))
            await notification_attempts.postpone(tx, attempt, delay_s=delay_s)
        await notification_channels.release(tx, leased, failures=leased.failures + 1, pause_s=pause_s, problem=problem)
    return False


def _pause_s(failures: int) -> float:
    grown = min(RETRY_FIRST_S * RETRY_FACTOR ** min(failures, 20), RETRY_MAX_S)
    return grown * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret


def _ids(batch: Sequence[Due]) -> list[UUID]:
    return [each.notification_id for each in batch]

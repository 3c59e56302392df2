"""Silences: made, prolonged and ended by users, each change with its audit entry; and what they hold back.

A silence holds back the beginnings that are owed while it is active. What it held back is told when it ends, unless the
alert is over by then. It never holds back an end.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.clock import in_range
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, require_found
from duoscope.metadata import silences
from duoscope.metadata.silences import Matcher, Silence
from duoscope.stores.postgres import MetadataStore
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.patterns import compiled

SILENCES_MAX: Final = 500
"""Of one tenant, without those that are over."""
MATCHERS_MAX: Final = 20
_ENDED: Final = "A silence ends after it begins, and in the future."


def is_met(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    """Whether the labels meet a condition."""
    value = labels.get(matcher.name, "")
    if matcher.operator in ("=", "!="):
        holds = value == matcher.value
    else:
        holds = compiled(matcher.value).fullmatch(value) is not None
    return holds is not matcher.operator.startswith("!")


def check_expressions(matchers: Sequence[Matcher], name: str = "matchers") -> None:
    """Raise INVALID for an expression that is none."""
    for matcher in matchers:
        if matcher.operator in ("=~", "!~"):
            try:
                compiled(matcher.value)
            except ExpressionError as error:
                raise invalid(f"{name}: {matcher.name}: {error}.") from error


def check(matchers: Sequence[Matcher], name: str = "matchers") -> None:
    """Raise INVALID for an expression that is none, or if an alert without any label would be met."""
    check_expressions(matchers, name)
    if all(is_met(matcher, {}) for matcher in matchers):
        raise invalid(f"{name}: at least one must ask for a label: these are met by alerts that have none.")


async def create(
    store: MetadataStore,
    principal: Principal,
    *,
    matchers: Sequence[Matcher],
    starts_at: datetime | None,
    ends_at: datetime,
    comment: str,
) -> Silence:
    """Make a silence. Raises INVALID; CONFLICT `too-many-silences`."""
    check(matchers)
    ends_at = in_range("ends_at", ends_at)
    starts_at = None if starts_at is None else in_range("starts_at", starts_at)
    async with store.open(principal.scope, "silences.create") as tx:
        if await silences.count(tx) >= SILENCES_MAX:
            raise DuoscopeError(
                ErrorKind.CONFLICT, "too-many-silences", f"A tenant has at most {SILENCES_MAX} silences at a time."
            )
        made = await silences.create(
            tx,
            matchers=matchers,
            starts_at=starts_at,
            ends_at=ends_at,
            comment=comment,
            created_by=principal.actor.user_id if principal.actor.kind == "user" else None,
            created_by_email=principal.actor.email,
        )
        if made is None:
            raise invalid(_ENDED)
        await audit.created(tx, principal.actor, made)
    return made


async def change(store: MetadataStore, principal: Principal, silence_id: UUID, changes: dict[str, Any]) -> Silence:
    """Change the end or the comment. Raises NOT_FOUND; CONFLICT `silence-expired`; INVALID."""
    if "ends_at" in changes:
        changes = changes | {"ends_at": in_range("ends_at", changes["ends_at"])}
    async with store.open(principal.scope, "silences.change") as tx:
        before = require_found(await silences.lock(tx, silence_id), "silence")
        _require_not_over(before)
        after = await silences.save(tx, structs.replace(before, **changes))
        if after is None:
            raise invalid(_ENDED)
        await audit.changed(tx, principal.actor, before, after)
    return after


async def expire(store: MetadataStore, principal: Principal, silence_id: UUID) -> None:
    """End a silence now: what it held back and still holds is told. Raises NOT_FOUND; CONFLICT `silence-expired`."""
    async with store.open(principal.scope, "silences.expire") as tx:
        before = require_found(await silences.lock(tx, silence_id), "silence")
        _require_not_over(before)
        after = await silences.expire(tx, silence_id)
        await audit.changed(tx, principal.actor, before, after, action="expired")


def _require_not_over(silence: Silence) -> None:
    if silence.state == "expired":
        raise DuoscopeError(ErrorKind.CONFLICT, "silence-expired", "This silence is over; make another.")

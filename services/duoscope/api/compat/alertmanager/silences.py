"""Silences in Alertmanager's form: listed, made, changed, ended."""

from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.params import FromPath, JSONBody, QueryParameter

from duoscope.api.bodies import Services
from duoscope.api.compat.alertmanager.forms import (
    KEYS,
    ROOT,
    GettableSilence,
    PostableSilence,
    SilenceId,
    filters,
    ours,
    shown,
)
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.clock import in_range
from duoscope.kernel.errors import not_found, require_found
from duoscope.metadata import silences
from duoscope.notification import silencing
from duoscope.notification.muting import are_met

ROUTES: Final = Routes("alertmanager")
_NO_COMMENT: Final = "(no comment)"


@ROUTES.get(f"{ROOT}/silences", "Alertmanager: list silences", "silence:read", problems=LISTS, **KEYS)
async def alertmanager_silences(
    request: Request[Principal, Any, Any],
    services: Services,
    *,
    texts: Annotated[
        list[str] | None,
        QueryParameter(name="filter", description="Matchers that the names and values of a silence's own meet."),
    ] = None,
) -> list[GettableSilence]:
    """The silences, also those that are over for up to 30 days."""
    wanted = filters(texts or ())
    async with services.metadata.open(request.user.scope, "alertmanager.silences") as tx:
        found = await silences.of_tenant(tx)
    return [shown(each) for each in found if are_met(wanted, {one.name: one.value for one in each.matchers})]


@ROUTES.post(
    f"{ROOT}/silences", "Alertmanager: make or change a silence", "silence:write", problems=WRITES, status_code=200,
    **KEYS,
)  # fmt: skip
async def alertmanager_post_silence(
    request: Request[Principal, Any, Any], data: JSONBody[PostableSilence], services: Services
) -> SilenceId:
    """Make a silence; or change that of the id, whose place another takes if it silences something else or is over."""
    store, user, matchers = services.metadata, request.user, ours(data.matchers)
    comment = data.comment.strip() or _NO_COMMENT
    # Before the old one ends for another.
    in_range("startsAt", data.starts_at)
    in_range("endsAt", data.ends_at)
    if data.id:
        try:
            silence_id = UUID(data.id)
        except ValueError:
            raise not_found("silence") from None
        async with store.open(user.scope, "alertmanager.silence") as tx:
            before = require_found(await silences.get(tx, silence_id), "silence")
        # When an active one began is past changing; clients give it back in milliseconds.
        is_same = before.state == "active" or abs(before.starts_at - data.starts_at) < timedelta(seconds=1)
        if before.state != "expired" and before.matchers == matchers and is_same:
            changes = {"ends_at": data.ends_at, "comment": comment}
            return SilenceId(str((await silencing.change(store, user, silence_id, changes)).silence_id))
        if before.state != "expired":
            await silencing.expire(store, user, silence_id)
    made = await silencing.create(
        store, user, matchers=matchers, starts_at=data.starts_at, ends_at=data.ends_at, comment=comment
    )
    return SilenceId(str(made.silence_id))


@ROUTES.get(
    f"{ROOT}/silence/{{silence_id:uuid}}", "Alertmanager: read a silence", "silence:read", problems=READS, **KEYS
)
async def alertmanager_silence(
    request: Request[Principal, Any, Any], silence_id: FromPath[UUID], services: Services
) -> GettableSilence:
    """One silence, over or not."""
    async with services.metadata.open(request.user.scope, "alertmanager.silence") as tx:
        return shown(require_found(await silences.get(tx, silence_id), "silence"))


@ROUTES.delete(
    f"{ROOT}/silence/{{silence_id:uuid}}", "Alertmanager: end a silence", "silence:delete", problems=WRITES,
    status_code=200, **KEYS,
)  # fmt: skip
async def alertmanager_delete_silence(
    request: Request[Principal, Any, Any], silence_id: FromPath[UUID], services: Services
) -> Response[None]:
    """End a silence now."""
    await silencing.expire(services.metadata, request.user, silence_id)
    return Response(None)

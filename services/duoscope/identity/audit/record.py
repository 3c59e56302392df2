"""The one way into the audit log: an entry takes its resource and its place from the row that it is about.

`created`, `changed`, `deleted` and `restored` take the rows of a change; `record` any other action. No caller names an
organization, workspace or tenant: a row has its own, so an entry cannot be filed under that of another. The class of a
row names the kind of resource: a `UserRole` is a `user-role`, identified by its `user_role_id`. `About` replaces a row
that a caller does not have.
"""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, ClassVar, Final, Protocol, Self, TypeAlias
from uuid import UUID

from msgspec import Struct, structs

from duoscope.kernel.actor import Actor
from duoscope.kernel.refs import SessionRef, UserRef
from duoscope.metadata import audit_logs
from duoscope.metadata.audit_logs import Result
from duoscope.stores.postgres import Transaction

_NOT_AUDITED: Final = frozenset({"created_at", "updated_at"})
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

Fields = Mapping[str, Any]


class Dataclass(Protocol):
    """A dataclass of metadata/ that stands for one resource."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Row: TypeAlias = Dataclass | Struct
"""What stands for one resource: a dataclass, or a struct where it is the API's answer too."""


@dataclass(frozen=True, slots=True)
class About:
    """The subject of an entry. Without an organization the entry belongs to the platform's own chain."""

    kind: str
    resource_id: UUID | str
    _: KW_ONLY
    organization_id: UUID | None
    workspace_id: UUID | None = None
    tenant_id: UUID | None = None

    @classmethod
    def user(cls, user: UserRef) -> Self:
        """A user as the organization's: no single tenant's search shows the entry."""
        return cls("user", user.user_id, organization_id=user.organization_id)

    @classmethod
    def session(cls, session: SessionRef) -> Self:
        """A session as the organization's, like its user."""
        return cls("session", session.session_id, organization_id=session.organization_id)

    @classmethod
    def row(cls, row: Row) -> Self:
        """The kind, id and place of a row; a row without an `organization_id` belongs to the platform."""
        name = _WORD.sub("_", type(row).__name__).lower()
        return cls(
            name.replace("_", "-"),
            getattr(row, f"{name}_id"),
            organization_id=getattr(row, "organization_id", None),
            workspace_id=getattr(row, "workspace_id", None),
            tenant_id=getattr(row, "tenant_id", None),
        )


def audited_fields(row: Row) -> dict[str, Any]:
    """The fields of a row that the audit log shows: all except the times that the database sets."""
    fields = structs.asdict(row) if isinstance(row, Struct) else asdict(row)
    return {name: value for name, value in fields.items() if name not in _NOT_AUDITED}


def difference(before: Row, after: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ: their old and their new values."""
    old, new = audited_fields(before), audited_fields(after)
    names = [name for name in new if new[name] != old.get(name)]
    return {name: old.get(name) for name in names}, {name: new[name] for name in names}


async def created(tx: Transaction, actor: Actor, row: Row, **more: object) -> None:
    """Record that a resource was created. `more` has what was created along with it."""
    about = About.row(row)
    await record(tx, actor, f"{about.kind}.created", about, after=audited_fields(row) | more)


async def changed(  # noqa: PLR0917 - the row before and after, and what belongs to each
    tx: Transaction,
    actor: Actor,
    before: Row,
    after: Row,
    more_before: Fields | None = None,
    more_after: Fields | None = None,
    *,
    action: str = "changed",
) -> None:
    """Record the changed fields of a resource.

    Args:
        tx: the transaction of the change.
        actor: the author.
        before: the row before the change.
        after: the row after it.
        more_before: values of the resource outside its row, before the change.
        more_after: the same after it.
        action: a more specific word than `changed`, such as `rotated`.
    """
    about = About.row(after)
    old, new = difference(before, after)
    await record(
        tx,
        actor,
        f"{about.kind}.{action}",
        about,
        before=old | dict(more_before or {}),
        after=new | dict(more_after or {}),
    )


async def deleted(tx: Transaction, actor: Actor, row: Row) -> None:
    """Record that a resource was soft-deleted; earlier entries have its values."""
    about = About.row(row)
    await record(tx, actor, f"{about.kind}.deleted", about)


async def restored(tx: Transaction, actor: Actor, row: Row) -> None:
    """Record that a deletion was undone."""
    about = About.row(row)
    await record(tx, actor, f"{about.kind}.restored", about, after=audited_fields(row))


async def record(
    tx: Transaction,
    actor: Actor,
    action: str,
    about: About | Row,
    *,
    before: Fields | None = None,
    after: Fields | None = None,
    result: Result = "success",
) -> None:
    """Write one entry, which is stored if and only if the transaction commits.

    Args:
        tx: a transaction of the resource's organization, or a platform one.
        actor: the author.
        action: `<what>.<past participle>`, such as `password.reset`.
        about: the row that was acted on, or an `About`.
        before: the old values of the changed fields, or of all.
        after: the new values.
        result: `failure` for a refused action, `error` for one that broke.
    """
    found = about if isinstance(about, About) else About.row(about)
    await audit_logs.record(
        tx,
        actor,
        action=action,
        resource_type=found.kind,
        resource_id=found.resource_id,
        organization_id=found.organization_id,
        workspace_id=found.workspace_id,
        tenant_id=found.tenant_id,
        before=before,
        after=after,
        result=result,
    )

"""The author of a change, and where the request came from, as the audit log records them in every entry."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from duoscope.kernel.ids import new_id

ActorKind = Literal["user", "api-key", "operator", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change.

    Attributes:
        user_id: the user, or the API key for the kind `api-key`; None for operators, the system and failed sign-ins.
        email: the address as presented or as known; for an author without an address a name, such as the key's.
        kind: `operator` is a person at the command line, `system` is duoscope itself.
        ip_address, user_agent: of the request, if there was one; for the system, the part that acted.
        request_id: links the entries of one request, and the process's log.
    """

    user_id: UUID | None
    email: str
    kind: ActorKind
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: UUID = field(default_factory=new_id)


def operator() -> Actor:
    """The actor for a person at the command line, about whom nothing is known except that they can reach the stores."""
    return Actor(None, "", "operator")


def system(part: str) -> Actor:
    """The actor for duoscope itself. `part` names the acting part, such as `first start` or `purge`."""
    return Actor(None, "", "system", user_agent=f"duoscope ({part})")

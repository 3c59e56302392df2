"""Who is behind a change, and from where: what the audit log says of every entry's author."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from duoscope.kernel.ids import new_id

ActorKind = Literal["user", "api-key", "operator", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change.

    Attributes:
        user_id: the user, or the API key for the kind `api-key`; None for operators, the system and whoever failed to
            sign in.
        email: as presented or known, at most; a name for those without an address, such as the key's.
        kind: `operator` is somebody at the command line, `system` is duoscope itself.
        ip_address, user_agent: of the request, as far as there was one; of the system, which part of it acted.
        request_id: joins the entries of one request, and the process's log.
    """

    user_id: UUID | None
    email: str
    kind: ActorKind
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: UUID = field(default_factory=new_id)


def operator() -> Actor:
    """Somebody at the command line, of whom no more is known than that they can reach the stores."""
    return Actor(None, "", "operator")


def system(part: str) -> Actor:
    """Duoscope itself, which has no address either; `part` of it, such as `first start` or `purge`."""
    return Actor(None, "", "system", user_agent=f"duoscope ({part})")

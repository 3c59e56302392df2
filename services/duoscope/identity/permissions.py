"""Who a request to the API acts as, and what it may do."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import Scope

ACTIONS = {"r": "read", "w": "write", "d": "delete", "a": "admin"}
_LETTERS = {action: letter for letter, action in ACTIONS.items()}


@dataclass(frozen=True, slots=True)
class Principal:
    """A user at work in one tenant.

    Attributes:
        scope: the tenant.
        user_id: the user.
        session_id: the family of refresh tokens this access descends from.
        permissions: names such as `log:read`.
    """

    scope: Scope
    user_id: UUID
    session_id: UUID
    permissions: frozenset[str]

    def has(self, permission: str) -> bool:
        """Whether it holds the permission."""
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """FORBIDDEN `permission-denied` unless it holds the permission."""
        if permission not in self.permissions:
            raise DuoscopeError(
                ErrorKind.FORBIDDEN, "permission-denied", f"This needs the permission {permission}, which you lack."
            )


def compact(permissions: Iterable[str]) -> str:
    """`log:rw trace:r`: all of an admin's permissions in a third of a kilobyte, for an access token."""
    letters: defaultdict[str, set[str]] = defaultdict(set)
    for permission in permissions:
        resource, _, action = permission.partition(":")
        letters[resource].add(_LETTERS[action])
    return " ".join(f"{resource}:{''.join(sorted(letters[resource]))}" for resource in sorted(letters))


def expand(text: str) -> frozenset[str]:
    """The names again."""
    return frozenset(
        f"{resource}:{ACTIONS[letter]}"
        for resource, _, letters in (part.partition(":") for part in text.split())
        for letter in letters
    )

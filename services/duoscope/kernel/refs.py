"""References to a user and to a session: what a function takes in place of two or three bare UUIDs in a row.

Swapped UUIDs are still UUIDs, and no type checker sees the difference. A reference is made once, by name, where the row
or the token is read, and passed on whole. As a tuple it binds the values of a statement in order: `*user` is $1, $2.
"""

from typing import NamedTuple
from uuid import UUID


class UserRef(NamedTuple):
    """A user of an organization."""

    organization_id: UUID
    user_id: UUID

    def session(self, session_id: UUID) -> "SessionRef":
        """One of the user's sessions."""
        return SessionRef(self.organization_id, self.user_id, session_id)


class SessionRef(NamedTuple):
    """A session of a user. Session references sort by organization, which is the order that audit chains lock in."""

    organization_id: UUID
    user_id: UUID
    session_id: UUID

    @property
    def user(self) -> UserRef:
        """The user of the session."""
        return UserRef(self.organization_id, self.user_id)

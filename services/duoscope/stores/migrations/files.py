"""Migration files: `NNNN_slug.up.sql` with its `NNNN_slug.down.sql`, numbered from 1 without a gap, never edited once
landed. The SHA-256 of the up file shows whether a database has the same version of it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from duoscope.kernel.errors import DuoscopeError, ErrorKind

StoreName = Literal["postgres", "clickhouse"]
State = Literal["applied", "pending", "partly applied", "being undone"]

_NAME = re.compile(r"(\d{4})_([a-z0-9]+(?:_[a-z0-9]+)*)\.(up|down)\.sql")
_DISPLAY = {"postgres": "PostgreSQL", "clickhouse": "ClickHouse"}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of one store's schema, there and back."""

    store: StoreName
    version: int
    slug: str
    up_sql: str
    down_sql: str

    @property
    def name(self) -> str:
        """The up file's name."""
        return f"{self.version:04d}_{self.slug}.up.sql"

    @property
    def checksum(self) -> str:
        """SHA-256 of the up file, hexadecimal."""
        return checksum(self.up_sql)


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The state of one migration in a database."""

    store: StoreName
    version: int
    slug: str
    state: State


def checksum(sql: str) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(sql.encode()).hexdigest()


def load(folder: Path, store: StoreName) -> tuple[Migration, ...]:
    """Load the migrations of `folder` in order.

    Raises:
        DuoscopeError: INTERNAL `migration-files` for a wrong name, a missing half, a gap, or a number used twice.
    """
    found: dict[tuple[int, str], Path] = {}
    for path in sorted(folder.glob("*")):
        matched = _NAME.fullmatch(path.name)
        if matched is None:
            raise _broken(f"{path.name} in {folder} is not named NNNN_slug.up.sql or NNNN_slug.down.sql")
        key = int(matched[1]), matched[3]
        if key in found:
            raise _broken(f"{path.name} and {found[key].name} have the same number")
        found[key] = path
    migrations: list[Migration] = []
    for version in range(1, max((version for version, _ in found), default=0) + 1):
        up, down = found.get((version, "up")), found.get((version, "down"))
        if up is None or down is None or up.name.removesuffix(".up.sql") != down.name.removesuffix(".down.sql"):
            raise _broken(f"migration {version:04d} in {folder} lacks its up or its down file")
        slug = up.name[5:].removesuffix(".up.sql")
        migrations.append(Migration(store, version, slug, up.read_text("utf-8"), down.read_text("utf-8")))
    return tuple(migrations)


def refuse_edited(migrations: Sequence[Migration], applied: Mapping[int, str]) -> None:
    """Raise INTERNAL `migration-edited`, naming the file, if the checksum of a landed migration has changed."""
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise DuoscopeError(
                ErrorKind.INTERNAL,
                "migration-edited",
                f"{_DISPLAY[migration.store]} was migrated with another {migration.name} than this installation has. "
                "A landed migration is never edited: restore the file and write a new one.",
            )


def refuse_unknown(store: StoreName, migrations: Sequence[Migration], applied: Mapping[int, str]) -> None:
    """Raise INTERNAL `schema-too-new` for a database that a newer duoscope has migrated."""
    newest = max(applied, default=0)
    if newest > len(migrations):
        raise DuoscopeError(
            ErrorKind.INTERNAL,
            "schema-too-new",
            f"{_DISPLAY[store]} has schema version {newest}, this duoscope knows only {len(migrations)}: "
            "use the duoscope that migrated it, or a newer one.",
        )


def verify(store: StoreName, migrations: Sequence[Migration], applied: Mapping[int, str]) -> None:
    """Check that the schema is exactly the one this installation was written for. Services call it before they use a
    store.

    Raises:
        DuoscopeError: INTERNAL `schema-too-new`, `migration-edited` or `schema-too-old`; the message names the command
            to run.
    """
    refuse_unknown(store, migrations, applied)
    refuse_edited(migrations, applied)
    missing = [migration.name for migration in migrations if migration.version not in applied]
    if missing:
        raise DuoscopeError(
            ErrorKind.INTERNAL,
            "schema-too-old",
            f"{_DISPLAY[store]} lacks {', '.join(missing)}: run `duoscope migrate up`.",
        )


def _broken(what: str) -> DuoscopeError:
    return DuoscopeError(ErrorKind.INTERNAL, "migration-files", f"The migrations are broken: {what}.")

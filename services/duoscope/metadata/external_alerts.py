"""Alerts that others post, as to an Alertmanager: each ends at its end unless it is posted again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from msgspec import Struct

from duoscope.stores.postgres import Transaction


class ExternalAlert(Struct, frozen=True):
    """A row of `external_alerts`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    external_alert_id: UUID
    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str
    starts_at: datetime
    ends_at: datetime
    number: int
    is_told: bool
    updated_at: datetime


class Posted(Struct, frozen=True):
    """An alert as it was posted; without times it begins now, and ends when it is not posted again for a while."""

    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str
    starts_at: datetime | None
    ends_at: datetime | None


_NAMES: Final[tuple[LiteralString, ...]] = (
    *("organization_id", "workspace_id", "tenant_id", "external_alert_id", "fingerprint", "labels", "annotations"),
    *("generator_url", "starts_at", "ends_at", "number", "is_told", "updated_at"),
)
_COLUMNS: Final[LiteralString] = ", ".join(_NAMES)


async def post(tx: Transaction, posted: Sequence[Posted], *, timeout_s: float, alerts_max: int) -> bool:
    """Store alerts of the transaction's tenant. One that is over and was never there is no news. Returns False if there
    would be too many.
    """
    await tx.execute(
        """
        INSERT INTO external_alerts AS a (organization_id, workspace_id, tenant_id, external_alert_id, fingerprint,
            labels, annotations, generator_url, starts_at, ends_at)
        SELECT app_organization_id(), app_workspace_id(), app_tenant_id(), gen_random_uuid(), p.fingerprint, p.labels,
            p.annotations, p.generator_url, coalesce(p.starts_at, least(now(), p.ends_at)),
            coalesce(p.ends_at, now() + make_interval(secs => $7))
        FROM unnest($1::text[], $2::jsonb[], $3::jsonb[], $4::text[], $5::timestamptz[], $6::timestamptz[])
            AS p (fingerprint, labels, annotations, generator_url, starts_at, ends_at)
        WHERE p.ends_at IS NULL OR p.ends_at > now() OR EXISTS (SELECT FROM external_alerts e
            WHERE e.tenant_id = app_tenant_id() AND e.fingerprint = p.fingerprint)
        ORDER BY p.fingerprint
        ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET annotations = EXCLUDED.annotations,
            generator_url = EXCLUDED.generator_url, ends_at = EXCLUDED.ends_at, updated_at = now(),
            starts_at = CASE WHEN a.ends_at > now() THEN least(a.starts_at, EXCLUDED.starts_at)
                ELSE EXCLUDED.starts_at END
        """,
        *(
            [getattr(each, name) for each in posted]
            for name in ("fingerprint", "labels", "annotations", "generator_url", "starts_at", "ends_at")
        ),
        timeout_s,
    )
    return await tx.fetchval("SELECT count(*) FROM external_alerts WHERE tenant_id = app_tenant_id()") <= alerts_max


async def active(tx: Transaction) -> list[ExternalAlert]:
    """The alerts of the transaction's tenant that are not over, oldest first."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM external_alerts WHERE tenant_id = app_tenant_id() AND ends_at > now() "
        "ORDER BY starts_at, external_alert_id"
    )
    return [ExternalAlert(**dict(row)) for row in rows]


async def untold(tx: Transaction, *, rows_max: int) -> list[ExternalAlert]:
    """Alerts of all tenants of which the beginning, or the end, is to be told; each counted as told."""
    rows = await tx.fetch(
        f"""
        WITH waiting AS (
            SELECT tenant_id, external_alert_id, ends_at > now() AS fires FROM external_alerts
            WHERE ends_at > now() AND NOT is_told OR ends_at <= now() AND is_told
            ORDER BY updated_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        UPDATE external_alerts a SET number = a.number + 1, is_told = w.fires FROM waiting w
        WHERE a.tenant_id = w.tenant_id AND a.external_alert_id = w.external_alert_id
        RETURNING {", ".join(f"a.{name}" for name in _NAMES)}
        """,
        rows_max,
    )
    return [ExternalAlert(**dict(row)) for row in rows]


async def forget(tx: Transaction, *, older_than_s: float, rows_max: int) -> int:
    """Remove alerts that ended that long ago, whose end was told. Returns how many."""
    return await tx.execute(
        "DELETE FROM external_alerts WHERE (tenant_id, external_alert_id) IN (SELECT tenant_id, external_alert_id "
        "FROM external_alerts WHERE NOT is_told AND ends_at < now() - make_interval(secs => $1) LIMIT $2)",
        *(older_than_s, rows_max),
    )

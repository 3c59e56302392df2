"""The usage log of API keys. One row stands for many requests, counted in memory by the process that served them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Record, Transaction

KEPT_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Use:
    """Requests of one kind with one key since the last write.

    `status_code` is the HTTP status of the answer, for gRPC the equivalent one; 499 if the client disconnected first.
    """

    tenant_id: UUID
    api_key_id: UUID
    endpoint: str
    method: str
    ip_address: str | None
    status_code: int
    request_count: int


@dataclass(frozen=True, slots=True)
class UsageLog:
    """A row of `api_key_usage_logs`: the number of requests up to `created_at`."""

    usage_id: UUID
    api_key_id: UUID
    endpoint: str
    method: str
    ip_address: str | None
    status_code: int
    request_count: int
    created_at: datetime


async def record(tx: Transaction, uses: Sequence[Use]) -> None:
    """Store the uses of any tenants' keys, and when and where each key was last used. Needs a platform transaction.

    Keys that have been deleted meanwhile are left out.
    """
    # All writers use one order: two receivers that know the same keys would otherwise wait for each other.
    await tx.execute(
        "SELECT FROM api_keys WHERE api_key_id = ANY ($1::uuid[]) ORDER BY api_key_id FOR NO KEY UPDATE",
        [use.api_key_id for use in uses],
    )
    await tx.execute(
        """
        WITH used AS (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::integer[],
                $8::integer[]) AS u (tenant_id, api_key_id, usage_id, endpoint, method, ip_address, status_code, n)
        ), logged AS (
            INSERT INTO api_key_usage_logs (organization_id, workspace_id, tenant_id, usage_id, api_key_id, endpoint,
                method, ip_address, status_code, request_count)
            SELECT k.organization_id, k.workspace_id, k.tenant_id, u.usage_id, k.api_key_id, u.endpoint, u.method,
                u.ip_address, u.status_code, u.n
            FROM used u JOIN api_keys k USING (tenant_id, api_key_id)
        ), summed AS (
            SELECT tenant_id, api_key_id, sum(n) AS n, max(ip_address) AS ip_address FROM used
            WHERE status_code < 400 GROUP BY tenant_id, api_key_id
        )
        UPDATE api_keys k SET last_used_at = now(), last_used_ip = coalesce(s.ip_address, k.last_used_ip),
            usage_count = least(k.usage_count::bigint + s.n, 2147483647)
        FROM summed s WHERE k.tenant_id = s.tenant_id AND k.api_key_id = s.api_key_id
        """,
        [use.tenant_id for use in uses],
        [use.api_key_id for use in uses],
        [new_id() for _ in uses],
        [use.endpoint for use in uses],
        [use.method for use in uses],
        [use.ip_address for use in uses],
        [use.status_code for use in uses],
        [min(use.request_count, 2**31 - 1) for use in uses],
    )


LISTING: Final = Listing(
    name="api-key-usage",
    select="SELECT usage_id, api_key_id, endpoint, method, ip_address, status_code, request_count, created_at "
    "FROM api_key_usage_logs",
    key="usage_id",
    sorts={"created_at": datetime},
    filters={"api_key_id": "api_key_id = ?"},
)
"""The sorts and filters of the usage list."""


def from_row(row: Record) -> UsageLog:
    """Build a UsageLog from a row that LISTING selected."""
    return UsageLog(**dict(row))


async def forget_old(tx: Transaction, rows_max: int) -> int:
    """Remove up to `rows_max` rows older than KEPT_DAYS, across tenants. Returns how many."""
    return await tx.execute(
        "DELETE FROM api_key_usage_logs WHERE (tenant_id, usage_id) IN (SELECT tenant_id, usage_id "
        "FROM api_key_usage_logs WHERE created_at < now() - make_interval(days => $1) ORDER BY created_at LIMIT $2)",
        *(KEPT_DAYS, rows_max),
    )

"""The audit log in PostgreSQL: chained, append-only, redacted, one chain an organization."""

import asyncio
import dataclasses
import hashlib
import json

import asyncpg
import pytest

from duoscope.kernel.actor import Actor, operator, system
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import audit_logs
from support.store_errors import refused

_PLATFORM = PlatformScope(reason="test")
_ACTOR = Actor(new_id(), "ada@example.com", "user", "192.0.2.1", "curl/8", new_id())


async def _record(store, scope: Scope, action: str = "thing.created", **more):
    async with store.open(scope, "test.record") as tx:
        return await audit_logs.record(
            tx, more.pop("actor", _ACTOR), action=action, resource_type="thing",
            resource_id=more.pop("resource_id", "1"), organization_id=scope.organization_id,
            workspace_id=scope.workspace_id, tenant_id=scope.tenant_id, **more,
        )  # fmt: skip


async def _rows(store, organization_id):
    async with store.open_platform(_PLATFORM, "test.rows") as tx:
        return await tx.fetch("SELECT * FROM audit_logs WHERE organization_id = $1 ORDER BY sequence", organization_id)


async def test_entries_of_an_organization_form_one_chain_under_concurrency(metadata_store, new_scope):
    first = new_scope()
    sister, stranger = dataclasses.replace(first, tenant_id=new_id()), new_scope()
    await asyncio.gather(*(_record(metadata_store, scope) for scope in (first, sister, stranger) * 10))
    rows = await _rows(metadata_store, first.organization_id)
    assert [row["sequence"] for row in rows] == list(range(1, 21))
    previous = "0" * 64
    for row in rows:
        assert row["previous_hash"] == previous
        text = f"{row['organization_id']}:{row['sequence']}:{previous}:{row['content']}"
        previous = hashlib.sha256(text.encode()).hexdigest()
        assert row["hash"] == previous
    assert len(await _rows(metadata_store, stranger.organization_id)) == 10


async def test_a_change_that_is_rolled_back_leaves_no_entry_and_no_gap(metadata_store, new_scope):
    scope = new_scope()
    await _record(metadata_store, scope)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with metadata_store.open(scope, "test.fails") as tx:
            await audit_logs.record(
                tx, _ACTOR, action="thing.created", resource_type="thing", resource_id="2",
                organization_id=scope.organization_id,
            )  # fmt: skip
            raise ZeroDivisionError
    await _record(metadata_store, scope)
    assert [row["sequence"] for row in await _rows(metadata_store, scope.organization_id)] == [1, 2]


async def test_columns_are_what_the_text_says(metadata_store, new_scope):
    scope = new_scope()
    audit_log_id = await _record(metadata_store, scope, before={"name": "a"}, after={"name": "b"}, result="failure")
    [row] = await _rows(metadata_store, scope.organization_id)
    content = json.loads(row["content"])
    assert (row["audit_log_id"], row["result"], row["user_id"]) == (audit_log_id, "failure", _ACTOR.user_id)
    assert (row["email"], row["ip_address"], row["user_agent"]) == ("ada@example.com", "192.0.2.1", "curl/8")
    assert (row["workspace_id"], row["tenant_id"]) == (scope.workspace_id, scope.tenant_id)
    assert (content["before"], content["after"]) == ({"name": "a"}, {"name": "b"})
    assert row["request_id"] == _ACTOR.request_id


async def test_hostile_and_large_values_are_written_down_all_the_same(metadata_store, new_scope):
    scope = new_scope()
    actor = dataclasses.replace(_ACTOR, email="\0" * 999, user_agent="\ud800" * 9999, ip_address="x" * 999)
    deep: dict = {}
    for _ in range(50):
        deep = {"d": deep}
    for after in (
        {"text": "x" * 10**6, "nul": "\0", "float": float("nan"), "huge": 2**99, "deep": deep},
        {str(number): "ä" * 3000 for number in range(500)},
        {"key": {"password": "hunter2", "token_id": "seen", "newPassword": ["a"], "has_password": True}},
    ):
        await _record(metadata_store, scope, actor=actor, after=after, resource_id="é" * 999)
    *_, last = rows = await _rows(metadata_store, scope.organization_id)
    assert all(len(row["content"]) < 40_000 for row in rows)
    assert json.loads(last["content"])["after"]["key"] == {
        "password": "[redacted]", "token_id": "seen", "newPassword": "[redacted]", "has_password": True,
    }  # fmt: skip


async def test_no_service_changes_or_removes_an_entry_or_a_chain(metadata_store, database, new_scope):
    scope = new_scope()
    await _record(metadata_store, scope)
    statements = (
        "UPDATE audit_logs SET result = 'error'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "UPDATE audit_chains SET sequence = 0",
        "UPDATE audit_chains SET hash = repeat('1', 64)",
        "DELETE FROM audit_chains",
        "INSERT INTO audit_chains (organization_id) VALUES (gen_random_uuid())",
        "INSERT INTO audit_logs (organization_id, sequence, content) VALUES (gen_random_uuid(), 7, '{}')",
        "ALTER TABLE audit_logs DISABLE TRIGGER ALL",
    )
    for statement in statements:
        for opened in (metadata_store.open(scope, "test.x"), metadata_store.open_platform(_PLATFORM, "test.x")):
            with refused(asyncpg.InsufficientPrivilegeError):
                async with opened as tx:
                    await tx.execute(statement)
    owner = await asyncpg.connect(database.admin_dsn)
    try:
        for statement in ("UPDATE audit_logs SET result = 'error'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await owner.execute(statement)
    finally:
        await owner.close()


async def test_a_tenant_reads_its_own_entries_and_writes_to_its_own_organization(metadata_store, new_scope):
    scope = new_scope()
    sister, stranger = dataclasses.replace(scope, tenant_id=new_id()), new_scope()
    for each in (scope, sister, stranger):
        await _record(metadata_store, each)
    async with metadata_store.open(scope, "test.read") as tx:
        assert [row["tenant_id"] for row in await tx.fetch("SELECT tenant_id FROM audit_logs")] == [scope.tenant_id]
    for organization_id in (stranger.organization_id, None):
        with refused(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with metadata_store.open(scope, "test.foreign") as tx:
                await audit_logs.record(
                    tx, _ACTOR, action="thing.created", resource_type="thing", resource_id="2",
                    organization_id=organization_id,
                )  # fmt: skip


async def test_the_platform_has_a_chain_of_its_own(metadata_store):
    async with metadata_store.open_platform(_PLATFORM, "test.platform") as tx:
        for actor in (operator(), system("first start")):
            await audit_logs.record(
                tx, actor, action="region.created", resource_type="region", resource_id=new_id(), organization_id=None
            )
    rows = await _rows(metadata_store, audit_logs.PLATFORM_CHAIN)
    assert [(row["sequence"], row["actor_kind"]) for row in rows] == [(1, "operator"), (2, "system")]
    assert [(row["email"], row["user_agent"]) for row in rows] == [("", None), ("", "duoscope (first start)")]

"""The audit log's way to ClickHouse, each entry once, and its verification against both stores."""

import asyncio

import asyncpg
import pytest

from duoscope.identity.audit.verify import Anchor, verify_audit
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.metadata import audit_logs
from duoscope.worker import audit_shipping
from duoscope.worker.audit_shipping import ship_audit_logs

_ACTOR = Actor(new_id(), "ada@example.com", "user", "192.0.2.1", "curl/8")


class Interrupted:
    """ClickHouse that dies before or after the INSERT, as told; the real one otherwise."""

    def __init__(self, records, *, after: bool) -> None:
        self._records = records
        self._after = after

    def __getattr__(self, name):
        return getattr(self._records, name)

    async def append_audit(self, rows, *, token):
        if self._after:
            await self._records.append_audit(rows, token=token)
        raise DuoscopeError(ErrorKind.UNAVAILABLE, "telemetry-store-unavailable", "away")


@pytest.fixture
def scope(new_scope) -> Scope:
    return new_scope()


@pytest.fixture
def records(telemetry_store):
    return telemetry_store.records()


@pytest.fixture
async def owner(database):
    """The owner of the schema, who may do anything once the triggers are off."""
    connection = await asyncpg.connect(database.admin_dsn)
    await connection.execute("ALTER TABLE audit_logs DISABLE TRIGGER refuse_change, NO FORCE ROW LEVEL SECURITY")
    await connection.execute("ALTER TABLE audit_chains DISABLE TRIGGER refuse_removal, NO FORCE ROW LEVEL SECURITY")
    yield connection
    await connection.close()


async def _record(store, scope: Scope, count: int = 1, **more) -> None:
    for number in range(count):
        async with store.open(scope, "test.record") as tx:
            await audit_logs.record(
                tx, _ACTOR, action="thing.created", resource_type="thing", resource_id=str(number),
                organization_id=scope.organization_id, **more,
            )  # fmt: skip


async def _report(store, records, scope, anchors=None):
    reports = await verify_audit(store, records, anchors)
    [report] = [report for report in reports if report.organization_id == scope.organization_id]
    return report


async def _found(store, records, scope, anchors=None) -> set[tuple[int, str]]:
    return {(found.sequence, found.store) for found in (await _report(store, records, scope, anchors)).findings}


async def test_every_entry_is_shipped_once_and_read_by_its_tenant(metadata_store, telemetry_store, records, scope):
    place = {"workspace_id": scope.workspace_id, "tenant_id": scope.tenant_id}
    await _record(metadata_store, scope, 3, after={"name": 'a "quoted" \\ é\n'}, **place)
    await _record(metadata_store, scope, 2)
    assert await ship_audit_logs(metadata_store, records) == 5
    assert await ship_audit_logs(metadata_store, records) == 0
    rows = await telemetry_store.bind(scope).query(
        "SELECT action, resource_id, toString(user_id) AS user_id, "
        "JSONExtractString(metadata, 'entry', 'after', 'name') AS name FROM @audit_events ORDER BY resource_id",
        name="test",
    )  # fmt: skip
    assert [row["resource_id"] for row in rows] == ["0", "1", "2"]
    assert {row["name"] for row in rows} == {'a "quoted" \\ é\n'}
    assert rows[0]["user_id"] == str(_ACTOR.user_id)
    report = await _report(metadata_store, records, scope)
    assert (report.findings, report.entries, report.compared) == ([], 5, 5)


@pytest.mark.parametrize("after", [False, True])
async def test_an_insert_without_an_answer_is_made_up_for_and_stored_once(metadata_store, records, scope, after):
    await _record(metadata_store, scope, 3)
    with pytest.raises(DuoscopeError):
        await ship_audit_logs(metadata_store, Interrupted(records, after=after))
    await _record(metadata_store, scope, 2)
    assert await ship_audit_logs(metadata_store, records) == 5
    report = await _report(metadata_store, records, scope)
    assert (report.findings, report.compared) == ([], 5)


async def test_many_workers_store_it_once(metadata_store, records, scope, monkeypatch):
    monkeypatch.setattr(audit_shipping, "CHUNK_ENTRIES_MAX", 4)
    await _record(metadata_store, scope, 18)
    await asyncio.gather(*(ship_audit_logs(metadata_store, records) for _ in range(4)))
    report = await _report(metadata_store, records, scope)
    assert (report.findings, report.compared) == ([], 18)


async def test_edits_in_postgres_are_found(metadata_store, records, scope, owner):
    await _record(metadata_store, scope, 5)
    await ship_audit_logs(metadata_store, records)
    assert await _found(metadata_store, records, scope) == set()
    where = "WHERE sequence = 2"
    for edit, found in (
        ("UPDATE audit_logs SET content = replace(content, 'success', 'failure') " + where, {(2, "PostgreSQL")}),
        ("UPDATE audit_logs SET content = replace(content, 'failure', 'success') " + where, set()),
        ("UPDATE audit_logs SET email = 'eve@example.com' " + where, {(2, "PostgreSQL")}),
        ("UPDATE audit_logs SET email = 'ada@example.com' " + where, set()),
        ("UPDATE audit_logs SET recorded_at = recorded_at - interval '1 s' " + where, {(2, "PostgreSQL")}),
        ("UPDATE audit_logs SET recorded_at = recorded_at + interval '1 s' " + where, set()),
        ("DELETE FROM audit_logs " + where, {(2, "PostgreSQL")}),
    ):
        await owner.execute(edit)
        assert await _found(metadata_store, records, scope) == found, edit


async def test_an_edit_with_a_hash_that_is_right_breaks_the_chain_and_differs_from_the_copy(
    metadata_store, records, scope, owner
):
    await _record(metadata_store, scope, 3)
    await ship_audit_logs(metadata_store, records)
    await owner.execute(
        "UPDATE audit_logs SET content = c, hash = encode(sha256(convert_to(concat_ws(':', organization_id, sequence, "
        "previous_hash, c), 'UTF8')), 'hex'), result = 'failure' FROM "
        "(SELECT replace(content, 'success', 'failure') AS c FROM audit_logs WHERE sequence = 2) WHERE sequence = 2"
    )
    assert await _found(metadata_store, None, scope) == {(3, "PostgreSQL")}
    assert await _found(metadata_store, records, scope) == {(3, "PostgreSQL"), (2, "ClickHouse")}


async def test_a_cut_tail_is_found_by_the_head_by_the_copy_and_by_an_anchor(metadata_store, records, scope, owner):
    await _record(metadata_store, scope, 4)
    report = await _report(metadata_store, records, scope)
    anchors = {scope.organization_id: report.head}
    await owner.execute("DELETE FROM audit_logs WHERE sequence > 2")
    assert await _found(metadata_store, records, scope) == {(3, "PostgreSQL")}
    await owner.execute("UPDATE audit_chains SET sequence = 2, hash = (SELECT hash FROM audit_logs WHERE sequence = 2)")
    assert await _found(metadata_store, records, scope) == set()  # never shipped: only a note from before can tell
    assert await _found(metadata_store, records, scope, anchors) == {(4, "anchor")}


async def test_a_tail_cut_after_it_was_shipped_is_found_by_the_copy(metadata_store, records, scope, owner):
    await _record(metadata_store, scope, 4)
    await ship_audit_logs(metadata_store, records)
    await owner.execute("DELETE FROM audit_logs WHERE sequence > 2")
    await owner.execute(
        "UPDATE audit_chains SET sequence = 2, shipped_sequence = 2, shipping_sequence = 2, "
        "hash = (SELECT hash FROM audit_logs WHERE sequence = 2)"
    )
    assert await _found(metadata_store, records, scope) == {(3, "PostgreSQL"), (4, "PostgreSQL")}
    await owner.execute("DELETE FROM audit_logs")
    await owner.execute("DELETE FROM audit_chains")
    assert {sequence for sequence, _ in await _found(metadata_store, records, scope)} == {1, 2, 3, 4}


async def test_what_is_wrong_with_the_copy_is_found(metadata_store, telemetry_store, records, scope):
    await _record(metadata_store, scope, 5)
    await ship_audit_logs(metadata_store, records)
    place = f"organization_id = '{scope.organization_id}' AND resource_id"
    for statement, found in (
        (f"ALTER TABLE audit_logs UPDATE result = 'error' WHERE {place} = '0'", {1}),
        (f"ALTER TABLE audit_logs UPDATE metadata = replaceOne(metadata, 'ada@', 'eve@') WHERE {place} = '1'", {1, 2}),
        (f"ALTER TABLE audit_logs DELETE WHERE {place} = '2'", {1, 2, 3}),
        (f"INSERT INTO audit_logs SELECT * FROM audit_logs WHERE {place} = '3'", {1, 2, 3, 4}),
        (f"ALTER TABLE audit_logs UPDATE metadata = '[]' WHERE {place} = '4'", {1, 2, 3, 4, 0}),
    ):
        await records._run(lambda client, s=statement: client.command(s, settings={"mutations_sync": 2}))
        report = await _report(metadata_store, records, scope)
        assert {one.sequence for one in report.findings} >= found - {0}, statement
        assert {one.store for one in report.findings} == {"ClickHouse"}


async def test_an_anchor_that_holds_finds_nothing(metadata_store, records, scope):
    await _record(metadata_store, scope, 2)
    head = (await _report(metadata_store, records, scope)).head
    await _record(metadata_store, scope, 2)
    assert await _found(metadata_store, records, scope, {scope.organization_id: head}) == set()
    wrong = {scope.organization_id: Anchor(1, "f" * 64)}
    assert await _found(metadata_store, records, scope, wrong) == {(1, "anchor")}

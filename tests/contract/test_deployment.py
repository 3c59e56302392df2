"""compose.yaml and the ClickHouse accounts match the code, as far as that can be checked without containers."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from duoscope.kernel.settings import load
from duoscope.stores.clickhouse import INGESTED, VIEWS, SchemaAccount
from duoscope.stores.clickhouse.rehearsal import PREFIX as REHEARSALS
from duoscope.stores.migrations.clickhouse_sql import split

ROOT = Path(__file__).parents[2]
ACCOUNTS = ROOT / "deploy" / "clickhouse" / "users.d" / "duoscope.xml"
SERVER = ROOT / "deploy" / "clickhouse" / "config.d" / "duoscope.xml"
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def accounts():
    return ET.parse(ACCOUNTS).getroot()


@pytest.fixture
def engine(telemetry_store):
    # The process has one engine: a second one with another folder is refused.
    account = SchemaAccount.open(telemetry_store._settings)
    yield account._client
    account.close()


def _stored_tables() -> set[str]:
    tables: set[str] = set()
    for path in sorted((ROOT / "migrations/clickhouse").glob("*.up.sql")):
        for statement in split(path.read_text()):
            if (found := _TABLE.search(statement)) and "ENGINE = Null" not in statement:
                tables.add(found[1])
            elif gone := re.search(r"^(?:DROP|RENAME) TABLE IF EXISTS (\w+)(?: TO (\w+))?", statement, re.MULTILINE):
                tables -= {gone[1]}
                tables |= {gone[2]} - {None}
    return tables


def _grants(accounts, role: str) -> set[tuple[str, str]]:
    texts = [query.text for query in accounts.findall(f"roles/{role}/grants/query")]
    return {(m[1], m[2]) for text in texts if (m := re.fullmatch(r"GRANT (.+) ON (?:duoscope\.)?(\S+)", text))}


def test_every_image_is_pinned(compose):
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    images = {service["image"] for service in compose["services"].values()} | set(
        re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    )
    assert {image.partition(":")[0] for image in images} == {
        *("postgres", "clickhouse/clickhouse-server", "duoscope", "python"),
    }
    for image in images:
        assert re.fullmatch(r"[\w/-]+:\d+\.\d+[\w.-]*", image), image
    engine_version = re.search(r"^chdb-core==(\d+\.\d+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert engine_version is not None
    assert compose["services"]["clickhouse"]["image"].startswith(f"clickhouse/clickhouse-server:{engine_version[1]}.")


def test_every_lasting_service_has_a_health_check_and_an_unprivileged_user(compose):
    for name, service in compose["services"].items():
        assert service["user"] not in {"root", "0", "0:0"}
        assert service["security_opt"] == ["no-new-privileges:true"]
        if name != "migrate":  # ends by itself
            assert service["healthcheck"]["test"], name


def test_every_variable_is_a_setting_or_an_example(compose):
    text = (ROOT / "compose.yaml").read_text()
    examples = dict(
        line.split("=", 1)
        for line in (ROOT / "deploy" / "env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert set(re.findall(r"\$\{(\w+)", text)) == set(examples)
    for name, service in compose["services"].items():
        if service["image"].startswith("duoscope"):
            settings = load({key: str(value) for key, value in service["environment"].items()})
            assert not settings.embedded_postgres, name
            assert not settings.embedded_clickhouse, name
            assert service["command"][0] == name


def test_passwords_of_accounts_reach_the_server(compose, accounts):
    variables = {password.get("from_env") for password in accounts.findall("users/*/password")}
    assert variables <= set(compose["services"]["clickhouse"]["environment"])
    assert accounts.find("users/default").get("remove") == "remove"
    for service, account in {"receiver": "ingest", "api": "reader", "worker": "worker"}.items():
        dsn = compose["services"][service]["environment"]["DUOSCOPE_CLICKHOUSE_DSN"]
        assert dsn.startswith(f"clickhouse://duoscope_{account}:${{CLICKHOUSE_{account.upper()}_PASSWORD")


def test_a_reader_gets_the_views_and_nothing_else(accounts):
    parts = "SELECT(database, table, active, partition_id, min_block_number, max_block_number, modification_time)"
    assert _grants(accounts, "duoscope_reading") == {("SELECT", name) for name in VIEWS | {"schema_migrations"}} | {
        ("SHOW TABLES", "logs_v3"),
        ("SHOW TABLES", "traces_v3"),
        (parts, "system.parts"),
        ("SELECT(database, table, name, expr)", "system.data_skipping_indices"),
        ("SELECT(query_id, user, query, Settings)", "system.processes"),
    }


def test_ingest_gets_its_tables_and_nothing_else(accounts):
    made = "CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW"
    ledger = "SELECT(workspace_id, tenant_id, digest, received_at, items, stored, rejected)"
    assert _grants(accounts, "duoscope_ingesting") == {("INSERT", table) for table in INGESTED} | {
        (ledger, "ingest_ledger"),
        ("SELECT", "schema_migrations"),
        ("SHOW TABLES", "*"),
        ("TABLE ENGINE", "*"),
        (f"CREATE DATABASE, {made}, INSERT, SELECT", f"{REHEARSALS}*.*"),
    }


@pytest.mark.parametrize("user", ["duoscope_reader", "duoscope_ingest", "duoscope_worker"])
def test_row_policies_close_every_stored_table_to_services(accounts, user):
    policies = accounts.find(f"users/{user}/databases/duoscope")
    assert {table.tag for table in policies} == _stored_tables()
    open_tables = {table.tag for table in policies if table.findtext("filter") != "0"}
    assert open_tables == ({"ingest_ledger"} if user == "duoscope_ingest" else set())


def test_the_engine_knows_every_setting_and_can_read_every_grant(accounts, engine):
    known = {name for (name,) in engine.query("SELECT name FROM system.settings").result_rows}
    for profile in accounts.find("profiles"):
        used = {setting.tag for setting in profile if setting.tag != "constraints"}
        used |= {setting.tag for setting in profile.findall("constraints/*")}
        assert used <= known
    for query in accounts.iter("query"):
        engine.query(f"EXPLAIN AST {query.text} TO somebody")


def test_the_server_writes_down_in_whose_name_a_view_runs(engine, accounts):
    setting = "ignore_empty_sql_security_in_create_view_query"
    assert ET.parse(SERVER).getroot().findtext(setting) == "0"
    assert engine.query(f"SELECT count() FROM system.server_settings WHERE name = '{setting}'").result_rows == [(1,)]
    migrator = accounts.find("profiles/duoscope_migrator")
    assert migrator.findtext("default_normal_view_sql_security") == "DEFINER"
    assert migrator.findtext("default_materialized_view_sql_security") == "DEFINER"

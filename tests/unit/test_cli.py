"""The command line's errors for wrong usage, and its output: no store is opened here."""

import json
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest

from duoscope.cli import admin, bench, migrate, output, run
from duoscope.cli.demo import is_over
from duoscope.cli.logs import KeyValueFormatter
from duoscope.identity.api_keys.management import GRACE_MAX_S
from duoscope.kernel import settings
from duoscope.kernel.errors import DuoscopeError
from duoscope.metadata import api_keys
from duoscope.stores.migrations.clickhouse_sql import split


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    for name in ("DATA_DIR", "POSTGRES_DSN", "CLICKHOUSE_DSN", "LOG_LEVEL"):
        monkeypatch.delenv(f"DUOSCOPE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("part", ["receiver", "api", "worker"])
def test_a_part_alone_needs_servers(part, capsys):
    assert run([part]) == 2
    said = capsys.readouterr().err
    assert "an embedded engine belongs to one process" in said
    assert "duoscope up" in said
    assert "DUOSCOPE_POSTGRES_DSN" in said
    assert "DUOSCOPE_CLICKHOUSE_DSN" in said


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["up", "--api-port", "70000"], {}, "70000 is not in the range"),
        (["up", "--api-prot", "1"], {}, "--api-port"),
        (["up"], {"DUOSCOPE_API_PRT": "1"}, "Did you mean DUOSCOPE_API_PORT?"),
        (["up"], {"DUOSCOPE_API_PORT": "many"}, "'many' is not a valid port number"),
        (["migrate", "down"], {}, "Missing option"),
        (["admin", "set-retention", "--tenant", str(UUID(int=1)), "8"], {}, "'8' is not one of"),
        (["admin", "create-user", "a@b", "--tenant", "none", "--generate"], {}, "not a valid UUID"),
        (
            ["admin", "create-user", "a@b", "--tenant", str(UUID(int=1)), "--generate", "--password-stdin"],
            {},
            "not both",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, environment, said, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("Error: ")
    assert "Traceback" not in error


@pytest.mark.parametrize("command", [["admin", "list-tenants"], ["demo"]])
def test_an_empty_folder_is_left_empty_and_explained(command, tmp_path, capsys):
    assert run([*command, "--data-dir", str(tmp_path / "none")]) == 1
    assert "duoscope up" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_service_for_breached_passwords_has_an_address_or_is_off(monkeypatch):
    for value in ("off", "https://passwords.example.org/range", "http://127.0.0.1:8000"):
        assert settings.load({"DUOSCOPE_BREACHED_PASSWORDS_URL": value}).breached_passwords_url == value
    for value in ("offline", "passwords.example.org", "no"):
        with pytest.raises(DuoscopeError, match="or off"):
            settings.load({"DUOSCOPE_BREACHED_PASSWORDS_URL": value})


def test_a_demo_tells_a_password_that_has_ended():
    assert not is_over("")
    assert not is_over("2999-01-01T00:00Z")
    assert is_over("2026-01-01T00:00Z")


def test_a_demo_with_nobody_to_send_to_says_so(capsys):
    assert run(["demo", "--endpoint", "127.0.0.1:9", "--api-key", "k"]) == 1
    assert "Nothing accepts OTLP over gRPC at http://127.0.0.1:9" in capsys.readouterr().err


def test_a_defect_shows_no_traceback_unless_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(bench, "_CHECKOUT", None)
    assert run(["bench"]) == 1
    quiet = capsys.readouterr().err
    assert quiet.startswith("Error: Unexpected TypeError: ")
    assert "DUOSCOPE_LOG_LEVEL=DEBUG" in quiet
    assert "Traceback" not in quiet
    monkeypatch.setenv("DUOSCOPE_LOG_LEVEL", "DEBUG")
    assert run(["bench"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_help_comes_at_once():
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from duoscope.cli import run; r = run(['--help']); print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - started < 5
    heavy = {"asyncpg", "chdb", "clickhouse_connect", "grpc", "litestar", "opentelemetry.sdk"}
    assert not heavy & set(done.stdout.split())


def test_the_permissions_on_offer_are_those_there_are():
    assert set(admin.PERMISSIONS) == api_keys.PERMISSIONS
    assert set(admin.READ_PERMISSIONS) == api_keys.READ_PERMISSIONS
    assert set(admin.ALERT_PERMISSIONS) == api_keys.ALERT_PERMISSIONS
    assert admin.GRACE_HOURS_MAX * 3600 == GRACE_MAX_S


def test_the_loss_of_a_down_file_is_named():
    sql = "DROP VIEW IF EXISTS v;\nDROP TABLE IF EXISTS logs_v3;\nDROP TABLE otlp_logs;\nDROP TABLE a, b CASCADE;\n"
    assert len(split(sql)) == 4
    assert migrate.dropped_tables(sql) == ["logs_v3", "a", "b"]


def test_a_log_record_is_one_line_whatever_is_in_it():
    try:
        int('two\nlines with "quotes"')
    except ValueError:
        record = logging.LogRecord("duoscope.x", logging.ERROR, "f", 1, "took %d ms\nor so", (5,), sys.exc_info())
    record.tenant = "one two"
    line = KeyValueFormatter().format(record)
    assert "\n" not in line
    assert 'level=error logger=duoscope.x message="took 5 ms\\nor so" tenant="one two" exception="' in line


def test_a_piped_table_is_plain_and_uncut(capsys):
    output.table(("Tenant", "Name"), [(UUID(int=7), "x" * 200), (None, "y")], empty="None.")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{'TENANT':<36}  NAME", f"{UUID(int=7)}  {'x' * 200}", f"{'':<36}  y"]
    output.table(("Tenant",), [], empty="None.")
    assert capsys.readouterr().out == "None.\n"


def test_json_holds_ids_and_times_as_text(capsys):
    output.emit_json({"id": UUID(int=1), "at": datetime(2026, 1, 2, tzinfo=UTC), "none": None})
    assert json.loads(capsys.readouterr().out) == {
        "id": str(UUID(int=1)),
        "at": "2026-01-02T00:00:00+00:00",
        "none": None,
    }

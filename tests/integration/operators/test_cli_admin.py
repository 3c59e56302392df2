"""`duoscope migrate` and `duoscope admin` over real stores, run as a person runs them: processes of their own.

One data folder for the file: what a command leaves is what the next one finds.
"""

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from duoscope.stores.embedded.postgres import postgres_address

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cli") / "data"


@pytest.fixture(scope="module")
def duoscope(data_dir):

    def run(*arguments: str, stdin: str = "", code: int = 0, streams: str = "") -> str:
        command = "import sys; from duoscope.cli import run; sys.exit(run())"
        done = subprocess.run(
            [sys.executable, "-c", command, *arguments, "--data-dir", str(data_dir)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 or streams == "stdout" else done.stderr

    return run


@pytest.fixture(scope="module")
def migrated(duoscope):
    for look in ("plan", "status"):
        assert "There is no duoscope in" in duoscope("migrate", look, code=1)
    applied = json.loads(duoscope("migrate", "up", "--json"))
    assert {entry["store"] for entry in applied} == {"postgres", "clickhouse"}
    return duoscope


@pytest.fixture(scope="module")
def tenant_id(migrated) -> str:
    made = json.loads(migrated("admin", "create-tenant", "One", "--retention-days", "7", "--json"))
    assert made["settings"] == {"retention_days": 7}
    return made["tenant_id"]


def test_migrations_go_down_and_up_again(migrated):
    assert migrated("migrate", "plan") == "Nothing to apply.\n"
    assert migrated("migrate", "up") == "Both stores are up to date.\n"
    last = max(e["version"] for e in json.loads(migrated("migrate", "status", "--json")) if e["store"] == "clickhouse")
    arguments = ("migrate", "down", "--store", "clickhouse", "--to", "4")
    assert "Stopped." in migrated(*arguments, stdin="n\n", code=130)
    said = migrated(*arguments, "--yes")
    assert "all rows are lost in: " in said
    assert f"Undone ClickHouse {last:04d}" in said
    assert "pending" in migrated("migrate", "status")
    assert f"Applied ClickHouse {last:04d}" in migrated("migrate", "up")


def test_a_tenant_with_user_and_key(migrated, tenant_id):
    assert tenant_id in migrated("admin", "list-tenants")
    refused = migrated("admin", "create-tenant", "one", code=1)
    assert "has a tenant 'one' already" in refused
    assert "Cause" not in refused
    assert "list-tenants" in migrated("admin", "create-api-key", "--tenant", str(uuid4()), code=1)

    made = ("admin", "create-user", "one@example.com", "--tenant", tenant_id)
    assert "no terminal" in migrated(*made, code=2)
    assert json.loads(migrated(*made, "--password-stdin", "--json", stdin=f"{PASSWORD}\n"))["password"] is None
    told = migrated("admin", "reset-password", "one@example.com", "--generate")
    assert "Password, shown this once: " in told
    assert re.search(
        r"It works until \d{4}-\d\d-\d\d \d\d:\d\d UTC\. Before, its user logs in and sets their own", told
    )
    generated = json.loads(migrated("admin", "reset-password", "one@example.com", "--generate", "--json"))
    assert datetime.fromisoformat(generated["password_expires_at"]) > datetime.now(UTC)
    assert "list-access" in migrated("admin", "reset-password", "nobody@example.com", "--generate", code=1)

    key = json.loads(migrated("admin", "create-api-key", "--tenant", tenant_id, "--allow", "logs:write", "--json"))
    assert key["permissions"] == ["logs:write"]
    for_pages = ("admin", "create-api-key", "--tenant", tenant_id, "--browser-only")
    assert "needs allowed_origins" in migrated(*for_pages, code=2)
    for_pages = (
        *for_pages,
        "--allowed-origin",
        "https://shop.example.com",
        "--allowed-origin",
        "http://localhost:3000",
    )
    assert "read permission" in migrated(*for_pages, "--allow", "logs:read", code=2)
    assert json.loads(migrated(*for_pages, "--rate-limit", "60", "--json"))["permissions"] == [
        "logs:write", "metrics:write", "traces:write",
    ]  # fmt: skip
    of_pages = next(k for k in json.loads(migrated("admin", "list-api-keys", "--json")) if k["is_browser_only"])
    assert (of_pages["rate_limit"], of_pages["allowed_origins"]) == (
        60, ["http://localhost:3000", "https://shop.example.com"],
    )  # fmt: skip
    listed = migrated("admin", "list-api-keys", "--tenant", tenant_id)
    assert key["key_id"] in listed
    assert key["api_key"].partition(".")[2] not in listed
    rotated = json.loads(migrated("admin", "rotate-api-key", key["api_key"], "--grace-hours", "2", "--json"))
    assert rotated["key_id"] == key["key_id"]
    assert rotated["api_key"] != key["api_key"]
    assert "API key, shown this once: " in migrated("admin", "rotate-api-key", key["key_id"])
    assert "No such API key" in migrated("admin", "rotate-api-key", "tfk-none", code=1)
    assert "Revoked" in migrated("admin", "revoke-api-key", key["api_key"])
    assert "was revoked" in migrated("admin", "rotate-api-key", key["key_id"], code=1)
    assert "No such API key" in migrated("admin", "revoke-api-key", key["key_id"], code=1)

    assert "90 days" in migrated("admin", "set-retention", "--tenant", tenant_id, "90")
    listed = migrated("admin", "list-tenants").splitlines()
    assert listed[0].split()[:4] == ["TENANT", "NAME", "ORGANIZATION", "WORKSPACE"]
    assert "90 days" in next(line for line in listed if tenant_id in line)
    assert "No such organization" in migrated("admin", "list-access", "--organization", "nope", code=1)


def test_the_audit_log_is_verified_against_both_stores(migrated, tenant_id, data_dir, tmp_path):
    migrated("admin", "create-api-key", "--tenant", tenant_id)
    anchors = tmp_path / "heads.json"
    said = migrated("admin", "verify-audit", "--anchors", str(anchors))
    assert "Nothing was found" in said
    assert re.search(r"^default +\d", said, re.MULTILINE)
    report = json.loads(migrated("admin", "verify-audit", "--json"))
    assert report["clickhouse_compared"] is True
    assert sum(chain["entries"] for chain in report["chains"]) >= 1
    assert {chain["organization_id"] for chain in report["chains"]} == set(report["organizations"])
    head = next(iter(json.loads(anchors.read_text()).values()))

    asyncio.run(_edit_the_audit_log(data_dir))
    assert "are not what they were" in migrated("admin", "verify-audit", code=1)
    said = migrated("admin", "verify-audit", code=1, streams="stdout")
    assert re.search(r"^default +1 +PostgreSQL", said, re.MULTILINE)
    found = json.loads(migrated("admin", "verify-audit", "--json", code=1, streams="stdout"))["findings"]
    assert {(finding["sequence"], finding["store"]) for finding in found} == {(1, "PostgreSQL")}
    # What was noted stays as it was while something is wrong.
    migrated("admin", "verify-audit", "--anchors", str(anchors), code=1)
    assert next(iter(json.loads(anchors.read_text()).values())) == head
    anchors.write_text("[]")
    assert "is no file of heads" in migrated("admin", "verify-audit", "--anchors", str(anchors), code=2)


async def _edit_the_audit_log(data_dir) -> None:
    async with postgres_address(data_dir) as address:
        owner = await asyncpg.connect(address.admin_dsn)
        await owner.execute("ALTER TABLE audit_logs DISABLE TRIGGER refuse_change, NO FORCE ROW LEVEL SECURITY")
        await owner.execute("UPDATE audit_logs SET email = 'eve@example.com' WHERE sequence = 1")
        await owner.close()


def test_an_organization_is_made_and_its_first_admin_invited(migrated):
    made = json.loads(migrated("admin", "create-organization", "Acme Corp", "--json"))
    assert made["code"] == "acme-corp"
    assert made["settings"] == {"mfa_required": True}
    lax = json.loads(migrated("admin", "create-organization", "Lax", "--mfa-optional", "--json"))
    assert lax["settings"] == {"mfa_required": False}
    assert "Another organization has this code" in migrated("admin", "create-organization", "Acme corp", code=1)
    shown = migrated("admin", "invite", "boss@example.com", "--organization", "acme-corp", "--role", "admin")
    assert "/invitation#tfi-" in shown
    again = migrated("admin", "invite", "boss@example.com", "--organization", "acme-corp", "--role", "admin", code=1)
    assert "Another invitation" in again
    assert "No such organization" in migrated("admin", "invite", "b@example.com", "--organization", "none", code=1)
    assert "No such role" in migrated(
        "admin", "invite", "b@example.com", "--organization", "acme-corp", "--role", "king", code=1
    )


def test_an_invitation_whose_link_was_lost_is_sent_again_or_revoked(migrated):
    migrated("admin", "create-organization", "Lost Links")
    invited = ("--organization", "lost-links", "--role", "developer", "--json")
    made = json.loads(migrated("admin", "invite", "lost@example.com", *invited))
    (listed,) = json.loads(migrated("admin", "list-invitations", "--organization", "lost-links", "--json"))
    assert (listed["invitation_id"], listed["status"]) == (made["invitation_id"], "open")
    assert "tfi-" not in json.dumps(listed)
    shown = migrated("admin", "list-invitations")
    assert re.search(r"lost-links +lost@example.com +developer +everywhere +open +20\d\d-", shown)
    again = migrated("admin", "resend-invitation", made["invitation_id"])
    assert "/invitation#tfi-" in again
    assert made["link"] not in again
    assert "Revoked" in migrated("admin", "revoke-invitation", made["invitation_id"])
    (listed,) = json.loads(migrated("admin", "list-invitations", "--organization", "lost-links", "--json"))
    assert listed["status"] == "revoked"
    closed = migrated("admin", "resend-invitation", made["invitation_id"], code=1)
    assert "is already revoked" in closed
    assert "list-invitations" in migrated("admin", "revoke-invitation", str(uuid4()), code=1)
    assert "No such organization" in migrated("admin", "list-invitations", "--organization", "none", code=1)


def test_who_can_do_what(migrated, tenant_id):
    migrated("admin", "create-user", "seen@example.com", "--tenant", tenant_id, "--generate")
    listed = json.loads(migrated("admin", "list-access", "--json"))
    assert [(a["role"], a["tenant"]) for a in listed if a["email"] == "seen@example.com"] == [("viewer", "One")]
    assert "seen@example.com" in migrated("admin", "list-access")

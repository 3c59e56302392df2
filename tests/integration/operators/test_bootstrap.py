"""The first start happens once, whatever is killed when."""

import json
import stat
from datetime import datetime

import asyncpg
import pytest

from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.authentication.access import Access
from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authentication.sessions import Sessions
from duoscope.identity.operators import administration
from duoscope.identity.operators import bootstrap as module
from duoscope.identity.operators.bootstrap import Credentials, bootstrap
from duoscope.kernel import limits
from duoscope.kernel.actor import operator
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError
from duoscope.metadata.api_keys import READ_PERMISSIONS

_URLS = {
    "api_url": "http://127.0.0.1:8080",
    "otlp_grpc_endpoint": "http://127.0.0.1:4317",
    "otlp_http_endpoint": "http://127.0.0.1:4318",
}
_FIELDS = [
    "api_url", "otlp_grpc_endpoint", "otlp_http_endpoint", "admin_email", "admin_password",
    "organization_id", "workspace_id", "tenant_id", "api_key", "admin_password_expires_at", "read_api_key",
]  # fmt: skip


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def test_all_that_the_first_start_makes_is_in_the_audit_log(metadata_store, hasher, owner, tmp_path):
    made = (await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)).credentials
    rows = await owner.fetch("SELECT action, actor_kind, content FROM audit_logs ORDER BY audit_log_id")
    actions = ["region.created", "organization.created", "user.created", "api-key.created", "api-key.created"]
    assert [(row["action"], row["actor_kind"]) for row in rows] == [(action, "system") for action in actions]
    user = json.loads(rows[2]["content"])
    assert (user["tenant_id"], user["after"]["email"], user["after"]["role"]) == (
        made.tenant_id, made.admin_email, "admin",
    )  # fmt: skip
    assert made.admin_password not in str(rows)


async def test_credentials_work_and_are_made_once(metadata_store, hasher, secret_keys, signing_keys, tmp_path):
    first = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)
    assert first.created
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o600
    written = json.loads(first.path.read_text())
    assert list(written) == _FIELDS
    assert written["admin_password"] not in repr(first)
    tokens = AccessTokens(signing_keys)
    pair = await Sessions(metadata_store, hasher, tokens, secret_keys).login(
        written["admin_email"], written["admin_password"]
    )
    admin = await Access(metadata_store).principal(tokens.verify(pair.access_token), operator())
    assert str(admin.scope.tenant_id) == written["tenant_id"]
    assert {"region:write", "organization:admin", "user:delete"} <= admin.permissions
    principal = await ApiKeyVerifier(metadata_store, hasher, secret_keys).verify(written["api_key"])
    assert principal.scope == admin.scope
    reader = await ApiKeyVerifier(metadata_store, hasher, secret_keys).verify(written["read_api_key"])
    assert (reader.scope, reader.signals) == (admin.scope, READ_PERMISSIONS)

    again = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)
    assert not again.created
    assert again.credentials == first.credentials
    elsewhere = await bootstrap(metadata_store, hasher, data_dir=tmp_path / "other", **_URLS)
    assert not elsewhere.created
    assert elsewhere.credentials is None


async def test_a_kill_before_the_commit_leaves_nothing(metadata_store, hasher, tmp_path, monkeypatch):
    class KilledError(BaseException):
        pass

    def write_then_die(path, credentials):
        _write(path, credentials)
        raise KilledError

    _write = module._write
    monkeypatch.setattr(module, "_write", write_then_die)
    with pytest.raises(KilledError):
        await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)
    monkeypatch.undo()
    stale = json.loads((tmp_path / "credentials.json.new").read_text())
    done = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)
    assert done.created
    assert done.credentials is not None
    assert done.credentials.tenant_id != stale["tenant_id"]
    assert not (tmp_path / "credentials.json.new").exists()


async def test_a_kill_after_the_commit_is_finished_by_the_next_start(metadata_store, hasher, tmp_path):
    first = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)
    first.path.rename(tmp_path / "credentials.json.new")
    done = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)
    assert done.created
    assert done.credentials == first.credentials
    assert not (await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)).created


async def test_a_trial_that_is_started_again_has_a_password_that_works_until_the_admin_has_their_own(
    metadata_store, hasher, secret_keys, signing_keys, tmp_path, *, owner
):
    sessions = Sessions(metadata_store, hasher, AccessTokens(signing_keys), secret_keys)
    first = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS, is_trial=True)

    async def start_again(**how):
        started = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS, **how)
        assert started.credentials == Credentials(**json.loads(first.path.read_text()))
        return started

    assert (await start_again(is_trial=True)).credentials == first.credentials
    await owner.execute("UPDATE users SET password_expires_at = now()")
    with pytest.raises(DuoscopeError) as refused:
        await sessions.login(first.credentials.admin_email, first.credentials.admin_password)
    assert refused.value.code == "password-expired"
    # Who runs it for others asks for another password; nobody's start makes one.
    assert (await start_again()).credentials == first.credentials
    again = await start_again(is_trial=True)
    assert again.renewed
    assert again.credentials.admin_password != first.credentials.admin_password
    pair = await sessions.login(again.credentials.admin_email, again.credentials.admin_password)
    await owner.execute("UPDATE users SET email = 'ada@example.com', password_expires_at = now()")
    again = await start_again(is_trial=True)
    assert (again.renewed, again.credentials.admin_email) == (True, "ada@example.com")
    pair = await sessions.login("ada@example.com", again.credentials.admin_password)
    ends = datetime.fromisoformat(again.credentials.admin_password_expires_at)
    assert abs((pair.password_expires_at - ends).total_seconds()) <= 60
    assert abs((ends - now()).total_seconds() - limits.GENERATED_PASSWORD_S) <= 120

    await administration.reset_password(
        metadata_store, hasher, email=again.credentials.admin_email, password="correct horse battery"
    )
    own = await start_again(is_trial=True)
    assert (own.renewed, own.credentials.admin_password, own.credentials.admin_password_expires_at) == (False, "", "")
    assert (await start_again(is_trial=True)).credentials == own.credentials
    assert (await start_again()).credentials == own.credentials
    pair = await sessions.login(again.credentials.admin_email, "correct horse battery")
    assert pair.password_expires_at is None


@pytest.mark.parametrize("is_trial", [True, False])
async def test_only_a_trial_begins_without_a_second_factor(metadata_store, hasher, tmp_path, owner, is_trial):
    await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS, is_trial=is_trial)
    assert json.loads(await owner.fetchval("SELECT settings FROM organizations")) == {"mfa_required": not is_trial}
    # And takes telemetry from any page at once.
    assert await owner.fetchval("SELECT allowed_origins FROM api_keys") == (["*"] if is_trial else [])


async def test_a_password_that_was_replaced_leaves_the_file(metadata_store, hasher, tmp_path):
    module.forget_password(tmp_path, "admin@duoscope.local")
    first = await bootstrap(metadata_store, hasher, data_dir=tmp_path, **_URLS)
    written = json.loads(first.path.read_text())
    module.forget_password(tmp_path, "another@example.com")
    assert json.loads(first.path.read_text()) == written
    module.forget_password(tmp_path, written["admin_email"])
    assert json.loads(first.path.read_text()) == written | {"admin_password": "", "admin_password_expires_at": ""}
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o600

"""Keys of access tokens, shared by several processes over the real PostgreSQL."""

import asyncio

import jwt
import pytest

from duoscope.background.driver import Driver
from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authentication.signing_keys import SigningKeys
from duoscope.kernel.actor import operator
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata.permissions import Grant
from duoscope.secrets.box import SecretBox
from duoscope.secrets.keys import SecretKeys

_PLATFORM = PlatformScope(reason="test")
_GRANT = Grant(new_id(), new_id(), new_id(), frozenset())


@pytest.fixture
def start(metadata_store, secret_box):
    """The keys as another process of the same platform has them."""

    async def starting(publish_s: float = 0.0) -> SigningKeys:
        box = SecretBox(metadata_store, SecretKeys((b"s" * 32,)))
        await box.prepare()
        keys = SigningKeys(metadata_store, box, publish_s=publish_s)
        await keys.load()
        return keys

    return starting


def _issue(keys: SigningKeys) -> str:
    return AccessTokens(keys).issue(_GRANT, user_id=new_id(), session_id=new_id())


def _kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


async def _stored(store) -> list[str]:
    async with store.open_platform(_PLATFORM, "test.keys") as tx:
        return [row["kid"] for row in await tx.fetch("SELECT kid FROM signing_keys ORDER BY active_at")]


async def test_processes_that_start_together_share_one_key(metadata_store, start):
    first, second, third = await asyncio.gather(start(), start(), start())
    assert len(await _stored(metadata_store)) == 1
    for other in (second, third):
        AccessTokens(other).verify(_issue(first))


async def test_a_new_key_signs_once_everybody_knows_it_and_the_old_one_still_verifies(metadata_store, start):
    first, second = await start(publish_s=0.4), await start()
    old = _issue(first)
    new_kid = await first.rotate(operator())
    await first.load()
    assert first.verifying(new_kid)
    assert _kid(_issue(first)) == _kid(old), "the other process does not know the new key yet"
    await asyncio.sleep(0.5)
    fresh = _issue(first)
    assert _kid(fresh) == new_kid
    await AccessTokens(second).learn(fresh)
    for keys in (first, second):
        AccessTokens(keys).verify(fresh)
        AccessTokens(keys).verify(old)
    assert len(await _stored(metadata_store)) == 2
    async with metadata_store.open_platform(_PLATFORM, "test.keys") as tx:
        await tx.execute("UPDATE signing_keys SET expires_at = now() WHERE kid = $1", _kid(old))
        assert await tx.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'signing-key.rotated'") == 2
    await second.load()
    with pytest.raises(DuoscopeError):
        AccessTokens(second).verify(old)


async def test_running_processes_pick_a_rotation_up_by_themselves(start, monkeypatch):
    running, command = await start(), await start()
    picked_up, kid = asyncio.Event(), ""
    real = running.load

    async def load():
        await real()
        if running.signing().kid == kid:
            picked_up.set()

    monkeypatch.setattr(running, "load", load)
    job = running.watch(Driver())
    kid = await command.rotate(operator())
    await asyncio.wait_for(picked_up.wait(), 10)
    await job.stop()


async def test_a_revoked_key_verifies_nothing_any_more(metadata_store, start):
    first, second = await start(), await start()
    leaked = _issue(second)
    await first.rotate(operator(), revoke=True)
    for keys in (first, second):
        await keys.load()
        with pytest.raises(DuoscopeError) as refused:
            AccessTokens(keys).verify(leaked)
        assert refused.value.code == "token-invalid"
    assert len(await _stored(metadata_store)) == 1


async def test_a_key_is_changed_when_its_time_has_come(metadata_store, start):
    first, second = await start(), await start()
    async with metadata_store.open_platform(_PLATFORM, "test.keys") as tx:
        await tx.execute("UPDATE signing_keys SET created_at = now() - interval '8 days'")
    old = _issue(first)
    await asyncio.gather(first.load(), second.load())
    assert len(await _stored(metadata_store)) == 2
    assert _kid(_issue(first)) == _kid(_issue(second)) != _kid(old)
    AccessTokens(second).verify(old)


async def test_made_up_key_ids_cause_few_looks(start, monkeypatch):
    keys = await start()
    looks = 0
    real = keys.load

    async def counting():
        nonlocal looks
        looks += 1
        await real()

    monkeypatch.setattr(keys, "load", counting)
    forged = [jwt.encode({"iss": "duoscope"}, "x" * 32, headers={"kid": f"{n:016x}"}) for n in range(50)]
    await asyncio.gather(*(AccessTokens(keys).learn(token) for token in [*forged, "", "no token"]))
    assert looks == 1


async def test_a_sealed_key_moved_to_another_row_does_not_open(metadata_store, start):
    keys = await start()
    await keys.rotate(operator())
    async with metadata_store.open_platform(_PLATFORM, "test.keys") as tx:
        await tx.execute("UPDATE signing_keys SET key_encrypted = (SELECT min(key_encrypted) FROM signing_keys)")
    with pytest.raises(DuoscopeError) as refused:
        await start()
    assert refused.value.code == "secret-unreadable"

"""Guessing is slowed, and a stranger's guesses slow the stranger alone, on the real PostgreSQL."""

import asyncio
import time

import asyncpg
import pytest

from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authentication.known_clients import KnownClients
from duoscope.identity.authentication.sessions import Sessions
from duoscope.identity.authentication.throttle import ACCOUNT, NETWORK, PAIR, Allowance, network_of
from duoscope.identity.passwords.hashing import too_many_logins
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import login_attempts

EMAIL, PASSWORD, WRONG = "one@example.com", "correct horse battery", "wrong password"
_PLATFORM = PlatformScope(reason="test")


@pytest.fixture
def sessions(metadata_store, hasher, secret_keys, signing_keys, inhabited):
    return Sessions(metadata_store, hasher, AccessTokens(signing_keys), secret_keys)


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


def _at(address: str) -> Actor:
    return Actor(None, "", "user", ip_address=address)


async def _code(awaitable) -> str:
    try:
        await awaitable
    except DuoscopeError as error:
        return error.code
    return "ok"


async def _let_time_pass(owner) -> None:
    """All blocks run out; failures stay."""
    await owner.execute("UPDATE login_attempts SET blocked_until = now()")


async def test_the_delay_grows_for_one_client_and_not_for_the_user_elsewhere(sessions, owner):
    stranger, home = _at("198.51.100.7"), _at("192.0.2.1")
    for _ in range(PAIR.free):
        assert await _code(sessions.login(EMAIL, WRONG, actor=stranger)) == "invalid-credentials"
    waits = []
    for _ in range(4):
        with pytest.raises(DuoscopeError) as refused:
            await sessions.login(EMAIL, PASSWORD, actor=stranger)
        assert (refused.value.kind, refused.value.code) == (ErrorKind.RATE_LIMITED, "too-many-attempts")
        waits.append(round(refused.value.retry_after_s or 0))
        assert await _code(sessions.login(EMAIL, PASSWORD, actor=home)) == "ok"
        await _let_time_pass(owner)
        assert await _code(sessions.login(EMAIL, WRONG, actor=stranger)) == "invalid-credentials"
    assert waits == [1, 2, 4, 8]
    await _let_time_pass(owner)
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=stranger)) == "ok"
    assert await _code(sessions.login(EMAIL, WRONG, actor=stranger)) == "invalid-credentials"
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=stranger)) == "ok"


async def test_another_spelling_that_finds_the_account_is_the_same_account(sessions, inhabit, metadata_store, owner):
    """Every one, or each would have free guesses of its own."""
    await inhabit(metadata_store, "kiki")
    one = "kiki@example.com"
    letters = [chr(code) for code in range(0x80, 0x110000) if not 0xD800 <= code < 0xE000]
    found = await owner.fetch(
        "SELECT u, lower(u) AS folded FROM unnest($1::text[]) u WHERE lower(u) < chr(128)", letters
    )
    spellings = [one.replace(row["folded"], row["u"], 1) for row in found if row["folded"] in one]
    assert "k\u0130ki@example.com" in spellings
    for number, spelling in enumerate(spellings):
        assert await _code(sessions.login(spelling, PASSWORD, actor=_at(f"192.0.2.{number}"))) == "ok"
    stranger = _at("198.51.100.7")
    tried = [one.upper(), *spellings] * PAIR.free
    for spelling in tried[: PAIR.free]:
        assert await _code(sessions.login(spelling, WRONG, actor=stranger)) == "invalid-credentials"
    for spelling in (one, *spellings):
        assert await _code(sessions.login(spelling, WRONG, actor=stranger)) == "too-many-attempts"


async def test_many_strangers_slow_newcomers_but_no_known_network_and_no_trusted_device(sessions, owner):
    home, abroad = _at("192.0.2.1"), _at("203.0.113.80")
    token = (await sessions.login(EMAIL, PASSWORD, actor=home, trust_device=True)).device_token
    await owner.execute("UPDATE login_attempts SET failures = $1", ACCOUNT.free - 1)
    await owner.execute("UPDATE login_attempts SET failures = 0 WHERE succeeded_at IS NULL")
    await owner.execute("DELETE FROM login_attempts WHERE failures = 0")
    # What is left are the account's own counters; the next wrong guess is the hundredth.
    assert await _code(sessions.login(EMAIL, WRONG, actor=_at("198.51.100.9"))) == "invalid-credentials"
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=abroad)) == "too-many-attempts"
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=abroad, device_token=token)) == "ok"
    await owner.execute("UPDATE login_attempts SET failures = 0 WHERE failures >= 99")
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=home)) == "ok"


async def test_a_device_with_its_token_is_counted_by_itself(sessions):
    home = _at("192.0.2.1")
    token = (await sessions.login(EMAIL, PASSWORD, actor=home, trust_device=True)).device_token
    for _ in range(PAIR.free):
        await _code(sessions.login(EMAIL, WRONG, actor=home))
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=home)) == "too-many-attempts"
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=home, device_token=token)) == "ok"
    for _ in range(PAIR.free):
        await _code(sessions.login(EMAIL, WRONG, actor=home, device_token=token))
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=home, device_token=token)) == "too-many-attempts"
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=home, device_token="tfd-" + "x" * 43)) == "ok"


async def test_a_client_that_signed_in_before_passes_whatever_others_do_in_its_network(sessions, secret_keys):
    """A flood from the user's own network, on their account and on others: the mark of an earlier login is enough."""
    home = _at("192.0.2.1")
    first = await sessions.login(EMAIL, PASSWORD, actor=home)
    codes = [await _code(sessions.login(EMAIL, WRONG, actor=home)) for _ in range(PAIR.free + 1)]
    assert codes[-1] == "too-many-attempts"
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=home)) == "too-many-attempts"
    again = await sessions.login(EMAIL.upper(), PASSWORD, actor=home, client_mark=first.client_mark)
    assert again.client_mark == first.client_mark
    # It takes no more guesses than a network does, and not those at other accounts.
    guesses = [sessions.login(EMAIL, WRONG, actor=home, client_mark=first.client_mark) for _ in range(PAIR.free + 1)]
    codes = [await _code(guess) for guess in guesses]
    assert codes == ["invalid-credentials"] * PAIR.free + ["too-many-attempts"]
    clients = KnownClients(secret_keys)
    for mark in (clients.mark("two@example.com"), first.client_mark[:-1], first.client_mark + "x", "", "x", "1.2.3"):
        assert clients.identify(EMAIL, mark) is None
    assert clients.identify(EMAIL, first.client_mark) is not None
    for day in (-1, 91):
        later = KnownClients(secret_keys, clock=lambda day=day: time.time() + day * 86400)
        assert later.identify(EMAIL, first.client_mark) is None


async def test_guesses_at_others_do_not_slow_who_signed_in_from_the_network(sessions, inhabit, metadata_store):
    await inhabit(metadata_store, "two")
    office = _at("192.0.2.1")
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=office)) == "ok"
    codes = [await _code(sessions.login(f"u{n}@example.com", WRONG, actor=office)) for n in range(NETWORK.free + 1)]
    assert codes[-1] == "too-many-attempts"
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=office)) == "ok"
    # Guessing is no cheaper: who has not been there waits, and each account takes as few guesses as before.
    assert await _code(sessions.login("two@example.com", PASSWORD, actor=office)) == "too-many-attempts"
    codes = [await _code(sessions.login(EMAIL, WRONG, actor=office)) for _ in range(PAIR.free + 1)]
    assert codes == ["invalid-credentials"] * PAIR.free + ["too-many-attempts"]


async def test_one_client_that_tries_many_accounts_is_slowed_and_unknown_accounts_count_alike(sessions, owner):
    client = _at("198.51.100.7")
    codes = [await _code(sessions.login(f"user{n}@example.com", WRONG, actor=client)) for n in range(NETWORK.free + 1)]
    assert set(codes[:-1]) == {"invalid-credentials"}
    assert codes[-1] == "too-many-attempts"
    await owner.execute("DELETE FROM login_attempts")
    answers = {}
    for email in (EMAIL, "nobody@example.com"):
        answers[email] = [await _code(sessions.login(email, WRONG, actor=client)) for _ in range(PAIR.free + 1)]
    assert answers[EMAIL] == answers["nobody@example.com"]


async def test_attempts_at_the_same_time_do_not_all_pass(sessions):
    client = _at("198.51.100.7")
    codes = await asyncio.gather(*(_code(sessions.login(EMAIL, WRONG, actor=client)) for _ in range(20)))
    assert codes.count("invalid-credentials") <= PAIR.free + 3
    assert codes.count("too-many-attempts") >= 20 - PAIR.free - 3


async def test_an_attempt_that_nobody_looked_at_is_no_failure(sessions, hasher, metadata_store, owner, monkeypatch):
    monkeypatch.setattr(hasher, "_waiting_max", -100)

    async def refused():
        for _ in range(PAIR.free * 2):
            assert await _code(sessions.login(EMAIL, PASSWORD, actor=_at("192.0.2.1"))) == "too-many-logins"

    await refused()
    assert await owner.fetchval("SELECT count(*) FROM login_attempts") == 0, "a flood costs no writes"
    monkeypatch.undo()

    async def filled_up_meanwhile(*_, **__):
        raise too_many_logins()

    monkeypatch.setattr(hasher, "_run", filled_up_meanwhile)
    await refused()
    monkeypatch.undo()
    assert await owner.fetchval("SELECT max(failures) FROM login_attempts") == 0
    assert await _code(sessions.login(EMAIL, PASSWORD, actor=_at("192.0.2.1"))) == "ok"
    await owner.execute("UPDATE login_attempts SET updated_at = now() - interval '2 days'")
    async with metadata_store.open_platform(_PLATFORM, "test.purge") as tx:
        assert await login_attempts.purge(tx, forget_s=86400, known_for_s=86400 * 90) == 1  # the network's
        assert await login_attempts.purge(tx, forget_s=86400, known_for_s=0) == 2


async def test_no_address_is_kept_in_the_counters(sessions, owner):
    await _code(sessions.login(EMAIL, WRONG, actor=_at("198.51.100.7")))
    kept = str(await owner.fetch("SELECT * FROM login_attempts"))
    assert "example.com" not in kept
    assert "198.51" not in kept


def test_networks_and_delays():
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::"
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of(None) == network_of("nonsense") == "unknown"
    assert [Allowance(2, 5.0).delay_s(n) for n in (1, 2, 3, 4, 5, 10_000)] == [0, 1, 2, 4, 5, 5]

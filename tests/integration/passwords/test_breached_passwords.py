"""Passwords that were stolen elsewhere: the list that is shipped, and a real service of the range protocol."""

import asyncio
import contextlib
import hashlib
import logging
import secrets
from importlib.resources import files

import pytest

from duoscope.delivery.mail import Mailer
from duoscope.identity.authentication.recovery import Recovery
from duoscope.identity.authorization.permissions import operator_over
from duoscope.identity.directory.invitations import Invitations
from duoscope.identity.operators import administration
from duoscope.identity.passwords.breached_passwords import BreachedPasswords, is_listed
from duoscope.identity.passwords.rules import PasswordRules, common
from duoscope.kernel import limits
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.settings import Settings, load
from duoscope.metadata import roles

STOLEN, PADDING, FREE = "zebra lamp of tuesday", "never was a password here", "ladder under a green moon"
LISTED = "correcthorsebatterystaple"


class Range:
    """A server of the range protocol in loopback, which knows STOLEN and pads with PADDING.

    Attributes:
        url: where it is.
        requests: their heads, in the order of their arrival.
        status: what it answers.
        silent: whether it answers nothing.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.status = "200 OK"
        self.silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            if self.silent:
                await reader.read()
            else:
                prefix = head.split()[1].rsplit("/", 1)[1]
                entries = [(STOLEN, 17), (PADDING, 0), *((secrets.token_hex(), n) for n in range(800))]
                digits = [(hashlib.sha1(each.encode()).hexdigest().upper(), count) for each, count in entries]
                body = "\r\n".join(f"{d[5:]}:{count}" for d, count in digits if count != 17 or d.startswith(prefix))
                answer = f"HTTP/1.1 {self.status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}"
                writer.write(answer.encode())
                await writer.drain()


@pytest.fixture
async def service():
    made = Range()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/range/"
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def breached(service):
    made = BreachedPasswords(service.url)
    yield made
    await made.close()


async def _code(awaitable) -> str:
    try:
        await awaitable
    except DuoscopeError as error:
        return error.code
    return "ok"


def test_by_default_nobody_is_asked():
    """Without a setting, nothing is sent outside."""
    assert load({}).breached_passwords_url == "off"
    assert BreachedPasswords(load({}).breached_passwords_url)._outbound is None


def test_the_shipped_list_is_large_and_has_what_is_used_most_of_the_allowed_length():
    content = (files("duoscope.identity.passwords") / "breached_passwords.bin").read_bytes()
    assert 2 * sum(content[:65536]) == len(content) - 65536
    assert sum(content[:65536]) > 1_400_000
    used_most = "123qweasdzxc 1qaz2wsx3edc q1w2e3r4t5y6 1q2w3e4r5t6y qwertyuiop123 iloveyou1234"
    assert all(is_listed(password) for password in [*used_most.split(), LISTED])
    # Another collection of what is used most has few of that length that this one lacks, and is compared with as well.
    others = [password for password in common() if len(password) >= 12]
    assert sum(map(is_listed, others)) > 0.8 * len(others) > 100


def test_passwords_that_nobody_has_are_not_taken_for_listed_ones():
    assert not any(is_listed(password) for password in (STOLEN, PADDING, FREE))
    # Four bytes of a hash: one in three thousand looks like a listed one.
    assert sum(is_listed(secrets.token_urlsafe(18)) for _ in range(3000)) < 12


async def test_the_service_is_asked_by_five_digits_and_padding_counts_for_nothing(service, breached):
    digits = hashlib.sha1(STOLEN.encode()).hexdigest().upper()
    assert await breached.has(STOLEN)
    [head] = service.requests
    assert head.startswith(f"GET /range/{digits[:5]} HTTP/1.1\r\n")
    assert "add-padding: true" in head.lower()
    assert digits[5:] not in head.upper()
    assert not await breached.has(PADDING)
    assert not await breached.has(FREE)
    assert await breached.has(LISTED)
    assert len(service.requests) == 3, "what is listed here is not asked for there"


@pytest.mark.parametrize("way", ["silent", "status", "nobody"])
async def test_a_service_that_is_away_stops_nobody_and_is_left_alone(service, breached, way, monkeypatch, caplog):
    monkeypatch.setattr(limits, "BREACHED_ANSWER_MAX_S", 0.2)
    if way == "nobody":
        breached = BreachedPasswords("http://127.0.0.1:1/range/")
    service.silent, service.status = way == "silent", "503 Away" if way == "status" else "200 OK"
    rules = PasswordRules(breached)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await rules.check(FREE)
            assert await _code(rules.check(LISTED)) == "password-breached"
    assert len(service.requests) == (way != "nobody")
    [record] = caplog.records
    assert "breached passwords cannot be asked for" in record.getMessage()
    prefix = hashlib.sha1(FREE.encode()).hexdigest()[:5].upper()
    assert all(told not in record.getMessage().upper() for told in (FREE.upper(), f"/{prefix}"))
    service.silent, service.status = False, "200 OK"
    if way != "nobody":
        monkeypatch.setattr(breached, "_asked_again_s", 0.0)
        assert await breached.has(STOLEN)


async def test_every_way_to_a_password_asks(service, breached, inhabited, metadata_store, *, hasher, secret_keys):
    rules = PasswordRules(breached)
    tenant = inhabited.tenant
    mailer = Mailer(Settings(smtp_url="smtp+plaintext://127.0.0.1:1"), secret_keys)
    invitations = Invitations(metadata_store, mailer, hasher, public_url="http://test", rules=rules)
    authority = operator_over(tenant.organization_id)
    async with metadata_store.open(authority.scope, "test.roles") as tx:
        [viewer] = [role.role_id for role in await roles.list_all(tx) if role.name == "viewer"]
    sent = await invitations.create(authority, email="new@example.com", role_ids=[viewer], tenant_id=tenant.tenant_id)
    recovery = Recovery(metadata_store, hasher, mailer, secret_keys, public_url="http://test", rules=rules)
    actor = Actor(inhabited.user.user_id, inhabited.user.email, "user")
    where = {"organization_id": tenant.organization_id, "session_id": new_id(), "actor": actor}
    email = {"email": inhabited.user.email}
    store = metadata_store, hasher

    def ways(password: str):
        token, name = sent.link.partition("#")[2], {"first_name": "New", "last_name": "Person"}
        return (
            invitations.accept(Actor(None, "", "user"), token, **name, password=password),
            recovery.change("correct horse battery", password, **where),
            administration.reset_password(*store, **email, password=password, rules=rules),
            administration.create_user(
                *store, tenant_id=tenant.tenant_id, email=f"{new_id()}@example.com", password=password, rules=rules
            ),
        )

    assert [await _code(way) for way in ways(STOLEN)] == ["password-breached"] * 4
    assert [await _code(way) for way in ways(FREE)] == ["ok"] * 4
    assert len(service.requests) == 8

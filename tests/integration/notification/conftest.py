"""A tenant with a rule, web servers in loopback that answer what they are told to, and the sender."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from duoscope.delivery.mail import Mailer
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS, Principal
from duoscope.kernel.actor import Actor
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata import alert_rules, alert_transitions
from duoscope.metadata.alert_rules import AlertRule
from duoscope.metadata.alert_transitions import AlertTransition
from duoscope.net.outbound import Outbound
from duoscope.notification import groups
from duoscope.notification.management import ChannelManagement
from duoscope.notification.owing import owe
from duoscope.notification.sending import Sender

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_PLATFORM = PlatformScope(reason="a test")
_UI = "https://duoscope.example"


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: dict


@dataclass
class Server:
    """Answers each path with what is scripted for it, then with 200. None in a script is no answer at all."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    scripts: dict[str, list[bytes | None]] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [each for each in self.received if each.path == path]

    def script(self, path: str, *answers: str | None) -> None:
        self.scripts[path] = [
            None if each is None else f"HTTP/1.1 {each}\r\ncontent-length: 5\r\n\r\nsaid\n".encode() for each in answers
        ]


@pytest.fixture
async def server():
    made = Server()
    closing = asyncio.Event()

    async def serve(reader, writer):
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                raw = dict(line.split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers["content-length"]))
                path = head[0].split()[1]
                kept = {name.lower(): value for name, value in raw.items()}
                made.received.append(Received(path, kept, json.loads(body)))
                script = made.scripts.get(path, [])
                answer = script.pop(0) if script else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                if answer is None:
                    await closing.wait()
                    return
                writer.write(answer)
                await writer.drain()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    closing.set()
    listening.close()
    await listening.wait_closed()


@pytest.fixture
async def outbound():
    made = Outbound("127.0.0.0/8")
    yield made
    await made.close()


@pytest.fixture
def mailer(secret_keys):
    return Mailer(Settings(smtp_url="smtp+plaintext://127.0.0.1:1"), secret_keys)


@pytest.fixture
def sender(metadata_store, secret_box, outbound, mailer):
    return Sender(metadata_store, secret_box, outbound, mailer, _UI)


@dataclass
class Tenant:
    """The tenant, at work; `story` tells it what happened to instances of its rule."""

    store: object
    principal: Principal
    management: ChannelManagement
    rule: AlertRule
    group_id: object
    numbers: dict = field(default_factory=dict)

    async def channel(self, channel_type, config, group_id=None):
        made = await self.management.create(
            self.principal,
            notification_group_id=group_id or self.group_id,
            name=str(new_id()),
            channel_type=channel_type,
            config=config,
        )
        return made.channel

    async def transit(self, kind, *instances, subject="series", **changes):
        """Write one transition for each instance, in one transaction."""
        made = []
        for instance in instances:
            number = self.numbers[instance] = self.numbers.get(instance, 0) + 1
            values = {
                "alert_rule_id": self.rule.alert_rule_id, "alert_rule_name": self.rule.name, "severity": "critical",
                "transition_id": new_id(), "instance_id": instance, "number": number, "subject": subject, "kind": kind,
                "reason": "breach", "at": AT + timedelta(minutes=number), "active_at": AT, "fired_at": AT,
                "value": 0.5, "threshold": 0.1, "labels": {"instance": str(instance)[-4:]},
                "annotations": {"summary": "{{ $labels.instance }} is at {{ $value | humanizePercentage }}"},
                "details": {"runbook_url": "https://runbooks.example/errors"},
            } | changes  # fmt: skip
            made.append(AlertTransition(**values))
        async with self.store.open(self.principal.scope, "test.transit") as tx:
            await alert_transitions.add(tx, self.rule.alert_rule_id, made)
        return made

    async def owe(self):
        return await owe(self.store, external_url=_UI)


@pytest.fixture
async def tenant(metadata_store, secret_box, outbound, mailer, inhabited):
    place = inhabited.tenant
    scope = Scope(place.organization_id, place.workspace_id, place.tenant_id)
    actor = Actor(inhabited.user.user_id, inhabited.user.email, "user")
    principal = Principal(scope, inhabited.user.user_id, new_id(), frozenset(ROLE_PERMISSIONS), actor=actor)
    values = {
        "organization_id": scope.organization_id, "workspace_id": scope.workspace_id, "tenant_id": scope.tenant_id,
        "alert_rule_id": new_id(), "name": "HighErrors", "description": "", "query_type": "promql", "query_config": {},
        "condition_config": {}, "policy_config": {}, "severity": "critical", "cooldown_minutes": 0,
        "interval_seconds": 60, "labels": {}, "annotations": {}, "runbook_url": "", "dashboard_url": "",
        "is_enabled": True, "version": 1, "last_evaluated_at": None, "last_duration_ms": None, "last_problem": "",
        "created_by": None, "deleted_at": None, "created_at": AT, "updated_at": AT,
    }  # fmt: skip
    async with metadata_store.open(scope, "test.rule") as tx:
        rule = await alert_rules.create(tx, AlertRule(**values), offset_s=0)
    group = await groups.create(metadata_store, principal, name="On call", description="")
    await groups.set_of_rule(metadata_store, principal, rule.alert_rule_id, [group.group_id])
    management = ChannelManagement(metadata_store, secret_box, outbound, mailer, public_url=_UI)
    return Tenant(metadata_store, principal, management, rule, group.group_id)


@pytest.fixture
def now_due(owner):
    """Let every pause be over."""

    async def pass_time():
        await owner.execute("UPDATE notifications SET next_attempt_at = now() WHERE settled_at IS NULL")
        await owner.execute("UPDATE notification_channels SET not_before = now(), leased_until = now()")

    return pass_time

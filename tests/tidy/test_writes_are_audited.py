"""Whoever opens a transaction and writes in it leaves an audit entry in it, whatever calls them.

Read from the source: the calls in each `async with ... as tx`, followed through the modules that they are imported from
down to the SQL. A new writer joins by existing. What writes and leaves no entry stands in EXEMPT with its reason; one
that no longer needs to fails here, so the list only shrinks.
"""

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).parents[2] / "services" / "duoscope"
OPENERS = ("alerting", "api", "cli", "dashboards", "identity", "notification", "secrets", "worker")
FOLLOWED = (*OPENERS, "delivery", "metadata")
AUDIT = {
    ("duoscope.identity.audit.record", name) for name in ("record", "created", "changed", "deleted", "restored")
} | {("duoscope.metadata.audit_logs", "record")}
EXEMPT: dict[str, str] = {
    "alerting.evaluator._evaluate: alerting.advance": "what evaluation finds, which alert history tells of",
    "alerting.evaluator.end_gone: alerting.end_gone": "what follows from the end of a tenant, which has its entry",
    "alerting.evaluator.evaluate_next: alerting.lease": "who evaluates a rule for a minute",
    "dashboards.views.flush: dashboards.add_views": "how often dashboards were looked at, which changes nothing",
    "identity.api_keys.upkeep.flush: api_keys.record_uses": "counts of uses, which are a log of their own",
    "identity.authentication.mfa.confirm: mfa.confirm": "charges an attempt; `mfa.enable` tells of the success",
    "identity.authentication.reauthentication.require_password: reauthentication.attempt": "charges an attempt",
    "identity.authentication.reauthentication.require_password: reauthentication.succeeded": "takes a charge back",
    "identity.authentication.reauthentication.require_password: reauthentication.take_back": "takes a charge back",
    "identity.authentication.recovery.change: recovery.change_attempt": "charges an attempt",
    "identity.authentication.recovery.change: recovery.take_back": "takes a charge back",
    "identity.authentication.recovery.forget: recovery.forget": "queues a mail for an address nobody may be told of",
    "identity.authentication.login_attempts.take_back: sessions.take_back": "takes a charge back",
    "identity.authentication.login_attempts.admit: sessions.attempt": "charges an attempt",
    "identity.oidc.login.finish: oidc.use_state": "uses up a login's state; the session's entry tells of the login",
    "notification.external.post: external_alerts.post": "stores what senders post, as telemetry is; each is an alert",
    "notification.owing.owe: notifications.owe": "notes what channels are owed; GET /api/v1/notifications lists it",
    "notification.sending._serve: notifications.begin": "counts an attempt, in a log of its own",
    "notification.sending.send_due: notifications.lease": "leases channels to a sender",
    "worker.notifications.forget_settled: notifications.forget": "removes what was sent long ago",
    "secrets.box._reseal_some: secret_box.reseal": "seals the same secrets anew; `encryption-key.rotated` told of it",
    "secrets.box.prepare: secret_box.prepare": "makes the first data key of an empty database",
    "secrets.box.resume: secret_box.retire": "finishes a rotation; `encryption-key.rotated` told of it",
    "secrets.box.resume: secret_box.rewrap": "finishes a rotation; `encryption-key.rotated` told of it",
    "worker.alert_shipping._ship_part: worker.finish_alerts": "notes what of the history of alerts was copied",
    "worker.alert_shipping.ship_alerts: worker.begin_alerts": "notes what of the history of alerts is being copied",
    "worker.audit_shipping._ship_part: worker.begin_shipping": "notes what of the audit log is being copied",
    "worker.audit_shipping._ship_part: worker.finish_shipping": "notes how much of the audit log was copied",
}
"""By function and transaction; why it leaves none. Take out what no longer needs to be here; put nothing new in."""
_WRITES = re.compile(r"\bINSERT INTO\b|\bDELETE FROM\b|(?<!FOR )(?<!KEY )(?<!DO )\bUPDATE\b")

Called = tuple[str, str]
"""Module and name; methods go by their names alone."""


@dataclass
class Module:
    """A module's functions and methods, where its names come from, and its constants of SQL that writes."""

    imported: dict[str, Called] = field(default_factory=dict)
    functions: dict[str, list[ast.AST]] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    writing: set[str] = field(default_factory=set)


def _is_sql_that_writes(node):
    return any(
        isinstance(n, ast.Constant) and isinstance(n.value, str) and _WRITES.search(n.value) for n in ast.walk(node)
    )


def _read(source):
    found, tree = Module(), ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.imported |= {n.asname or n.name: (node.module, n.name) for n in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.functions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ClassDef):
            found.classes.add(node.name)
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _is_sql_that_writes(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.writing |= {t.id for t in targets if isinstance(t, ast.Name)}
    return found


@cache
def _modules():
    files = (path for room in FOLLOWED for path in (HOUSE / room).rglob("*.py"))
    names = {path: ".".join(path.relative_to(HOUSE).with_suffix("").parts) for path in files}
    return {
        f"duoscope.{name}".removesuffix(".__init__"): _read(path.read_text("utf-8")) for path, name in names.items()
    }


class Source:
    """The followed modules, and what can be reached from a piece of one."""

    def __init__(self, modules):
        self.modules = modules

    def calls(self, name, node):
        """The functions that a piece of a module calls, as far as the source tells."""
        module = self.modules[name]
        for call in ast.walk(node):
            if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "self":
                yield name, call.attr
            if not isinstance(call, ast.Call):
                continue
            called = call.func
            if isinstance(called, ast.Name):
                yield module.imported.get(called.id, (name, called.id))
            elif isinstance(called, ast.Attribute):
                base = called.value.id if isinstance(called.value, ast.Name) else ""
                owner = ".".join(module.imported.get(base, ("", "")))
                if owner in self.modules:
                    yield owner, called.attr
                elif base != "self":
                    yield from ((m, called.attr) for m, n in module.imported.values() if self._is_class(m, n))

    def _is_class(self, module, name):
        return module in self.modules and name in self.modules[module].classes

    def reach(self, name, node):
        """Whether SQL that writes is reached, and whether the audit log is."""
        writes = audits = False
        waiting, seen = [(name, node)], set()
        while waiting:
            at, piece = waiting.pop()
            writing = self.modules[at].writing
            writes |= at != "duoscope.metadata.audit_logs" and (
                _is_sql_that_writes(piece) or any(isinstance(n, ast.Name) and n.id in writing for n in ast.walk(piece))
            )
            for called in set(self.calls(at, piece)) - seen:
                seen.add(called)
                audits |= called in AUDIT
                if called not in AUDIT and called[0] in self.modules:
                    waiting += [(called[0], f) for f in self.modules[called[0]].functions.get(called[1], ())]
        return writes, audits

    def unaudited(self, *rooms):
        """The transactions, by function and name, that are written in without leaving an entry."""
        for name, module in self.modules.items():
            if name.split(".")[1] not in rooms:
                continue
            for function, pieces in module.functions.items():
                for block in (n for p in pieces for n in ast.walk(p) if isinstance(n, ast.AsyncWith) and _opens(n)):
                    if self.reach(name, block) == (True, False):
                        yield f"{name.removeprefix('duoscope.')}.{function}: {_name(block)}"


def _opens(block):
    return any(isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == "tx" for item in block.items)


def _name(block):
    """The name of the transaction in the database's views."""
    strings = (n.value for item in block.items for n in ast.walk(item) if isinstance(n, ast.Constant))
    return next((text for text in strings if isinstance(text, str)), "")


def test_every_write_leaves_an_entry():
    assert sorted(Source(_modules()).unaudited(*OPENERS)) == sorted(EXEMPT)


def test_a_write_without_an_entry_is_found():
    def source(body):
        text = (
            "from duoscope.metadata import things\nfrom duoscope.identity.audit import record as audit\n"
            "async def _helper(tx):\n    await things.create(tx)\n"
            f"async def work(store):\n    async with store.open(scope, 'x') as tx:\n        {body}\n"
        )
        things = "_SQL = 'UPDATE things SET x = 1'\nasync def create(tx):\n    await tx.execute(_SQL)\n"
        things += "async def get(tx):\n    await tx.fetchrow('SELECT 1 FROM things FOR UPDATE')\n"
        return Source(
            {
                "duoscope.identity.work": _read(text),
                "duoscope.metadata.things": _read(things),
                "duoscope.identity.audit.record": _read(""),
            }
        )

    bare = ["identity.work.work: x"]
    assert list(source("await _helper(tx)").unaudited("identity")) == bare
    assert list(source("await tx.execute('DELETE FROM things')").unaudited("identity")) == bare
    assert list(source("await things.get(tx)").unaudited("identity")) == []
    assert list(source("await _helper(tx); await audit.record(tx)").unaudited("identity")) == []

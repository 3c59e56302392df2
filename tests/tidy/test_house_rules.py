"""The rules of the house that no linter knows, each with a test that it can fail.

A rule takes the path of a file, as the repository names it, and its text, and yields what is wrong. Exemptions are
listed here, and one that is no longer needed fails a test.
"""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "services/duoscope/"

LAYERS = (
    "kernel",
    "background",
    "net",
    "stores",
    "metadata",
    "telemetry",
    "secrets",
    "delivery",
    "identity",
    "notification",
    "alerting",
    "dashboards",
    "receiver",
    "api",
    "worker",
    "runtime",
    "demo",
    "cli",
)
"""Lowest first: a module imports from lower layers and its own."""
APART = {
    frozenset({"metadata", "telemetry"}),
    frozenset({"receiver", "api"}),
    frozenset({"demo", "stores"}),
    frozenset({"demo", "runtime"}),
}
"""Neighbours that must not know each other."""

MAKES_SCOPES = {
    "services/duoscope/alerting/evaluator.py",
    "services/duoscope/dashboards/sharing.py",
    "services/duoscope/notification/asking.py",
    "services/duoscope/receiver/durability/records.py",
    "services/duoscope/identity/authentication/access_tokens.py",
    "services/duoscope/identity/api_keys/verifier.py",
    "services/duoscope/identity/authorization/permissions.py",
}
"""API authentication (and what it found to be held organization-wide), ingest authentication, the log of requests that
passed it, the worker's fan-out over tenants, and the links of shared dashboards."""

LINES_MAX = 500

FILES_MAX = 24
"""In one folder, so that whoever lists it sees what is there."""
CROWDED = {"services/duoscope/metadata"}
"""One file a table."""

_CREATED = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
TABLES = {
    table
    for migration in (ROOT / "migrations" / "clickhouse").glob("*.up.sql")
    for table in _CREATED.findall(migration.read_text("utf-8"))
} - {"audit_logs"}
"""Whatever a migration of ClickHouse ever stored rows in; `audit_logs` is a table of PostgreSQL as well."""
NAMES_TABLES: frozenset[str] = frozenset()
"""Outside the store: none."""

STARTS_TASKS = {
    "services/duoscope/api/log_streams.py",
    "services/duoscope/cli/serve.py",
    "services/duoscope/dashboards/flights.py",
    "services/duoscope/identity/api_keys/verifier.py",
    "services/duoscope/net/http_listener.py",
    "services/duoscope/receiver/appending.py",
    "services/duoscope/receiver/durability/storing.py",
}
"""They start tasks that end: with a request, a connection's handshake, a segment, or the process that they are."""

Rule = Callable[[str, str], Iterator[str]]


def _layer(path: str) -> str | None:
    parts = path.removeprefix(PACKAGE).split("/")
    if not path.startswith(PACKAGE) or parts == ["__init__.py"]:
        return None
    return "cli" if len(parts) == 1 else parts[0]


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def arrows_point_downward(path: str, text: str) -> Iterator[str]:
    mine = _layer(path)
    if mine is None:
        return
    for module in _imports(text):
        head, _, rest = module.partition(".")
        theirs = rest.split(".")[0]
        if head != "duoscope" or theirs not in LAYERS:
            continue
        if LAYERS.index(theirs) > LAYERS.index(mine) or frozenset({mine, theirs}) in APART:
            yield f"{mine} must not import {module}"


def modules_say_what_they_are_for(path: str, text: str) -> Iterator[str]:
    if path.endswith(".py") and not ast.get_docstring(ast.parse(text)):
        yield "the file does not open with a docstring"


def scopes_are_made_where_someone_was_authenticated(path: str, text: str) -> Iterator[str]:
    if not path.startswith(PACKAGE) or path in MAKES_SCOPES:
        return
    for node in ast.walk(ast.parse(text)):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
        if name in ("Scope", "OrganizationScope"):
            yield f"line {node.lineno} makes a {name}"


def tables_are_named_by_the_store_alone(path: str, text: str) -> Iterator[str]:
    if not path.startswith(PACKAGE) or path in NAMES_TABLES or path.startswith(f"{PACKAGE}stores/"):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = set("".join(c if c.isalnum() or c == "_" else " " for c in node.value).split())
            for table in sorted(words & TABLES):
                yield f"line {node.lineno} names the table {table}"


def files_are_short(path: str, text: str) -> Iterator[str]:
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield f"{lines} lines are more than {LINES_MAX}"


def queries_are_not_assembled_from_user_text(path: str, text: str) -> Iterator[str]:
    """Telemetry and api build no SQL with a variable whose name suggests text from a user."""
    if not path.startswith((f"{PACKAGE}telemetry/", f"{PACKAGE}api/")):
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.JoinedStr):
            continue
        literal = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
        if not any(word in literal for word in ("SELECT ", " FROM @", " WHERE ")):
            continue
        for part in node.values:
            names = (
                {n.id for n in ast.walk(part) if isinstance(n, ast.Name)}
                if isinstance(part, ast.FormattedValue)
                else ()
            )
            for name in sorted(
                {"query", "query_text", "text", "metric", "prefix", "service", "trace_id"}.intersection(names)
            ):
                yield f"line {node.lineno} puts {name} into SQL"


def _goes_round(node: ast.AST) -> bool:
    inside = [type(each) for each in ast.walk(node)] if isinstance(node, ast.While) else []
    return ast.Await in inside and ast.Return not in inside and ast.Break not in inside


def work_that_repeats_is_a_job_of_the_driver(path: str, text: str) -> Iterator[str]:
    """Tasks are started in `background/` and in a few listed files, and there none that goes round and round."""
    if not path.startswith(PACKAGE) or path.startswith(f"{PACKAGE}background/"):
        return
    tree = ast.parse(text)
    loops = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef) and any(_goes_round(node) for node in ast.walk(function))
    }
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
        if name not in ("create_task", "ensure_future", "TaskGroup", "run_forever"):
            continue
        if path not in STARTS_TASKS:
            yield f"line {node.lineno} starts a task: declare a Job, and start it with the Driver"
        for inner in ast.walk(node):
            started = inner.func if isinstance(inner, ast.Call) and inner is not node else None
            named = getattr(started, "attr", getattr(started, "id", ""))
            if named in loops:
                yield f"line {node.lineno} starts {named}, which repeats: declare a Job, and start it with the Driver"


DRIVERS = {
    "asyncpg": "stores/",
    "clickhouse_connect": "stores/",
    "httpcore": "net/",
    "cryptography.hazmat.primitives.ciphers": "secrets/sealer.py",
}
"""Libraries with errors, types and rules of their own that stay behind one door each."""


def drivers_stay_behind_their_doors(path: str, text: str) -> Iterator[str]:
    if not path.startswith(PACKAGE):
        return
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            for driver, door in DRIVERS.items():
                if f"{name}.".startswith(f"{driver}.") and not path.startswith(f"{PACKAGE}{door}"):
                    yield f"line {node.lineno} imports {name}, which only {door} does"


def ids_are_told_apart_by_names_or_types(path: str, text: str) -> Iterator[str]:
    """A function takes one UUID by position: two, swapped, would pass the type checker. Handlers get theirs by name."""
    if not path.startswith(PACKAGE) or path.startswith(f"{PACKAGE}api/routes/"):
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        positional = [*node.args.posonlyargs, *node.args.args]
        bare = [each.arg for each in positional if each.annotation and ast.unparse(each.annotation) in _BARE_IDS]
        if len(bare) > 1:
            yield f"line {node.lineno}: {node.name} takes {' and '.join(bare)}: use UserRef, SessionRef, or keywords"


_BARE_IDS = {"UUID", "UUID | None", "None | UUID", "Optional[UUID]", "uuid.UUID", "uuid.UUID | None"}

RULES: dict[Rule, tuple[str, str]] = {
    arrows_point_downward: (f"{PACKAGE}kernel/x.py", '"""X."""\nfrom duoscope.stores import clickhouse\n'),
    modules_say_what_they_are_for: (f"{PACKAGE}kernel/x.py", "X = 1\n"),
    scopes_are_made_where_someone_was_authenticated: (f"{PACKAGE}api/x.py", '"""X."""\nscope.Scope(1, 2, 3)\n'),
    tables_are_named_by_the_store_alone: (f"{PACKAGE}telemetry/x.py", '"""X."""\nSQL = "SELECT * FROM logs_v3"\n'),
    files_are_short: (f"{PACKAGE}kernel/x.py", "\n" * (LINES_MAX + 1)),
    queries_are_not_assembled_from_user_text: (
        f"{PACKAGE}telemetry/x.py",
        '"""X."""\nSQL = f"SELECT * FROM @logs WHERE body = {query}"\n',
    ),
    drivers_stay_behind_their_doors: (f"{PACKAGE}receiver/x.py", '"""X."""\nimport asyncpg.exceptions\n'),
    ids_are_told_apart_by_names_or_types: (
        f"{PACKAGE}metadata/x.py",
        '"""X."""\nasync def get(tx, organization_id: UUID, user_id: UUID | None, *, role_id: UUID) -> None: ...\n',
    ),
    work_that_repeats_is_a_job_of_the_driver: (
        f"{PACKAGE}worker/x.py",
        '"""X."""\ntask = asyncio.create_task(run())\n',
    ),
}
"""Each rule with a file that breaks it."""

ALSO_OF_C = {files_are_short}
"""The rules that C files keep as well."""


def crowded_folders(paths: Iterable[str]) -> Iterator[str]:
    """Folders of code that hold too many files, each with how many."""
    for folder, count in Counter(str(PurePosixPath(path).parent) for path in paths).items():
        if count > FILES_MAX and folder.startswith(FOLDERS) and folder not in CROWDED:
            yield f"{folder}: {count} files are more than {FILES_MAX}"


FOLDERS = ("services", "tests", "benchmarks", "tools")


def _tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        return [path for path in listed.stdout.split("\n") if (ROOT / path).is_file()]
    return [
        str(path.relative_to(ROOT)) for folder in FOLDERS for like in patterns for path in (ROOT / folder).rglob(like)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule):
    paths = _tracked("*.py", *(("*.c", "*.h") if rule in ALSO_OF_C else ()))
    broken = [f"{path}: {what}" for path in paths for what in rule(path, (ROOT / path).read_text("utf-8"))]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_can_fail(rule):
    path, text = RULES[rule]
    assert list(rule(path, text))


def test_the_rules_look_at_the_house():
    tracked = _tracked("*.py")
    assert f"{PACKAGE}telemetry/logs.py" in tracked
    assert len(tracked) > 50
    assert f"{PACKAGE}receiver/decoder/rows/traces.c" in _tracked("*.c")


def test_folders_hold_few_files(monkeypatch):
    paths = _tracked("*")
    exempt = CROWDED
    assert not list(crowded_folders(paths))
    monkeypatch.setitem(globals(), "CROWDED", frozenset())
    assert {crowded.partition(":")[0] for crowded in crowded_folders(paths)} == exempt, "an exemption is not needed"


def test_a_crowded_folder_is_seen():
    files = [f"{PACKAGE}kernel/x{number}.c" for number in range(FILES_MAX + 1)]
    assert list(crowded_folders(files))
    assert not list(crowded_folders(files[1:]))


def test_every_room_has_its_layer():
    rooms = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert rooms == set(LAYERS)


def test_neighbours_and_submodules_are_seen():
    rule = arrows_point_downward
    assert list(rule(f"{PACKAGE}telemetry/x.py", "from duoscope.metadata import users"))
    assert list(rule(f"{PACKAGE}stores/embedded/x.py", "from duoscope import metadata"))
    assert list(rule(f"{PACKAGE}identity/x.py", "def f():\n    import duoscope.api.app"))
    assert not list(rule(f"{PACKAGE}api/routes/x.py", "from duoscope.telemetry.language import Signal"))
    assert not list(rule(f"{PACKAGE}runtime/serve.py", "from duoscope.api.app import create_app"))


def test_a_loop_is_seen_where_tasks_may_be_started():
    loop = (
        '"""X."""\nasync def run():\n    while not closing:\n        await turn()\n\nasyncio.create_task(self.run())\n'
    )
    once = loop.replace("while not closing", "if closing")
    for path in STARTS_TASKS:
        assert list(work_that_repeats_is_a_job_of_the_driver(path, loop))
        assert not list(work_that_repeats_is_a_job_of_the_driver(path, once))
    assert not list(work_that_repeats_is_a_job_of_the_driver(f"{PACKAGE}background/x.py", loop))


def test_exemptions_are_needed(monkeypatch):
    for name, rule in (
        ("MAKES_SCOPES", scopes_are_made_where_someone_was_authenticated),
        ("NAMES_TABLES", tables_are_named_by_the_store_alone),
        ("STARTS_TASKS", work_that_repeats_is_a_job_of_the_driver),
    ):
        exempt = globals()[name]
        monkeypatch.setitem(globals(), name, frozenset())
        for path in exempt:
            assert list(rule(path, (ROOT / path).read_text("utf-8"))), f"{path} needs no exemption in {name}"

"""Print what becomes of a folder of Grafana dashboards when they are imported, counted by kind.

.venv/bin/python tools/import_report.py ../shared/dashboards
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from duoscope.dashboards.grafana.dashboards import convert
from duoscope.dashboards.grafana.report import Line
from duoscope.dashboards.model import Dashboard
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.promql.syntax.text import AGGREGATIONS
from duoscope.telemetry.questions.promql import PromqlQuestion

_CALL = re.compile(r"\b([a-z][a-z0-9_]*)\s*(?:\(|\s(?:by|without)\b)")
_WORDS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool"})


def main(folder: Path) -> int:
    """Print the counts. Returns the exit status."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        print(f"skipped: there are no dashboards in {folder}")
        return 0
    lines: list[Line] = []
    functions: Counter[str] = Counter()
    for file in files:
        try:
            found = convert(json.loads(file.read_text("utf-8")))
        except (DuoscopeError, ValueError) as error:
            print(f"{file.name}: {error}")
            continue
        lines += found.report
        functions.update(_functions(found.dashboard))
    for subject in ("panel", "variable", "transformation", "annotation"):
        _table(subject, [line for line in lines if line.subject == subject])
    print("\nfunctions of the expressions taken over, each with how many use it")
    for name, count in functions.most_common():
        print(f"  {count:6} {name}{' (aggregation)' if name in AGGREGATIONS else ''}")
    _reasons(lines)
    return 0


def _functions(dashboard: Dashboard) -> Iterator[str]:
    for widget in dashboard.widgets:
        for query in widget.queries:
            if isinstance(query.question, PromqlQuestion):
                yield from set(_CALL.findall(query.question.expression)) - _WORDS


def _reasons(lines: list[Line]) -> None:
    print("\nwhy panels are placeholders, and what others lose")
    for outcome in ("placeholder", "left-out", "converted-with-loss"):
        reasons = Counter(
            reason for line in lines if line.subject == "panel" and line.outcome == outcome for reason in line.reasons
        )
        for reason, count in reasons.most_common():
            print(f"  {count:6} {outcome}: {reason}")


def _table(subject: str, lines: list[Line]) -> None:
    outcomes = ("converted", "converted-with-loss", "placeholder", "left-out")
    counts = Counter((line.type, line.outcome) for line in lines)
    print(f"\n{subject + 's by type':32}" + "".join(f"{outcome:>22}" for outcome in outcomes))
    for kind, _ in Counter(line.type for line in lines).most_common():
        print(f"  {kind or '-':30}" + "".join(f"{counts[kind, outcome]:22}" for outcome in outcomes))
    whole = Counter(line.outcome for line in lines)
    print(f"  {'all ' + str(len(lines)):30}" + "".join(f"{whole[outcome]:22}" for outcome in outcomes))
    if subject == "panel" and lines:
        share = (whole["converted"] + whole["converted-with-loss"]) / len(lines)
        print(f"  {share:.1%} of the panels are converted, with or without a loss")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

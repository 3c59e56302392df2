"""What `duoscope rules import` prints of the API's reports."""

from duoscope.cli import rules as commands
from duoscope.cli import run


def _line(change, outcome="converted", *reasons):
    return {"change": change, "outcome": outcome, "group": "g", "name": "a", "reasons": list(reasons)}


def test_an_import_says_what_it_changed(tmp_path, monkeypatch, capsys):
    reports = [
        [_line("created"), _line("created", "partly", "keep_firing_for is lost"), _line("none", "refused", "no expr")],
        [_line("unchanged"), _line("unchanged", "partly", "keep_firing_for is lost")],
    ]

    class Answers:
        def post(self, path, body):
            assert (path, body["source"]) == ("alert-rules/import", "shop.yaml")
            items = reports.pop(0)
            counts = {name: sum(each["outcome"] == name for each in items) for name in ("partly", "refused")}
            return {"source": "shop.yaml", "notes": [], "items": items} | counts

    monkeypatch.setattr(commands, "asked", lambda *_: Answers())
    (tmp_path / "shop.yaml").write_text("groups: []")
    assert run(["rules", "import", str(tmp_path / "shop.yaml")]) == 1
    first = capsys.readouterr().out
    assert "shop.yaml: 2 created, 0 changed, 0 unchanged; 1 of them in part, 1 refused" in first
    assert "refused: g: a: no expr" in first
    assert run(["rules", "import", str(tmp_path / "shop.yaml"), "--trial"]) == 0
    assert "Trial: shop.yaml: 0 created, 0 changed, 2 unchanged; 1 of them in part" in capsys.readouterr().out

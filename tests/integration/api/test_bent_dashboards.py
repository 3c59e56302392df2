"""Dashboards of others, cut and bent at random, over the API: they are taken or refused, and nothing breaks."""

import copy
import json
import random

from support.shared import shared

RIGHTS = ("dashboard:read", "dashboard:write", "metric:read", "log:read")
COUNT = 1000
PANELS_MAX = 4
KEEP_EACH = 25
"""Of so many documents one is stored, looked at and exported."""
STRANGE = (
    None, True, False, 0, -1, 1e308, 10**30, "", "\0", "\ud800", "$a", "$__all", "/", "{{", "now-", "1" * 400, "[[a]]",
    'x{a="$a"}', "sum(", "label_values(", [], {}, [[]], [{}], {"type": "row"}, {"uid": None},
)  # fmt: skip


def seeds():
    """Dashboards with a few panels of each file."""
    for file in sorted(shared("dashboards").glob("*.json")):
        document = json.loads(file.read_text("utf-8"))
        for name in ("panels", "rows"):
            listed = document.get(name) or []
            for first in range(0, min(len(listed), 5 * PANELS_MAX), PANELS_MAX):
                few = document | {name: listed[first : first + PANELS_MAX]}
                yield few
                if name == "panels":
                    yield newer(few)


def newer(document):
    """The same in Grafana's newer form, as far as it needs to be for a test."""
    elements = {
        f"panel-{number}": {
            "kind": "Panel",
            "spec": {
                "title": panel.get("title"),
                "vizConfig": {"kind": "VizConfig", "group": panel.get("type"),
                              "spec": {key: panel.get(key) for key in ("options", "fieldConfig")}},
                "data": {"kind": "QueryGroup", "spec": {"queries": [
                    {"kind": "PanelQuery", "spec": {"refId": each.get("refId"), "query": {
                        "kind": "DataQuery", "group": "prometheus", "spec": each}}}
                    for each in panel.get("targets") or []
                ]}},
            },
        }
        for number, panel in enumerate(document["panels"])
    }  # fmt: skip
    items = [
        {"kind": "GridLayoutItem", "spec": {"x": 0, "y": 8 * number, "width": 12, "height": 8,
                                            "element": {"kind": "ElementReference", "name": name}}}
        for number, name in enumerate(elements)
    ]  # fmt: skip
    row = {
        "kind": "RowsLayoutRow",
        "spec": {"title": "Row", "layout": {"kind": "GridLayout", "spec": {"items": items}}},
    }
    return {
        "apiVersion": "dashboard.grafana.app/v2",
        "kind": "Dashboard",
        "spec": {
            "title": document.get("title"),
            "elements": elements,
            "layout": {"kind": "RowsLayout", "spec": {"rows": [row]}},
            "variables": [
                {"kind": "QueryVariable", "spec": each} for each in document.get("templating", {}).get("list", [])
            ],
        },
    }


def bent(chance, seed):
    """One of which parts, at any depth, are missing, something else, or somewhere else."""
    whole = copy.deepcopy(seed)
    for _ in range(chance.randint(1, 8)):
        holders = [whole]
        while chance.random() < 0.85:
            within = [each for each in _within(holders[-1]) if isinstance(each, dict | list) and each]
            if not within:
                break
            holders.append(chance.choice(within))
        holder = holders[-1]
        if not holder:
            continue
        place = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        match chance.randrange(4):
            case 0:
                del holder[place]
            case 1:
                holder[place] = copy.deepcopy(chance.choice(list(_within(chance.choice(holders)))))
            case _:
                holder[place] = copy.deepcopy(chance.choice(STRANGE))
    return whole


def _within(holder):
    return list(holder.values() if isinstance(holder, dict) else holder) or [None]


def cut(chance, body):
    """The same text, perhaps without its end or with other bytes in it."""
    if chance.random() < 0.85:
        return body
    at = chance.randrange(len(body))
    return body[:at] if chance.random() < 0.5 else body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


async def test_a_thousand_bent_dashboards_break_nothing(api, new_scope):
    headers = await api.headers(new_scope(), *RIGHTS) | {"content-type": "application/json"}
    chance, known = random.Random(14), list(seeds())
    statuses = dict.fromkeys((200, 201, 400), 0)
    for number in range(COUNT):
        is_kept = number % KEEP_EACH == 0
        document = {"document": bent(chance, chance.choice(known)), "is_trial": not is_kept}
        body = cut(chance, json.dumps(document).encode())
        answer = await api.client.post("/api/v1/dashboards/import", content=body, headers=headers)
        assert answer.status_code in statuses, (number, answer.status_code, answer.text[:500], body[:2000])
        statuses[answer.status_code] += 1
        if answer.status_code == 400:
            assert answer.json()["code"] in {"invalid-import", "invalid-request", "invalid-dashboard"}, answer.text
        elif is_kept and answer.json()["stored"]:
            path = f"/api/v1/dashboards/{answer.json()['stored']['dashboard_id']}"
            read = (await api.client.get(path, headers=headers)).json()["dashboard"]
            assert read == answer.json()["dashboard"]
            for form in ("duoscope", "grafana", "perses"):
                exported = await api.client.get(f"{path}/export", params={"format": form}, headers=headers)
                assert exported.status_code == 200, (number, form, exported.text)
            for what in ("data", "variables"):
                shown = await api.client.post(f"{path}/{what}", json={}, headers=headers)
                assert shown.status_code == 200, (number, what, shown.text)
    # Most are dashboards still, and enough are not.
    assert statuses[201] + statuses[200] > COUNT / 2, statuses
    assert statuses[400] > COUNT / 20, statuses

"""Random dashboards for property tests, of all that Grafana has as well."""

from hypothesis import strategies as st

from duoscope.dashboards import model
from duoscope.dashboards.filling import ALL

NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBERS = st.none() | st.integers(-1000, 1000).map(float)
MAPPINGS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("value"), "value": TEXTS.filter(bool), "text": TEXTS}),
    st.fixed_dictionaries({"kind": st.just("range"), "least": NUMBERS, "most": NUMBERS, "color": st.just("red")}),
    st.fixed_dictionaries({"kind": st.just("regex"), "pattern": TEXTS, "text": TEXTS}),
    st.fixed_dictionaries(
        {"kind": st.just("special"), "match": st.sampled_from(["null", "nan", "empty"]), "text": TEXTS}
    ),
)
OPTIONS = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(["", "bytes", "s"]),
        "decimals": st.none() | st.integers(0, 9),
        "min": NUMBERS,
        "calculation": st.sampled_from(["last", "first", "mean", "delta"]),
        "mappings": st.lists(MAPPINGS, max_size=3),
        "stacking": st.sampled_from(["none", "normal", "percent"]),
        "fill_opacity": st.integers(0, 100),
        "line_width": st.integers(0, 10),
        "is_stepped": st.booleans(),
        "legend": st.fixed_dictionaries({"is_shown": st.booleans(), "placement": st.sampled_from(["bottom", "right"])}),
        "overrides": st.lists(
            st.fixed_dictionaries({"match": st.just("name"), "of": st.lists(TEXTS.filter(bool), min_size=1, max_size=2),
                                   "unit": st.just("ms"), "is_hidden": st.booleans()}),
            max_size=2,
        ),
    }
)  # fmt: skip
WORDS = st.sampled_from(["Time", "Value", "Value #A", "pod"])
STEPS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"kind": st.just("organize"), "exclude": st.lists(WORDS, max_size=2, unique=True),
                               "order": st.lists(WORDS, max_size=3, unique=True),
                               "rename": st.dictionaries(WORDS, st.just("Other"), max_size=2)}),
        st.just({"kind": "merge"}),
        st.fixed_dictionaries({"kind": st.just("join-by-field"), "field": WORDS,
                               "mode": st.sampled_from(["outer", "inner"])}),
        st.just({"kind": "rename", "regex": "(.*)x", "pattern": "$1"}),
        st.fixed_dictionaries({"kind": st.just("filter"), "include": st.lists(WORDS, max_size=2),
                               "exclude_regex": st.sampled_from(["", "^Time"])}),
        st.just({"kind": "group-by", "by": ["pod"], "aggregate": [{"column": "Value", "reducers": ["last", "max"]}]}),
        st.fixed_dictionaries({"kind": st.just("sort-by"), "column": WORDS, "is_descending": st.booleans()}),
        st.fixed_dictionaries({"kind": st.just("calculate-field"), "name": st.just("n"), "left": WORDS,
                               "operator": st.sampled_from(["+", "/"]), "right": WORDS, "replaces": st.booleans()}),
        st.fixed_dictionaries({"kind": st.just("calculate-field"), "reducer": st.sampled_from(["mean", "first"]),
                               "columns": st.lists(WORDS, max_size=2)}),
        st.just({"kind": "series-to-table"}),
        st.fixed_dictionaries({"kind": st.just("reduce"), "mode": st.sampled_from(["rows", "columns"]),
                               "with_labels": st.booleans()}),
    ),
    max_size=3,
)  # fmt: skip
EXPRESSIONS = st.sampled_from(["up", 'rate(x{a=~"$v0"}[$__rate_interval])', "topk(5, sum by (a) (x))"])
QUESTIONS = EXPRESSIONS.map(lambda expression: {"kind": "promql", "expression": expression})
VARIABLES = st.one_of(
    st.fixed_dictionaries({"kind": st.just("text"), "value": TEXTS}),
    st.fixed_dictionaries(
        {"kind": st.just("interval"), "options": st.just(["auto", "1m", "1h"]), "value": st.just("1h")}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("list"),
         "options": st.just([{"value": "a,b", "text": "A"}, {"value": "c"}]),
         "multi": st.booleans(),
         "include_all": st.just(True), "value": st.sampled_from([[], ["c"], [ALL]])}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("query"),
         "regex": st.sampled_from(["", "a(.*)"]), "sort": st.sampled_from(["none", "numeric"]),
         "source": st.sampled_from([{"kind": "label-values", "label": "a", "selector": 'up{b="c"}'},
                                    {"kind": "label-values", "label": "a"},
                                    {"kind": "query-result", "expression": "up"}])}
    ),
)  # fmt: skip


@st.composite
def dashboards(draw):
    count = draw(st.integers(0, 5))
    kinds = st.sampled_from(["line_chart", "stat", "gauge", "table", "heatmap"])
    widgets = [
        {
            "key": f"panel-{number + 1}",
            "type": draw(kinds),
            "title": draw(TEXTS),
            "queries": [{"name": "A", "question": draw(QUESTIONS),
                         "legend": draw(TEXTS.filter(lambda t: t != "__auto")),
                         "is_hidden": draw(st.booleans()), "is_instant": draw(st.booleans()),
                         "format": draw(st.sampled_from(["series", "table"]))}],
            "transformations": draw(STEPS),
            "options": draw(OPTIONS),
            "step_seconds": draw(st.none() | st.integers(1, 86_400)),
            "range_seconds": draw(st.none() | st.integers(1, 10**6 - 1)),
        }
        for number in range(count)
    ]  # fmt: skip
    cut = draw(st.integers(0, count))
    titles = draw(st.tuples(st.just(""), TEXTS.filter(bool)))
    shares = [part for part in zip(titles, (widgets[:cut], widgets[cut:]), strict=True) if part[1]]
    sections = [
        {
            "title": title,
            "is_collapsed": bool(title) and draw(st.booleans()),
            "places": [{"widget": w["key"], "x": 0, "y": 8 * n, "width": 12, "height": 8} for n, w in enumerate(part)],
        }
        for title, part in shares
    ]
    listed = draw(st.lists(VARIABLES, min_size=1, max_size=3))
    return model.parsed(
        {
            "name": draw(TEXTS.filter(lambda text: text and text == text.strip())),
            "widgets": widgets,
            "sections": sections,
            "variables": [each | {"name": f"v{number}"} for number, each in enumerate(listed)],
            "annotations": [
                {"kind": "promql", "name": f"a{number}", "expression": expression, "is_shown": bool(number),
                 "title": "{{pod}}", "color": "#e02f44"}
                for number, expression in enumerate(draw(st.lists(EXPRESSIONS, max_size=2)))
            ],
            "range_seconds": draw(st.integers(60, 10**6 - 1)),
        }
    )  # fmt: skip

"""Widgets: what each asks and how the answer is drawn, apart from where it stands."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from duoscope.dashboards.transformations import TRANSFORMATIONS_MAX, Transformation
from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX
from duoscope.telemetry.questions.kinds import Question

QUERIES_MAX: Final = 50
STEPS_MAX: Final = 50
MAPPINGS_MAX: Final = 500
OVERRIDES_MAX: Final = 100
TEXT_CHARS_MAX: Final = 50_000
RECORDS_MAX: Final = 500

# PostgreSQL keeps no NUL in a text.
_NO_NUL: Final = r"^[^\x00]*$"
WidgetType = Literal["line_chart", "bar_chart", "gauge", "stat", "table", "logs", "heatmap", "graph", "text"]
Calculation = Literal["last", "first", "min", "max", "mean", "sum", "count", "range", "delta", "diff"]
ShortText = Annotated[str, Meta(max_length=1000, pattern=_NO_NUL)]
Text = Annotated[str, Meta(max_length=TEXT_CHARS_MAX, pattern=_NO_NUL)]
Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", examples=["requests"])]
Color = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9#(),.% -]*$", examples=["red", "#e02f44"])]
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]


class LogRecords(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="log-records"):
    """The newest log records that match, themselves and not a number of them."""

    query: Annotated[
        str,
        Meta(max_length=QUERY_TEXT_CHARS_MAX, description="As for the search.", examples=["service:$service"]),
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=RECORDS_MAX)] = 100

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"log:read"})


class AlertList(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="alert-list"):
    """The alerts of now, of the tenant's rules."""

    states: Annotated[
        tuple[Literal["firing", "pending", "no_data", "error"], ...], Meta(min_length=1, max_length=4)
    ] = ("firing", "pending")
    name: Annotated[ShortText, Meta(description="A part of the rule's name.")] = ""
    labels: Annotated[
        dict[ShortText, ShortText],
        Meta(max_length=20, description="Labels with the value that they must have.", examples=[{"team": "shop"}]),
    ] = {}
    limit: Annotated[int, Meta(ge=1, le=RECORDS_MAX)] = 100

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"alert:read"})


Asked = Question | LogRecords | AlertList


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """A question of a widget, by a name that is its own within the widget. Its texts may hold variables."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_NUL, examples=["A"])]
    question: Asked
    legend: Annotated[ShortText, Meta(description="Of each series: `{{pod}}` is its label.")] = ""
    is_hidden: Annotated[bool, Meta(description="It is not asked.")] = False
    is_instant: Annotated[bool, Meta(description="Asked at the end of the range alone, not in steps.")] = False
    format: Annotated[
        Literal["series", "table"],
        Meta(description="What transformations see: a table for each series, or one in which labels are columns."),
    ] = "series"


class Threshold(Struct, frozen=True, forbid_unknown_fields=True):
    """The color from a value on; without one, of everything below the others."""

    color: Color
    value: Number | None = None


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Colors by value, or by the share of what is between `min` and `max`."""

    steps: Annotated[tuple[Threshold, ...], Meta(max_length=STEPS_MAX)] = ()
    mode: Literal["absolute", "percentage"] = "absolute"


class _Shown(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    text: ShortText = ""
    color: Color = ""


class ValueMapping(_Shown, frozen=True, kw_only=True, tag_field="kind", tag="value"):
    """The text that is shown for one value."""

    value: ShortText


class RangeMapping(_Shown, frozen=True, kw_only=True, tag_field="kind", tag="range"):
    """The text that is shown for values of a range; null is open."""

    least: Number | None = None
    most: Number | None = None


class RegexMapping(_Shown, frozen=True, kw_only=True, tag_field="kind", tag="regex"):
    """The text that is shown for texts that a pattern matches."""

    pattern: ShortText


class SpecialMapping(_Shown, frozen=True, kw_only=True, tag_field="kind", tag="special"):
    """The text that is shown where there is no value, or one of these."""

    match: Literal["null", "nan", "null+nan", "true", "false", "empty"]


Mapping = ValueMapping | RangeMapping | RegexMapping | SpecialMapping


class Legend(Struct, frozen=True, forbid_unknown_fields=True):
    """The place of the names of the series, and the numbers beside them."""

    is_shown: bool = True
    placement: Literal["bottom", "right"] = "bottom"
    is_table: bool = False
    calculations: Annotated[tuple[Calculation, ...], Meta(max_length=20)] = ()


class Override(Struct, frozen=True, forbid_unknown_fields=True):
    """Options that are different for some series or columns. What is not given is as for all."""

    match: Annotated[Literal["name", "regex", "query"], Meta(description="What `of` are.")]
    of: Annotated[tuple[ShortText, ...], Meta(min_length=1, max_length=100)]
    name: ShortText | None = None
    unit: ShortText | None = None
    color: Color | None = None
    decimals: Annotated[int, Meta(ge=0, le=20)] | None = None
    min: Number | None = None
    max: Number | None = None
    is_hidden: bool | None = None
    is_negative: Annotated[bool | None, Meta(description="Drawn below the axis.")] = None


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """How an answer is drawn. Each type of widget heeds what it has a use for."""

    unit: Annotated[ShortText, Meta(description="Grafana's name of it.", examples=["bytes", "s", "percentunit"])] = ""
    decimals: Annotated[int, Meta(ge=0, le=20)] | None = None
    min: Number | None = None
    max: Number | None = None
    calculation: Annotated[Calculation, Meta(description="The number that stands for a series.")] = "last"
    thresholds: Thresholds = Thresholds()
    mappings: Annotated[tuple[Mapping, ...], Meta(max_length=MAPPINGS_MAX)] = ()
    legend: Legend = Legend()
    stacking: Literal["none", "normal", "percent"] = "none"
    fill_opacity: Annotated[int, Meta(ge=0, le=100)] = 0
    line_width: Annotated[int, Meta(ge=0, le=10)] = 1
    is_stepped: bool = False
    is_horizontal: bool = False
    axis_label: ShortText = ""
    overrides: Annotated[tuple[Override, ...], Meta(max_length=OVERRIDES_MAX)] = ()


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """A link to a page; its address may hold variables."""

    title: ShortText
    url: Annotated[str, Meta(max_length=2000, pattern=r"^(https?://|/)[^\x00]*$")]


class Widget(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a dashboard."""

    key: Annotated[Key, Meta(description="Its own within the dashboard.")]
    type: WidgetType
    title: ShortText = ""
    description: Text = ""
    queries: Annotated[tuple[Query, ...], Meta(max_length=QUERIES_MAX)] = ()
    options: Options = Options()
    transformations: Annotated[
        tuple[Transformation, ...],
        Meta(max_length=TRANSFORMATIONS_MAX, description="What becomes of the answers before they are drawn."),
    ] = ()
    text: Annotated[Text, Meta(description="Markdown, of a widget of type text. HTML in it is shown as text.")] = ""
    links: Annotated[tuple[Link, ...], Meta(max_length=50)] = ()
    repeat: Annotated[
        Key | None, Meta(description="A variable: the widget stands once for each of its chosen values.")
    ] = None
    range_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=400 * 86_400)] | None,
        Meta(description="The length of its own range, which ends with the dashboard's; null for the whole of that."),
    ] = None
    step_seconds: Annotated[int, Meta(ge=1, le=86_400, description="The least step of its questions.")] | None = None
    refresh_seconds: Annotated[int, Meta(ge=5, le=86_400)] | None = None
    placeholder: Annotated[
        dict[str, Any] | None,
        Meta(description="What an import could not convert, as it was."),
    ] = None

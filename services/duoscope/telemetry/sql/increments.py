"""The increment of each point of a stream to the previous one: lifetimes, resets and temporalities are decided only
here.

A delta point is an increment. A cumulative point is the count since its start time, so a stream is what one writer
counted from one start on: the points of a series with one temporality and one start. Two writers of one series, whose
points alternate, are two streams; a restart is a new stream.

* The first point of a stream that began within the read range adds all of its value. For an older stream the previous
  point was not read, so its first point adds nothing. Neither does one whose start equals its own time, which says that
  its beginning is unknown (OTLP data model, "unknown start time").
* A later point adds its difference to the previous one, or all of its value if it fell back without a new start.
* A sender may compute its start anew for every point, some milliseconds off. These are one stream: a series whose
  points mostly have a start of their own, all within `JITTER_MAX_S`, while their times are far apart.

Points without a value are not part of a stream: `WITH_VALUE` leaves them out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WITH_VALUE: Final = "bitAnd(flags, 1) = 0"
"""Condition on a point: it is not a NO_RECORDED_VALUE, whose fields mean nothing."""
IS_NUMBER: Final = f"{WITH_VALUE} AND isFinite(value)"
"""Condition on a point of a gauge or a sum: NaN and infinities of one series would make the result of all series
useless."""
JITTER_MAX_S: Final = 5

IN_RANGE: Final = (
    "timestamp >= fromUnixTimestamp64Nano({read_from_ns:Int64}, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC')"
)
"""The range that increments are made from: it begins before the first step."""
_SPREAD: Final = "toUnixTimestamp64Nano(max({0})) - toUnixTimestamp64Nano(min({0}))"
_STARTS: Final = _SPREAD.format("start_timestamp")
_TIMES: Final = _SPREAD.format("timestamp")


@dataclass(frozen=True, slots=True)
class Increments:
    """Points of a metric, each beside the previous point of its stream.

    As SQL it is a SELECT of `columns`, of NAME_before for each NAME of `before`, and of `take`, which says what a point
    adds: 'all' of its value, 'none' of it, or the 'difference' to the previous one. It binds `read_from_ns` and
    `end_ns`, the range that is read, and the parameters of `where`.
    """

    view: str
    where: str
    """Conditions apart from time."""
    columns: Sequence[str]
    before: Sequence[str]
    fell: str
    """SQL: whether a point is below the previous one although nothing in its stream allows that."""
    is_delta: str = "temporality = 'delta'"
    """SQL: whether a point itself is an increment."""
    series: str = "series_id, temporality"

    @property
    def sql(self) -> str:
        """The SELECT."""
        before = "".join(f", lagInFrame({name}) OVER stream AS {name}_before" for name in self.before)
        return f"""
    SELECT {", ".join(self.columns)}{before}, row_number() OVER stream AS number,
        multiIf(
            {self.is_delta}, 'all',
            number = 1, if(start_timestamp != timestamp
                AND start_timestamp >= fromUnixTimestamp64Nano({{read_from_ns:Int64}}, 'UTC'), 'all', 'none'),
            {self.fell}, 'all',
            'difference') AS take
    FROM @{self.view}
    WHERE {self.where} AND {IN_RANGE}
    WINDOW stream AS (
        PARTITION BY {self.series}, {self.start}
        ORDER BY timestamp ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"""

    @property
    def start(self) -> str:
        """SQL of the start time that tells the streams of a series apart."""
        return f"""if(({self.series}) IN (
            SELECT {self.series} FROM @{self.view} WHERE {self.where} AND {IN_RANGE}
            GROUP BY {self.series}
            HAVING count() > 2 AND {_STARTS} < {JITTER_MAX_S * 1_000_000_000} AND {_TIMES} > 10 * ({_STARTS})
                AND uniqExact(start_timestamp) * 2 > count()), toDateTime64(0, 9, 'UTC'), start_timestamp)"""


def added(difference: str, whole: str, nothing: str = "0") -> str:
    """SQL of what a point of `Increments` adds, from its difference to the previous point and its whole value."""
    return f"multiIf(take = 'all', {whole}, take = 'none', {nothing}, {difference})"

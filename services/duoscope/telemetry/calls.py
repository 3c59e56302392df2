"""The statement that finds who called whom among the spans of a range.

A span counts once as a call from the service of its caller: the client's (or producer's) span with the same id, where
both sides of a call share one as with Zipkin; else its parent. If several spans have the parent's id, one of the own
service is the parent, and nothing was called; else the serving one, the earliest. A span with links to messages is also
a call from each other service that produced one.

A client's or producer's span without any of these on the other side is a call of what sends no telemetry itself, and a
consumer's without a parent or a link is a call by it: its attributes name it, by the semantic conventions.
"""

from typing import Final

from duoscope.telemetry.language.printer import Condition, printed
from duoscope.telemetry.language.resolve import Signal
from duoscope.telemetry.language.tree import AttributeColumn, Predicate
from duoscope.telemetry.times import TimeRange

# Where no attribute is named, the view without them: with one beside it, `scoped_sql` would take the whole one for all.
_SAMPLE: Final = "cityHash64(trace_id) % {one_in:UInt64} = 0"
_AROUND: Final = """timestamp >= fromUnixTimestamp64Nano({from_ns:Int64}, 'UTC')
    AND timestamp < fromUnixTimestamp64Nano({to_ns:Int64}, 'UTC')"""
_NO_SPAN: Final = "toFixedString('', 8)"
# Ids are compared by hashes of 64 bits, which cost a third: that two of two million are the same is one in ten million.
_KEY: Final = "cityHash64(trace_id, span_id)"
_PARENT_KEY: Final = "cityHash64(trace_id, parent_span_id)"
_SERVES: Final = "span_kind IN ('server', 'consumer')"
_CALLS_OUT: Final = "span_kind IN ('client', 'producer')"
_LINKED_KEYS: Final = "arrayMap((trace, span) -> cityHash64(trace, span), `links.trace_id`, `links.span_id`)"
_LINKS: Final = "arrayZip(`links.trace_id`, `links.span_id`)"

COUNT: Final = f"""
SELECT count() AS spans, countIf(notEmpty(`links.trace_id`)) AS linked FROM @traces_plain WHERE {TimeRange.CONDITION}"""
REPEATS: Final = f"""
SELECT count() > uniqExact({_KEY}) AS repeated FROM @traces_plain
WHERE {_AROUND} AND {_SAMPLE} AND span_id != {_NO_SPAN}"""
"""Whether several spans have one id, as the two sides of a call do with Zipkin."""

_BY_PARENTS: Final = f"""
SELECT multiIf(twin.known, twin.service, has(parent.services, callee.service_name), to_service, parent.service)
        AS from_service,
    toString(callee.service_name) AS to_service, callee.status_code AS status_code,
    callee.duration_nano AS duration_nano
FROM (
    SELECT trace_id, span_id, parent_span_id, service_name, status_code, duration_nano,
        if({_SERVES}, span_id, {_NO_SPAN}) AS twin_id
    FROM @traces_plain WHERE {TimeRange.CONDITION} AND {_SAMPLE} AND (parent_span_id != {_NO_SPAN} OR {_SERVES})
) AS callee
LEFT ANY JOIN (
    SELECT trace_id, span_id, true AS known,
        argMinIf(toString(service_name), (timestamp, service_name), {_CALLS_OUT}) AS service
    FROM @traces_plain WHERE {_AROUND} AND {_SAMPLE} AND span_id != {_NO_SPAN}
    GROUP BY trace_id, span_id HAVING countIf({_SERVES}) > 0 AND countIf({_CALLS_OUT}) > 0
) AS twin ON callee.trace_id = twin.trace_id AND callee.twin_id = twin.span_id
LEFT ANY JOIN (
    SELECT trace_id, span_id, true AS known, groupUniqArray(toString(service_name)) AS services,
        argMin(toString(service_name), (NOT {_SERVES}, timestamp, service_name)) AS service
    FROM @traces_plain WHERE {_AROUND} AND {_SAMPLE} AND span_id != {_NO_SPAN} GROUP BY trace_id, span_id
) AS parent ON callee.trace_id = parent.trace_id AND callee.parent_span_id = parent.span_id
WHERE (twin.known OR parent.known) AND from_service != to_service"""

# The same, where each id is that of one span: then a parent is one span, and no two sides of a call share an id.
_BY_LONE_PARENTS: Final = f"""
SELECT toString(parent.service_name) AS from_service, toString(callee.service_name) AS to_service,
    callee.status_code AS status_code, callee.duration_nano AS duration_nano
FROM (
    SELECT {_PARENT_KEY} AS parent_key, service_name, status_code, duration_nano
    FROM @traces_plain WHERE {TimeRange.CONDITION} AND {_SAMPLE} AND parent_span_id != {_NO_SPAN}
) AS callee
LEFT ANY JOIN (
    SELECT {_KEY} AS key, true AS known, service_name
    FROM @traces_plain WHERE {_AROUND} AND {_SAMPLE} AND span_id != {_NO_SPAN}
) AS parent ON callee.parent_key = parent.key
WHERE parent.known AND from_service != to_service"""

_HAS_LINKS: Final = f"{TimeRange.CONDITION} AND {_SAMPLE} AND notEmpty(`links.trace_id`)"
# Messages may belong to traces that are not in the sample.
_BY_LINKS: Final = f"""
SELECT toString(message.service) AS from_service, toString(callee.service_name) AS to_service,
    any(callee.status_code) AS status_code, any(callee.duration_nano) AS duration_nano
FROM (
    SELECT trace_id, span_id, parent_span_id, timestamp, span_kind, service_name, status_code, duration_nano,
        arrayJoin(arrayDistinct({_LINKS})) AS link, link.1 AS link_trace_id, link.2 AS link_span_id
    FROM @traces_plain WHERE {_HAS_LINKS}
) AS callee
INNER JOIN (
    SELECT trace_id, span_id, argMin(toString(service_name), (NOT {_CALLS_OUT}, timestamp, service_name)) AS service,
        countIf(span_kind = 'producer') > 0 AS is_produced
    FROM @traces_plain WHERE {_AROUND}
        AND (trace_id, span_id) IN (SELECT arrayJoin({_LINKS}) FROM @traces_plain WHERE {_HAS_LINKS})
    GROUP BY trace_id, span_id
) AS message ON callee.link_trace_id = message.trace_id AND callee.link_span_id = message.span_id
LEFT ANY JOIN (
    SELECT trace_id, span_id, groupUniqArray(toString(service_name)) AS services
    FROM @traces_plain WHERE {_AROUND} AND {_SAMPLE}
        AND (trace_id, span_id) IN (SELECT trace_id, parent_span_id FROM @traces_plain WHERE {_HAS_LINKS})
    GROUP BY trace_id, span_id
) AS parent ON callee.trace_id = parent.trace_id AND callee.parent_span_id = parent.span_id
WHERE (callee.span_kind = 'consumer' OR message.is_produced) AND from_service != to_service
    AND NOT has(parent.services, from_service)
GROUP BY callee.trace_id, callee.span_id, callee.timestamp, to_service, from_service"""

_PEER_SERVICES: Final = ("service.peer.name", "peer.service")
_DATABASES: Final = ("db.system.name", "db.system")
_NAMESPACES: Final = ("db.namespace", "db.name")
_BROKERS: Final = ("messaging.system",)
_DESTINATIONS: Final = ("messaging.destination.name", "messaging.destination")
_ADDRESSES: Final = ("server.address", "net.peer.name", "http.host", "net.peer.ip", "network.peer.address")
_REMOTE_SERVICES: Final = ("rpc.service", "faas.invoked_name")
_ADDRESSED: Final = ("url.full", "http.url")
_PEER_BYTES_MAX: Final = 256
"""Of the name of what sends no telemetry, so much is shown."""
PEER_ATTRIBUTES: Final = (
    *_PEER_SERVICES, *_DATABASES, *_BROKERS, *_ADDRESSES, *_NAMESPACES, *_DESTINATIONS, *_REMOTE_SERVICES, *_ADDRESSED,
)  # fmt: skip
"""Attributes that name what a span calls, those first that most do."""


def statement(attributes: frozenset[str], *, linked: bool, repeated: bool) -> Condition:
    """The statement that finds edges, with its own parameters; it takes `rows`, `one_in` and those of the times, too.

    Args:
        attributes: those of `PEER_ATTRIBUTES` that spans may have.
        linked: whether spans of the range have links.
        repeated: whether ids are those of several spans.
    """
    calls, parameters = [_BY_PARENTS if repeated else _BY_LONE_PARENTS], {}
    if linked:
        calls.append(_BY_LINKS)
    if attributes:
        peer = _peer(attributes)
        calls.append(_to_peers(peer.sql, linked=linked, repeated=repeated))
        parameters = peer.parameters
    edges = f"""
SELECT from_service, to_service, count() AS calls, countIf(status_code = 'error') AS errors,
    arraySort(groupArray(duration_nano)) AS sorted,
    arrayMap(percent -> sorted[intDiv(calls * percent + 99, 100)], [50, 95, 99]) AS durations
FROM ({" UNION ALL ".join(calls)})
GROUP BY from_service, to_service ORDER BY calls DESC, from_service, to_service LIMIT {{rows:UInt64}}"""
    return Condition(edges, parameters)


def _peer(attributes: frozenset[str]) -> Condition:
    """The columns of a span that name what is on the other side of it: `peer`, '' if nothing does."""
    values: list[tuple[str, str] | AttributeColumn] = []

    def first(*names: str) -> str:
        found = [name for name in names if name in attributes]
        for name in found:
            values.extend((AttributeColumn(Signal.TRACES.value.typed, name, "String"), ("String", name)))
        # Spans that were stored before attributes had columns have all of them in a text.
        texts = ["nullIf(coalesce({}, JSONExtractString(span_attributes_other, {})), '')"] * len(found)
        return f"coalesce({', '.join([*texts, repr('')])})"

    columns = f"""{first(*_PEER_SERVICES)} AS peer_service,
        {first(*_DATABASES)} AS peer_database, {first(*_BROKERS)} AS peer_broker, {first(*_ADDRESSES)} AS peer_address,
        {first(*_NAMESPACES)} AS peer_namespace, {first(*_DESTINATIONS)} AS peer_destination,
        {first(*_REMOTE_SERVICES)} AS peer_remote, {first(*_ADDRESSED)} AS peer_url,
        if(match(peer_namespace, '^[0-9]*$'), peer_address, peer_namespace) AS peer_part,
        multiIf(
            peer_service != '', peer_service,
            peer_database != '', concat(peer_database, if(peer_part = '', '', concat('/', peer_part))),
            peer_broker != '', concat(peer_broker, if(peer_destination = '', '', concat('/', peer_destination))),
            peer_address != '', peer_address,
            peer_url != '', domain(peer_url),
            peer_remote) AS whole_peer,
        toValidUTF8(substring(whole_peer, 1, {_PEER_BYTES_MAX})) AS peer"""
    return printed(Predicate(columns, tuple(values)))


def _to_peers(peer: str, *, linked: bool, repeated: bool) -> str:
    callers = f"""
    SELECT {_KEY} AS key, {_PARENT_KEY} AS parent_key, span_kind, service_name, status_code, duration_nano,
        empty(`links.trace_id`) AND parent_span_id = {_NO_SPAN} AS is_first, {peer}
    FROM @traces WHERE {{times}} AND {_SAMPLE}"""
    here = callers.replace("{times}", TimeRange.CONDITION) + f" AND ({_CALLS_OUT} OR span_kind = 'consumer')"
    above = callers.replace("{times}", _AROUND) + f" AND {_CALLS_OUT}"
    around = f"FROM @traces_plain WHERE {_AROUND} AND {_SAMPLE}"
    services = (
        f"SELECT key, groupUniqArray(toString(service_name)) AS services FROM ({above}) WHERE peer != '' GROUP BY key"
        if repeated
        else f"SELECT key, [toString(service_name)] AS services FROM ({above}) WHERE peer != ''"
    )
    answered = f"AND caller.key NOT IN (SELECT {_KEY} {around} AND {_SERVES})" if repeated else ""
    received = f"""AND caller.key NOT IN (
            SELECT arrayJoin({_LINKED_KEYS}) FROM @traces_plain WHERE {_AROUND} AND span_kind = 'consumer')
        AND (caller.span_kind != 'producer' OR caller.key NOT IN (
            SELECT arrayJoin({_LINKED_KEYS}) FROM @traces_plain WHERE {_AROUND}))"""
    return f"""
SELECT if(caller.span_kind = 'consumer', caller.peer, toString(caller.service_name)) AS from_service,
    if(caller.span_kind = 'consumer', toString(caller.service_name), caller.peer) AS to_service,
    caller.status_code AS status_code, caller.duration_nano AS duration_nano
FROM ({here}) AS caller
LEFT ANY JOIN (
    SELECT {_PARENT_KEY} AS parent_key, true AS known, min(toString(service_name)) AS first,
        max(toString(service_name)) AS last, countIf({_SERVES}) AS served
    {around} AND parent_span_id != {_NO_SPAN} GROUP BY parent_key
) AS child ON caller.key = child.parent_key
LEFT ANY JOIN ({services}) AS above ON caller.parent_key = above.key
WHERE caller.peer != '' AND from_service != to_service
    AND if(caller.span_kind = 'consumer', caller.peer_broker != '' AND caller.is_first,
        child.served = 0
        AND (NOT child.known OR (child.first = caller.service_name AND child.last = caller.service_name))
        AND NOT has(above.services, caller.service_name)
        {answered}
        AND caller.key NOT IN (
            SELECT {_PARENT_KEY} {around} AND {_CALLS_OUT} AND {_KEY} IN (SELECT {_PARENT_KEY} {around} AND {_SERVES}))
        {received if linked else ""})"""

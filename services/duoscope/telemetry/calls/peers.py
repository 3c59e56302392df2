"""The names of what spans call that sends no telemetry itself, by the semantic conventions of their attributes."""

from typing import Final

from duoscope.telemetry.language.printer import Condition, printed
from duoscope.telemetry.language.resolve import Signal
from duoscope.telemetry.language.tree import AttributeColumn, Predicate

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


def columns(attributes: frozenset[str]) -> Condition:
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

"""Texts that explain why items are left out or cut and requests refused: for the sender's developer and the tenant's
users.

The names of EXPLANATIONS and CUTS are those of `REASONS` in receiver/decoder and of `REFUSED` in
receiver/durability/sifting; a test compares them, and the tables in docs/operations.md too.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from duoscope.kernel import limits
from duoscope.kernel.ingest_limits import IngestLimits

EXPLANATIONS: Final[Mapping[str, str]] = {
    "invalid-id": "a span needs a trace id of 16 bytes and a span id of 8, not all zero",
    "time-out-of-range": "the time is older than the tenant's retention, or it or a span's end is more than a day "
    "ahead",
    "time-missing": "a point needs time_unix_nano",
    "no-value": "a point needs a value, or the flag that says there is none",
    "invalid-histogram": "bounds must increase, with one bucket more than bounds; scales go from -10 to 20; at most "
    f"{limits.INGEST_BUCKETS_MAX} buckets, and 2^53 counted in each and in all; a zero threshold is zero or more",
    "invalid-utf8": "a text is not UTF-8",
    "too-many-series": "the tenant has {active_series} active metric series, as many as it may have; "
    "GET /api/v1/ingest/cardinality shows which metrics have the most",
    "invalid-json-value": "a member in JSON is of another type than OTLP has there, out of its range, or given twice",
    "refused-by-store": "the telemetry store does not take the item, for a reason that duoscope did not foresee: its "
    "log has it",
}
"""For items that were left out, by reason; names in braces are the tenant's limits."""

CUTS: Final[Mapping[str, str]] = {
    "list-cut": "more than {attributes} attributes, events, links or exemplars; the first are kept",
    "attribute-cut": "an attribute takes more than {attribute_bytes} bytes: a text is cut, others are dropped",
    "body-cut": "a log body takes more than {body_bytes} bytes; its beginning is kept, as a text",
    "nesting-cut": f"values nest deeper than {limits.INGEST_NESTING_MAX} levels; those above are kept",
}
"""For items that were stored incompletely, by reason."""

REFUSALS: Final[Mapping[str, str]] = {
    "address-not-allowed": "the API key may not be used from the address that it was sent from",
    "origin-not-allowed": "the API key may not be used by pages of the origin that it was sent from",
    "origin-missing": "the API key is for browsers only, and was sent without an Origin, or over gRPC",
    "signal-not-permitted": "the API key may not send this signal",
    "items-limited": "the tenant or the key sends more items than it may; clients send the request again",
    "bytes-limited": "the tenant or the key sends more bytes than it may; clients send the request again",
    "requests-limited": "the key sends more requests a minute than it may; clients send the request again",
    "in-flight-limited": "the tenant has {requests_in_flight} requests in flight; clients send the request again",
    "larger-than-limit": "the request holds more than {burst_seconds} seconds of a limit",
    "tenant-busy": "the tenant's requests fill its share of the receiver's memory; clients send the request again",
    "receiver-busy": "the receiver's memory is full; clients send the request again",
    "request-too-large": f"more than {limits.INGEST_REQUEST_BYTES_MAX // 2**20} MiB, or JSON that is so as protobuf",
    "too-many-items": f"more than {limits.INGEST_ITEMS_MAX:,} items",
    "malformed-request": "the body is no OTLP request of the signal",
    "malformed-gzip": "the body is no gzip",
    "malformed-zstd": "the body is no zstd",
    "unsupported-media-type": "neither protobuf nor JSON",
    "unsupported-encoding": "neither gzip nor, over HTTP, zstd; or a gRPC call that its client ended at once",
    "request-too-slow": "the request did not arrive in time; clients send it again",
    "request-elsewhere": "another receiver was storing the same request; clients send it again",
    "spool-full": "the telemetry store was away and the receiver's disk share full; clients send the request again",
    "disk-full": "the receiver's disk was nearly full; clients send the request again",
    "telemetry-store-unavailable": "the telemetry store was away; clients send the request again",
    "spool-unavailable": "the receiver could not write to its disk; clients send the request again",
    "shutting-down": "the receiver was stopping; clients send the request again",
    "internal-error": "the receiver failed on it; clients send the request again",
}
"""For whole requests, by the code that their senders got."""


def explanation(reason: str, applied: IngestLimits) -> str:
    """The text for a reason, with the values of the limits that apply."""
    template = EXPLANATIONS.get(reason) or CUTS.get(reason) or REFUSALS.get(reason)
    if template is None:
        return "another version of duoscope rejected it"
    return template.format_map(asdict(applied))

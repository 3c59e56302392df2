"""Why items are left out of what is stored, in words: for the sender's developer and for the tenant's people.

The names are those of `REASONS` in receiver/decoder; a test compares them, and the table in docs/operations.md too.
"""

from collections.abc import Mapping
from typing import Final

from duoscope.kernel import limits
from duoscope.kernel.ingest_limits import IngestLimits

EXPLANATIONS: Final[Mapping[str, str]] = {
    "invalid-id": "a span needs a trace id of 16 bytes and a span id of 8, not all zero",
    "time-out-of-range": "the time is older than the tenant's retention or more than a day ahead",
    "time-missing": "a point needs time_unix_nano",
    "no-value": "a point needs a value, or the flag that says there is none",
    "invalid-histogram": "bounds must increase, with one bucket more than bounds; scales go from -10 to 20; at most "
    f"{limits.INGEST_BUCKETS_MAX} buckets",
    "too-many-attributes": "more than {attributes} attributes, events, links or exemplars",
    "attribute-too-large": "an attribute's value takes more than {attribute_bytes} bytes",
    "body-too-large": "a log body takes more than {body_bytes} bytes",
    "invalid-utf8": "a text is not UTF-8",
    "nested-too-deep": f"values nest deeper than {limits.INGEST_NESTING_MAX} levels",
    "too-many-series": "the tenant has {active_series} active metric series, as many as it may have; "
    "GET /api/v1/ingest/cardinality shows which metrics have the most",
}
"""By reason; names in braces are the tenant's limits."""


def explanation(reason: str, applied: IngestLimits) -> str:
    """Why items are rejected for this reason where these limits hold."""
    template = EXPLANATIONS.get(reason)
    if template is None:
        return "another version of duoscope rejected it"
    return template.format(
        attributes=applied.attributes,
        attribute_bytes=applied.attribute_bytes,
        body_bytes=applied.body_bytes,
        active_series=applied.active_series,
    )

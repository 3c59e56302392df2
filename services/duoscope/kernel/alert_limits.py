"""The limits of what a tenant may watch: rules, their instances, how often they are evaluated.

The instance's own defaults are these; a tenant may have other values in its settings, under `limits`, beside those of
ingest and of queries.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from duoscope.kernel.named_limits import NamedLimits


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """The limits that apply to a tenant's rules.

    Attributes:
        alert_rules: rules that are not deleted.
        alert_instances: instances of one rule that are remembered; those that fire are always.
        alert_interval_seconds: the least time between two evaluations of a rule.
        alert_query_seconds: of query in a minute, for all rules together; the others wait for the next minute.
        alert_messages_per_hour: messages to all channels together; the rest comes in summaries.
    """

    alert_rules: int = 1000
    alert_instances: int = 1000
    alert_interval_seconds: int = 10
    alert_query_seconds: int = 60
    alert_messages_per_hour: int = 1000

    def with_own(self, own: Mapping[str, object]) -> Self:
        """Replace some of these limits by a tenant's own values. Other names are ignored."""
        known = NAMED.known(own) if own else None
        return dataclasses.replace(self, **known) if known else self


RANGES: Final = {
    "alert_rules": (0, 100_000),
    "alert_instances": (1, 10_000),
    "alert_interval_seconds": (1, 86_400),
    "alert_query_seconds": (1, 3600),
    "alert_messages_per_hour": (1, 1_000_000),
}
NAMED: Final = NamedLimits("A tenant", RANGES)

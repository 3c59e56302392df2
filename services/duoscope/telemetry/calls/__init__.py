"""Who calls whom: spans joined with their callers (docs/adr/0040)."""

from duoscope.telemetry.calls.mapping import Mapped, mapped
from duoscope.telemetry.calls.pieces import Edge

__all__ = ["Edge", "Mapped", "mapped"]

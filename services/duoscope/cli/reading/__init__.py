"""Commands that read telemetry from a terminal, over the API: nothing here opens a store."""

from duoscope.cli.reading.commands import COMMANDS as _READS
from duoscope.cli.reading.signing_in import login, logout

COMMANDS = (login, logout, *_READS)

"""The real stores for every test that needs them.

PostgreSQL: one server a test run, one database cloned a test. ClickHouse: one engine a process (it has no more), in
which every test makes a tenant of its own with `new_scope` and fills it with `deliver`. `running` is a whole duoscope
as a process of its own, for what must be seen from outside. The fixtures are in `tests/support/`.
"""

import os

pytest_plugins = ("support.stores", "support.otlp", "support.api", "support.up", "support.dns_server")

os.environ["DUOSCOPE_BREACHED_PASSWORDS_URL"] = "off"
"""No process that a test starts asks anybody on the internet."""

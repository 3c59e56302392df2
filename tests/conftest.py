"""The real stores for every test that needs them.

PostgreSQL: one server per test run, one cloned database per test. ClickHouse: one engine per process (it can have no
more), in which every test makes a tenant of its own with `new_scope` and fills it with `deliver`. `running` is a whole
duoscope in a separate process, for tests from outside. The fixtures are in `tests/support/`.
"""

import os

pytest_plugins = ("support.stores", "support.otlp", "support.api", "support.up", "support.dns_server")

os.environ["DUOSCOPE_BREACHED_PASSWORDS_URL"] = "off"
"""No process that a test starts asks anybody on the internet."""

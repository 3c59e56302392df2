"""How often a connection that waits for notifications is asked whether it is alive."""

import pytest

from duoscope.stores import notifications


@pytest.mark.parametrize(
    ("dsn", "is_local"),
    [
        ("postgresql://role@/duoscope?host=%2Ftmp%2Fsockets&port=5432", True),
        ("postgresql://role@/duoscope?host=/tmp/sockets", True),
        ("postgresql://role@db:5432/duoscope", False),
        ("postgresql://role@localhost/duoscope?host=/tmp/sockets", False),
        ("postgresql://role@/duoscope?host=/tmp/sockets,db", False),
        ("postgresql://role@/duoscope?host=db", False),
        ("postgresql://role@/duoscope", False),
    ],
)
def test_only_a_unix_socket_needs_no_heartbeat(dsn, is_local):
    assert notifications._is_local(dsn) is is_local

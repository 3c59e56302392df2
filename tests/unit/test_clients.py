"""The client of a request, with and without proxies."""

import pytest

from duoscope.kernel.errors import DuoscopeError
from duoscope.net.proxies import client_address, trusted_proxies

TRUSTED = trusted_proxies("10.0.0.0/8, 2001:db8::1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.1.1.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.1.1.1", ["203.0.113.1, 198.51.100.7"], "198.51.100.7"),
        ("10.1.1.1", ["203.0.113.1", "198.51.100.7, 10.2.2.2"], "198.51.100.7"),
        ("10.1.1.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("10.1.1.1", ["198.51.100.7, unknown"], "10.1.1.1"),
        ("10.1.1.1", [""], "10.1.1.1"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("2001:db8::1", ["2001:db8:5::7"], "2001:db8:5::7"),
        ("::ffff:10.1.1.1", ["198.51.100.7"], "198.51.100.7"),
        (None, ["198.51.100.7"], None),
        ("a socket", ["198.51.100.7"], "a socket"),
    ],
)
def test_only_trusted_proxies_speak_for_others(peer, forwarded, address):
    headers = [(b"host", b"x"), *((b"x-forwarded-for", value.encode()) for value in forwarded)]
    assert client_address(peer, headers, TRUSTED) == address
    assert client_address(peer, headers, ()) in (peer, "10.1.1.1")


def test_a_wrong_setting_is_refused():
    assert trusted_proxies("") == ()
    with pytest.raises(DuoscopeError, match="DUOSCOPE_TRUSTED_PROXIES: 'nonsense'"):
        trusted_proxies("10.0.0.1 nonsense")

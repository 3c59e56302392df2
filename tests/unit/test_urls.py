"""Web addresses, over texts that resemble them: our check and the connecting library agree on each."""
# ruff: noqa: RUF001 - letters that look like others are what this is about

import contextlib
import ipaddress
from functools import cache
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duoscope.identity.oidc.identity_providers import IdentityProviders
from duoscope.kernel.errors import DuoscopeError
from duoscope.net.outbound import Outbound
from duoscope.net.urls import URL_CHARS_MAX, parse_url

# Full-width, circled and other scripts' digits and letters, dots of other scripts, separators, controls, surrogates.
_ODD = (
    "①②⑦０１２.。．｡０٠१１ⅠaAｂßıİ"
    "\u212a\u2024\u00ad\u200b\u202e\ud800\udfff\x00\x1f\x7f \t\r\n\\/@:?#[]%^{}|<>\"'`é日本"
)
_HOSTS = st.one_of(
    st.text(_ODD, max_size=20),
    st.from_regex(r"[a-z0-9.\-_]{0,30}", fullmatch=True),
    st.sampled_from(["①②⑦.0.0.1", "127.1", "0x7f.1", "[::1]", "[::1%25eth0]", "[::ffff:127.0.0.1]", "[fe80::1%lo]",
                     "a..b", ".a", "a" * 64 + ".example", "xn--", "xn--a", "XN--FSQ", "localhost.", "ｅxample.com"]),
    st.ip_addresses().map(str),
)  # fmt: skip
_PORTS = st.one_of(
    st.just(""), st.integers(-2, 70000).map(lambda port: f":{port}"), st.text(_ODD, max_size=5).map(lambda t: f":{t}")
)
_USERS = st.sampled_from(["", "", "", "@", "a@", "a:b@", "a%40b@", "①@"])
_PATHS = st.one_of(st.just(""), st.text(_ODD, max_size=20).map(lambda text: f"/{text}"))
_SCHEMES = st.sampled_from(["https", "https", "http", "HTTPS", "ftp", "", "ｈttps", "javascript"])
URLS = st.one_of(
    st.builds("{}://{}{}{}{}".format, _SCHEMES, _USERS, _HOSTS, _PORTS, _PATHS), st.text(max_size=40), st.text(_ODD)
)


@given(URLS)
def test_it_is_plain_and_means_one_thing_or_it_is_refused(text):
    try:
        url = parse_url(text)
    except UnicodeError:
        raise AssertionError(text) from None
    except ValueError:
        return
    assert text.isascii()
    assert text.isprintable()
    assert url.scheme in {"http", "https"}
    assert "@" not in url.netloc
    assert url.port is None or 0 < url.port < 65536
    assert urlsplit(text).hostname == url.host
    url.host.encode("idna")
    if "[" in url.netloc:
        ipaddress.IPv6Address(url.host)


@given(URLS)
def test_an_issuer_is_taken_or_refused_and_never_a_defect(text):
    providers = IdentityProviders(None, None, allows_http=True)
    with contextlib.suppress(DuoscopeError):
        assert providers._checked_issuer(text) == text


@given(URLS)
@settings(deadline=None)
async def test_a_request_is_refused_or_fails_and_never_a_defect(text):
    """Nothing is connected to: what is not refused for its form is no name, or at no address that may be asked."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("duoscope.net.outbound.socket.getaddrinfo", _at_home)
        with pytest.raises(DuoscopeError) as refused:
            await _outbound().request("GET", text)
    assert refused.value.code in {"address-refused", "outbound-failed"}


@cache
def _outbound():
    return Outbound()


def _at_home(host, port, **_):
    host.encode("idna")
    return [(2, 1, 6, "", ("127.0.0.1", port))]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://①②⑦.0.0.1",
            "https://１２７.0.0.1/",
            "https://example。com",
            "https://exａmple.com",
            "https://ex ample",
        ),
        *("https://example.com:", "https://example.com:0", "https://example.com:65536", "https://example.com:٤٤٣"),
        *("https://@example.com", "https://a@example.com", "https://a:b@example.com/", "https://example.com\\@evil"),
        *(
            "https://[::1",
            "https://[fe80::1%eth0]/",
            "https://[127.0.0.1]/",
            "https://",
            "https:///path",
            "example.com",
        ),
        *(
            "javascript://example.com/%0aalert(1)",
            "https://a..b",
            "https://-a.b",
            f"https://{'a' * 64}.b",
            "https://a\n",
        ),
        "https://example.com/" + "a" * URL_CHARS_MAX,
    ],
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match=r"^(it|a port) "):
        parse_url(text)


def test_what_is_one():
    for text in ("https://login.example.com", "https://xn--bcher-kva.example/a%20b?c=d", "http://[::1]:8080/",
                 "https://192.0.2.1:443", "https://example.com./", "https://my_host/~x"):  # fmt: skip
        assert parse_url(text).scheme in text
    assert parse_url("https://EXAMPLE.com:8443/p?q#f") == parse_url("https://EXAMPLE.com:8443/p?q#g")
    assert parse_url("https://example.com/#").has_fragment

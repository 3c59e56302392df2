"""Origins of pages: what people write becomes what browsers send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duoscope.net.origins import ANY, is_among, parse_origin, parse_origins


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://shop.example.com", "https://shop.example.com"),
        (" HTTPS://Shop.Example.COM ", "https://shop.example.com"),
        ("https://shop.example.com:443", "https://shop.example.com"),
        ("http://shop.example.com:80", "http://shop.example.com"),
        ("https://shop.example.com:80", "https://shop.example.com:80"),
        ("http://localhost:0300", "http://localhost:300"),
        ("http://[2001:DB8:0::1]:8080", "http://[2001:db8::1]:8080"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("*", ANY),
    ],
)
def test_it_becomes_what_browsers_send(written, sent):
    assert parse_origin(written) == sent


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("shop.example.com", "begins with a scheme"),
        ("", "begins with a scheme"),
        ("https://shop.example.com/", "ends after host and port, without a path: https://shop.example.com"),
        ("https://shop.example.com:443/pay?x=1", "without a path: https://shop.example.com"),
        ("https://shop.example.com?", "without a path: https://shop.example.com"),
        ("https://shop.example.com#top", "without a path: https://shop.example.com"),
        ("https://*.example.com", "no wildcard"),
        ("https://*", "no wildcard"),
        ("null", "many unrelated pages"),
        ("file:///tmp/page.html", "names no host"),
        ("https://ada@example.com", "no name and password"),
        ("https://bücher.example", "xn--"),
        ("https://example.com:0", "a port is"),
        ("https://example.com:99999", "no address"),
        ("https://a b", "ASCII"),
        ("https://" + "a." * 200 + "example", "300 characters"),
    ],
)
def test_the_error_says_what_to_write(written, why):
    with pytest.raises(ValueError, match=r".") as refused:
        parse_origins([written])
    assert why in str(refused.value)
    assert repr(written[:60]) in str(refused.value)


def test_any_stands_alone():
    assert parse_origins(["*", "*"]) == ("*",)
    assert parse_origins(["https://b.example", "https://a.example", "https://B.example:443"]) == (
        "https://a.example", "https://b.example",
    )  # fmt: skip
    with pytest.raises(ValueError, match="alone: leave out the others"):
        parse_origins(["*", "https://a.example"])


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[a-zA-Z+]{1,6}://[a-z0-9.\-\[\]:@/?#*]{0,20}", fullmatch=True)))
def test_what_is_taken_is_taken_again_and_can_be_sent(text):
    try:
        origin = parse_origin(text)
    except ValueError:
        return
    assert parse_origin(origin) == origin
    assert origin == ANY or (is_among(origin, (origin,)) and is_among(origin, (ANY,)))


@pytest.mark.parametrize(
    "odd", ["", "*", "a", "https://a, https://b", "https://a b", "https://é", "x" * 400, "https://"]
)
def test_what_no_browser_sends_is_not_any_origin(odd):
    assert not is_among(odd, (ANY,))
    assert not is_among(odd, ())


def test_null_is_any_origin_and_no_other():
    assert is_among("null", (ANY,))
    assert not is_among("null", ("https://a.example",))
    assert not is_among("https://a.example:8443", ("https://a.example",))

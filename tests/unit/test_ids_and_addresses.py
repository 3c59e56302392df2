"""Ids that sort by time, addresses of clients, and what of a change may be written down."""

import time
from datetime import UTC, datetime
from uuid import RFC_4122

import pytest

from duoscope.kernel.ids import new_id
from duoscope.metadata.redaction import CHANGE_CHARS_MAX, REDACTED, canonical, redacted
from duoscope.net.addresses import is_within, parse_address, parse_networks, peer_address


def test_ids_of_one_process_sort_by_time():
    made = []
    for _ in range(200):
        made.append(new_id())
        until = time.time_ns() + 1000
        while time.time_ns() < until:
            pass
    assert made == sorted(made)
    assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}
    assert abs((made[0].int >> 80) / 1000 - time.time()) < 60
    assert len({new_id() for _ in range(20_000)}) == 20_000


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:192.0.2.1:5000", "192.0.2.1"),
        ("ipv6:[2001:db8::1]:5000", "2001:db8::1"),
        ("ipv6:%5B2001:db8::1%5D:5000", "2001:db8::1"),
        ("unix:/run/x.sock", None),
        ("", None),
    ],
)
def test_peers_of_grpc(peer, host):
    assert peer_address(peer) == host


def test_networks():
    networks = parse_networks(["2001:db8::/32", "192.0.2.7", "192.0.2.0/24", "192.0.2.7/32"])
    assert [str(network) for network in networks] == ["192.0.2.0/24", "192.0.2.7/32", "2001:db8::/32"]
    for inside in ("192.0.2.255", "::ffff:192.0.2.1", "2001:db8::5%eth0", "[2001:db8::5]"):
        assert is_within(parse_address(inside), networks), inside
    for outside in ("192.0.3.1", "2001:db9::", "", "x", None, "192.0.2.1:80"):
        assert not is_within(parse_address(outside), networks), outside
    for wrong in ("192.0.2.1/24", "x", "", "10.0.0.0/33"):
        with pytest.raises(ValueError, match=r".*"):
            parse_networks([wrong])


@pytest.mark.parametrize(
    "name",
    ["password", "newPassword", "client_secret", "secret_hash", "api_key", "Authorization", "refresh-token", "mfa_code",
     "backup_codes", "totp", "code_verifier", "smtp_credentials", "private_key", "set-cookie", "DUOSCOPE_POSTGRES_DSN"],
)  # fmt: skip
def test_secrets_are_known_by_their_names(name):
    for value in ("x", ["x"], {"a": "x"}, 123456):
        assert redacted({name: value}) == {name: REDACTED}
    assert redacted({name: None, "deep": [{name: True}]}) == {name: None, "deep": [{name: True}]}


@pytest.mark.parametrize(
    "name", ["name", "key_id", "api_key_id", "token_id", "password_changed_at", "mfa_required", "token_endpoint"]
)
def test_what_only_speaks_of_a_secret_stays(name):
    assert redacted({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "text",
    ["tfk-aaaaaaaaaaaaaaaa.0123abc", "tfr-" + "a" * 43, "eyJhbGciOi.eyJzdWIi.c2ln", "$argon2id$v=19$m=1,t=1$a$b",
     "user:hunter2"],
)  # fmt: skip
def test_secrets_of_known_form_are_taken_out_wherever_they_stand(text):
    url = f"https://{text}@example.com/" if ":" in text else f"it was {text} there"
    [shown] = redacted({"note": url}).values()
    assert text not in shown
    assert REDACTED in shown


def test_what_is_written_down_is_the_same_whenever_it_is_made_anew():
    change = redacted(
        {"when": datetime(2026, 1, 31, 12, tzinfo=UTC), "id": new_id(), "set": {"b", "a"}, "float": 1.5e300,
         "é": "\0\ud800", "nan": float("nan"), "big": 2**70, "bytes": b"x", 5: "number"}
    )  # fmt: skip
    assert change["when"] == "2026-01-31T12:00:00.000000Z"
    assert change["set"] == ["a", "b"]
    assert change["bytes"] == REDACTED
    assert redacted(change) == change
    assert canonical(redacted(change)) == canonical(change)
    large = redacted({"small": 1, "large": "x" * 10**6, "list": [["y" * 5000] * 1000] * 1000})
    assert large["small"] == 1
    assert len(canonical(large)) <= CHANGE_CHARS_MAX

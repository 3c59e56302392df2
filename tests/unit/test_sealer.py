"""The sealer: values are bound to their place, cannot be altered, and open with keys of earlier versions."""

import base64
import json
from uuid import UUID

import pytest

from duoscope.secrets.keys import SecretKeys
from duoscope.secrets.sealer import SealBrokenError, Sealer, new_key

_KEYS = SecretKeys((b"1" * 32,))
SEALED_BEFORE = [
    ("mail-outbox", "t6ZJ9lr2k6ttH2oHBHiRmGopwtuBUq_x5WX5SQFE1YwJKQ==", UUID(int=7).bytes, b"a text"),
    ("oidc-login", "KpvtNvhuWVGAaK1uM73o5kEP17tgl0W3b-sFqtBP_kAaD_g=", b"oidc", b'{"a":1}'),
    ("api-key-offline", "uGEa2FoWHNEplobLTxb4GHBeQYt1FO7qJS0Y28TF", b"duoscope api keys 1", b"[]"),
    (
        "encryption-key",
        "PlAxlz6jVUuKj_Kqeg3iwslaDmxrtBCevc7889SC96sV7koR-s4=",
        json.dumps(["encryption_keys", "key_encrypted", "1"]).encode(),
        b"a data key",
    ),
]
"""Made by the code of each of the four users, when each of them encrypted by itself."""


@pytest.mark.parametrize(("purpose", "sealed", "bound_to", "plaintext"), SEALED_BEFORE)
def test_what_earlier_versions_sealed_opens(purpose, sealed, bound_to, plaintext):
    assert _KEYS.sealer(purpose).open(base64.urlsafe_b64decode(sealed), bound_to) == plaintext


def test_the_first_key_seals_and_every_key_opens():
    old, new = new_key(), new_key()
    sealed = Sealer([old]).seal(b"text", b"row")
    rotated = Sealer([new, old])
    assert rotated.open(sealed, b"row") == b"text"
    assert Sealer([new]).open(rotated.seal(b"text", b"row"), b"row") == b"text"
    assert rotated.seal(b"text", b"row") != rotated.seal(b"text", b"row")
    with pytest.raises(SealBrokenError):
        Sealer([new]).open(sealed, b"row")


def test_nothing_opens_elsewhere_altered_or_cut_short():
    sealer = Sealer([new_key()])
    sealed = sealer.seal(b"text", b"row")
    altered = bytes([*sealed[:-1], sealed[-1] ^ 1])
    for wrong, bound_to in ((sealed, b"another row"), (altered, b"row"), (sealed[:20], b"row"), (b"", b"row")):
        with pytest.raises(SealBrokenError):
            sealer.open(wrong, bound_to)


def test_a_purpose_opens_nothing_of_another():
    with pytest.raises(SealBrokenError):
        _KEYS.sealer("one").open(_KEYS.sealer("other").seal(b"text", b""), b"")

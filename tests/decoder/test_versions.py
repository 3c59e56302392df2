"""The library and the Python beside it are of one version."""

import ctypes
import shutil

import pytest

from duoscope.receiver import decoder


def test_structures_have_the_sizes_that_c_gives_them(monkeypatch):
    library = ctypes.CDLL(str(decoder.LIBRARY))
    assert decoder.sizes_agree(library)
    monkeypatch.setattr(decoder, "_STRUCTURES", (*decoder._STRUCTURES, decoder._Owner))
    assert not decoder.sizes_agree(library)


def test_a_library_of_another_version_is_refused(monkeypatch, tmp_path):
    copy = shutil.copy(decoder.LIBRARY, tmp_path)
    monkeypatch.setattr(decoder, "LIBRARY", copy)
    monkeypatch.setattr(decoder, "_STRUCTURES", decoder._STRUCTURES[1:])
    with pytest.raises(RuntimeError, match="another version"):
        decoder._library.__wrapped__()

"""Requests for the decoder, and the oracles for it; the modules beside this file are imported by their names."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).parent))

import otlp_oracle
import otlp_requests


@pytest.fixture(scope="session")
def oracle():
    """The expected rows, by google.protobuf."""
    return otlp_oracle


@pytest.fixture(scope="session")
def twins():
    """The messages that the oracle parses with, by kind."""
    return otlp_oracle.twins()


@pytest.fixture(scope="session")
def make(twins):
    """Makes a random request of a kind from a seed, and its maker."""

    def request(kind, seed):
        maker = otlp_requests.Maker(seed, otlp_oracle.NOW_NS)
        return maker, maker.message(twins[kind].DESCRIPTOR)

    return request

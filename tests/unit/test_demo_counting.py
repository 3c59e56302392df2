"""The demo's exporters try again while a receiver is busy, and count what was taken and what was given up."""

import threading

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from duoscope.demo import counting
from duoscope.demo.counting import CountingSpans, Counts


class Busy(SpanExporter):
    """Takes nothing the first times; tells when it was asked."""

    def __init__(self, refusals):
        self.refusals = refusals
        self.asked = threading.Event()

    def export(self, spans):
        del spans
        self.asked.set()
        self.refusals -= 1
        return SpanExportResult.FAILURE if self.refusals >= 0 else SpanExportResult.SUCCESS


def test_a_busy_receiver_is_tried_again(monkeypatch):
    monkeypatch.setattr(counting, "RETRY_PAUSE_S", 0.0)
    counts = Counts()
    assert CountingSpans(Busy(3), counts).export([None] * 5) is SpanExportResult.SUCCESS
    assert (counts.accepted["spans"], counts.lost["spans"], counts.failing) == (5, 0, False)


def test_what_is_never_taken_is_lost(monkeypatch):
    monkeypatch.setattr(counting, "RETRY_PAUSE_S", 0.0)
    monkeypatch.setattr(counting, "RETRY_MAX_S", 0.01)
    counts = Counts()
    assert CountingSpans(Busy(10**9), counts).export([None] * 5) is SpanExportResult.FAILURE
    assert (counts.accepted["spans"], counts.lost["spans"], counts.failing) == (0, 5, True)


def test_the_end_ends_the_trying():
    counts, exporter = Counts(), Busy(10**9)
    trying = threading.Thread(target=CountingSpans(exporter, counts).export, args=([None] * 5,))
    trying.start()
    assert exporter.asked.wait(10)
    counts.ended.set()
    trying.join(10)
    assert not trying.is_alive()
    assert counts.lost["spans"] == 5

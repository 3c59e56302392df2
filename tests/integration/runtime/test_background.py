"""Every background job continues whatever happens in one of its turns, and failures are reported."""

import asyncio
import importlib
import pkgutil
from dataclasses import replace
from functools import partial

import asyncpg
import httpx
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint
from prometheus_client.parser import text_string_to_metric_families

import duoscope
from duoscope.alerting.evaluator import Evaluator, start_evaluator
from duoscope.api.app import create_app
from duoscope.background.driver import JOBS, MISSES_MAX, Driver
from duoscope.delivery.mail import Mailer
from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.settings import Settings
from duoscope.net.outbound import Outbound
from duoscope.notification.sending import Sender
from duoscope.receiver.admission.receivers import Receivers
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.signals import LOGS, METRICS, TRACES
from duoscope.receiver.transport.http_server import HttpApplication
from duoscope.runtime import stores
from duoscope.runtime.parts.api import KNOW_INDEXES
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres
from duoscope.worker.alert_shipping import start_alert_shipping
from duoscope.worker.audit_shipping import start_audit_shipping
from duoscope.worker.housekeeping import start_housekeeping
from duoscope.worker.mail import start_mail
from duoscope.worker.notifications import start_notifications
from duoscope.worker.watchdog import start_watchdog

WAIT_S = 60
ALONE = {"count-receivers", "forget-ingest-leases", "verify-postgres-schema", "ping-watchdog"}
"""Jobs of receivers that share servers with others, and one that has no work without a setting: `duoscope up` over
embedded stores has none of them."""


class Breakable:
    """A job's turns, which fail while `error` is set: at once, and in the middle of what they are at."""

    def __init__(self, run):
        self.run = run
        self.error = None
        self.changed = asyncio.Event()
        self.began = asyncio.Event()

    async def __call__(self):
        if self.error:
            raise self.error
        self.began.set()
        turn, changed = asyncio.ensure_future(self.run()), asyncio.ensure_future(self.changed.wait())
        try:
            await asyncio.wait({turn, changed}, return_when=asyncio.FIRST_COMPLETED)
            if self.error:
                raise self.error
            return turn.result()
        finally:
            for task in (turn, changed):
                task.cancel()
            await asyncio.gather(turn, changed, return_exceptions=True)

    def break_down(self, error):
        self.error = error
        self.changed.set()

    def mend(self):
        self.error = None
        self.changed.clear()
        self.began.clear()


class BreakableDriver(Driver):
    def __init__(self):
        super().__init__()
        self.breakable = {}

    def start(self, job, run):
        self.breakable[job.name] = Breakable(run)
        return super().start(job, self.breakable[job.name])


async def _answer_ping(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.fixture
async def ingest(api, inhabited, hasher, secret_keys, secret_box, telemetry_store, metadata_store, tmp_path):  # noqa: PLR0917
    """A receiver, with a driver in which every job runs that there is."""
    driver = BreakableDriver()
    lock = DataDirectoryLock.acquire(tmp_path)
    postgres = stores.KeptPostgres(await EmbeddedPostgres.start(tmp_path), tmp_path)
    driver.start(stores.KEEP_POSTGRES, postgres.keep)
    driver.start(stores.VERIFY_SCHEMA, lambda: stores.verify_later(metadata_store, asyncio.Event()))
    verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys)
    upkeep = ApiKeyUpkeep(metadata_store, verifier)
    upkeep.start(driver)
    log = RequestLog.open(tmp_path / "ingest")
    claims, receivers = (
        IngestLeases(metadata_store, log.receiver_id),
        Receivers(metadata_store, log.receiver_id),
    )
    made = Ingest(telemetry_store, verifier, log, claims=claims, driver=driver)
    await made.start()
    await receivers.start(driver)
    api.services.signing_keys.watch(driver)
    start_housekeeping(driver, metadata_store)
    start_mail(driver, metadata_store, Mailer(Settings(), secret_keys), {})
    start_audit_shipping(driver, metadata_store, telemetry_store.records())
    evaluator, outbound = Evaluator(metadata_store, telemetry_store), Outbound("127.0.0.0/8")
    start_evaluator(driver, evaluator)
    api.services.views.start(driver)
    driver.start(KNOW_INDEXES, partial(telemetry_store.know_indexes, choose=True))
    watchdog = await asyncio.start_server(_answer_ping, "127.0.0.1", 0)
    port = watchdog.sockets[0].getsockname()[1]
    start_watchdog(driver, evaluator, outbound, f"http://127.0.0.1:{port}/")
    start_alert_shipping(driver, metadata_store, telemetry_store.records())
    mailer = Mailer(Settings(), secret_keys)
    start_notifications(driver, metadata_store, Sender(metadata_store, secret_box, api.services.outbound, mailer, ""))
    yield made
    await made.close()
    await upkeep.stop()
    await receivers.close()
    await driver.stop()
    watchdog.close()
    await outbound.close()
    await postgres.stop()
    lock.release()


@pytest.fixture
def client(api, ingest):
    app = create_app(replace(api.services, readiness={"background": ingest._driver.ready}))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def _values(text, name):
    return {
        sample.labels["job"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def _declared():
    """Every job of every module."""
    for module in pkgutil.walk_packages(duoscope.__path__, "duoscope."):
        if not module.name.endswith(("__main__", "launcher", "libdecoder")):
            importlib.import_module(module.name)
    return set(JOBS)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("nobody foresaw this"),
        asyncpg.DiskFullError("could not extend file"),
        asyncpg.QueryCanceledError("canceling statement due to user request"),
        asyncio.CancelledError("the connection was cancelled"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_job_goes_on_and_what_failed_is_told(ingest, client, inhabited, otlp, error):
    driver = ingest._driver
    names = {running.job.name for running in driver.running}
    assert names == _declared(), "a job that is declared and not started here"
    began = _values((await client.get("/metrics")).text, "duoscope_background_failures_total")
    for running in driver.running:
        driver.breakable[running.job.name].break_down(error)
        async with asyncio.timeout(WAIT_S):
            while running.misses < MISSES_MAX:
                await running.activate()

    ready = await client.get("/health/ready")
    assert ready.status_code == 503
    for name in names:
        assert f"The job {name} has failed" in ready.json()["parts"]["background"]
    assert "nobody foresaw" not in ready.text
    shown = (await client.get("/metrics")).text
    missed, failures = (_values(shown, f"duoscope_background_{name}") for name in ("missed_turns", "failures_total"))
    assert all(missed[name] >= MISSES_MAX and failures[name] >= began[name] + MISSES_MAX for name in names)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(HttpApplication(ingest)), base_url="http://test"
    ) as receiver:
        told = await receiver.get("/health/ready")
    assert (told.status_code, told.json()["parts"]["ingest"]) == (200, "ready")
    assert "The job write-refusals has failed" in told.json()["parts"]["background"]

    for breakable in driver.breakable.values():
        breakable.mend()
    async with asyncio.timeout(WAIT_S):
        for running in driver.running:
            running.activate()
            await driver.breakable[running.job.name].began.wait()
        principal = await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)
        log = otlp.logs("s", {"time_unix_nano": now_unix_nano(), "body": "x"})
        span = otlp.spans("s", {"start_time_unix_nano": now_unix_nano(), "end_time_unix_nano": now_unix_nano()})
        points = otlp.metrics("s", Metric(name="g", gauge=Gauge(data_points=[NumberDataPoint(as_double=1.0)])))
        for signal, request in ((LOGS, log), (TRACES, span), (METRICS, points)):
            await ingest.accept(principal, signal, request.SerializeToString())
        while missing := [running for running in driver.running if running.misses]:
            await missing[0].activate()
    assert (await client.get("/health/ready")).json()["status"] == "ready"
    shown = (await client.get("/metrics")).text
    succeeded = _values(shown, "duoscope_background_last_success_timestamp_seconds")
    assert set(_values(shown, "duoscope_background_missed_turns").values()) == {0.0}
    assert names <= set(succeeded)
    assert names <= set(_values(shown, "duoscope_background_turn_seconds_count"))


def test_a_whole_duoscope_runs_every_job(running):
    shown = httpx.get(f"{running.api_url}/metrics", timeout=30).text
    assert set(_values(shown, "duoscope_background_missed_turns")) == _declared() - ALONE
    assert httpx.get(f"{running.api_url}/health/ready", timeout=30).json()["parts"]["background"] == "ready"

"""The API part: the first start on new stores, and the HTTP server."""

import asyncio
import dataclasses
from functools import partial
from typing import ClassVar, Final

from duoscope.api.app import create_app
from duoscope.api.dependencies import assemble
from duoscope.api.listener import bounds_of, http_server
from duoscope.background.driver import Job
from duoscope.identity.operators.bootstrap import bootstrap
from duoscope.kernel import limits
from duoscope.kernel.settings import Settings
from duoscope.net.proxies import trusted_proxies
from duoscope.runtime.descriptors import allow_open_files
from duoscope.runtime.process import Process

KNOW_INDEXES: Final = Job("know-indexes-of-attributes", period_s=600.0, at_once=True)


class ApiPart:
    """The API part of a process."""

    http_port: ClassVar[str] = "api_port"

    def __init__(self, settings: Settings) -> None:
        self._is_trial = settings.embedded_postgres and settings.embedded_clickhouse

    async def start(self, process: Process) -> None:
        """Create the first tenant if there is none, then listen."""
        started = process.started
        process.first_start = await bootstrap(
            process.metadata,
            process.hasher,
            data_dir=process.settings.data_dir,
            api_url=started.api_url,
            otlp_grpc_endpoint=started.otlp_grpc_endpoint,
            otlp_http_endpoint=started.otlp_http_endpoint,
            is_trial=self._is_trial,
        )
        services = await assemble(
            process.metadata,
            process.telemetry,
            settings=process.settings,
            keys=process.keys,
            hasher=process.hasher,
            public_url=started.api_url,
            stopping=process.stop,
            api_keys=process.verifier,
        )
        choose = process.settings.embedded_clickhouse  # elsewhere the account of readers may not
        know_indexes = process.driver.start(KNOW_INDEXES, partial(process.telemetry.know_indexes, choose=choose))
        process.stack.push_async_callback(know_indexes.stop)
        process.telemetry.know(services.named.of)
        process.stack.push_async_callback(services.signing_keys.watch(process.driver).stop)
        services.views.start(process.driver)
        process.stack.push_async_callback(services.close)
        application = create_app(dataclasses.replace(services, readiness=process.readiness))
        trusted = trusted_proxies(process.settings.trusted_proxies)
        bounds = bounds_of(min(limits.API_CONNECTIONS_MAX, allow_open_files()), trusted=trusted)
        server = http_server(application, trusted, bounds=bounds)
        await server.start(process.listening[self.http_port])

        async def stop() -> None:
            # Those who wait for a long query are told so, before they are cut off.
            ending = asyncio.get_running_loop().call_later(limits.READ_STOP_S, process.telemetry.questions.end_all)
            await server.stop(limits.INGEST_DRAIN_MAX_S)
            ending.cancel()

        process.stack.push_async_callback(stop)

"""The API: the first start where there was none, and the HTTP server."""

import dataclasses
from typing import ClassVar

from duoscope.api.app import create_app
from duoscope.api.dependencies import assemble
from duoscope.identity.operators.bootstrap import bootstrap
from duoscope.kernel.settings import Settings
from duoscope.runtime.http import start_http
from duoscope.runtime.process import Process


class ApiPart:
    """See the module."""

    http_port: ClassVar[str] = "api_port"

    def __init__(self, settings: Settings) -> None:
        self._is_trial = settings.embedded_postgres and settings.embedded_clickhouse

    async def start(self, process: Process) -> None:
        """Make the first tenant where there is none, then listen."""
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
        process.stack.push_async_callback(services.signing_keys.watch(process.driver).stop)
        process.stack.push_async_callback(services.close)
        application = create_app(dataclasses.replace(services, readiness=process.readiness))
        await start_http(application, process.listening[self.http_port], process.stack)

"""How a client of ClickHouse is opened: for the embedded engine or for a server, depending on the settings."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from duoscope.kernel import limits
from duoscope.kernel.settings import Settings
from duoscope.stores.clickhouse.counting import count_embedded, count_http

_ENGINE: Final = """<clickhouse>
    <!-- Written by duoscope at its start. What the embedded engine does while it has nothing to do: nobody reads its
         metrics or streams from a broker, and its memory need not be looked at twenty times a second. -->
    <asynchronous_metrics_update_period_s>60</asynchronous_metrics_update_period_s>
    <memory_worker_period_ms>1000</memory_worker_period_ms>
    <background_streaming_schedule_pool_size>0</background_streaming_schedule_pool_size>
</clickhouse>
"""


def open_client(settings: Settings, *, database: str, admin: bool = False) -> Client:
    """Open a client of one database. With `admin` it uses the account that may change the schema.

    Raises:
        OperationalError: ClickHouse cannot be reached.
    """
    if settings.embedded_clickhouse:
        path = settings.data_dir / "clickhouse"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        client = clickhouse_connect.get_client(
            interface="chdb",
            path=str(path),
            database="default",
            chdb_options={"config-file": str(_engine_configuration(settings.data_dir))},
        )
        if database != "default":
            client.command(f"USE {database}")
        count_embedded(client)
        return client
    dsn = (settings.clickhouse_admin_dsn if admin else "") or settings.clickhouse_dsn
    client = clickhouse_connect.get_client(
        dsn=dsn,
        database=database,
        autogenerate_session_id=False,
        connect_timeout=limits.TELEMETRY_CONNECT_MAX_S,
        # The migrator may wait for the nodes of a cluster.
        send_receive_timeout=300 if admin else limits.INGEST_STORE_SILENCE_MAX_S,
    )
    count_http(client)
    return client


def _engine_configuration(data_dir: Path) -> Path:
    """The file with the settings of the engine's process, which only its first client reads.

    An engine that cannot take the file's name, such as one with a space, keeps its defaults.
    """
    path = (data_dir / "clickhouse.xml").resolve()
    if not path.exists() or path.read_text() != _ENGINE:
        # Whole or not at all: another thread may be opening the engine.
        with NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.name}.", delete=False) as file:
            file.write(_ENGINE)
        Path(file.name).replace(path)
    return path

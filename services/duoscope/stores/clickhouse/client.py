"""How a client of ClickHouse is opened: for the embedded engine or for a server, depending on the settings."""

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from duoscope.kernel import limits
from duoscope.kernel.settings import Settings


def open_client(settings: Settings, *, database: str, admin: bool = False) -> Client:
    """Open a client of one database. With `admin` it uses the account that may change the schema.

    Raises:
        OperationalError: ClickHouse cannot be reached.
    """
    if settings.embedded_clickhouse:
        path = settings.data_dir / "clickhouse"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        client = clickhouse_connect.get_client(interface="chdb", path=str(path), database="default")
        if database != "default":
            client.command(f"USE {database}")
        return client
    dsn = (settings.clickhouse_admin_dsn if admin else "") or settings.clickhouse_dsn
    return clickhouse_connect.get_client(
        dsn=dsn,
        database=database,
        autogenerate_session_id=False,
        connect_timeout=limits.TELEMETRY_CONNECT_MAX_S,
        # The migrator may wait for the nodes of a cluster.
        send_receive_timeout=300 if admin else limits.INGEST_STORE_SILENCE_MAX_S,
    )

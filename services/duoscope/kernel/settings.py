"""Configuration: frozen, typed, read from the environment in this one place.

Every variable starts with `DUOSCOPE_`; one that is not known here is refused, so that a typing mistake shows at the
start and not as a silent default. `duoscope up` and its sisters pass the options of the same names as overrides.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.organization_limits import OrganizationLimits

ENVIRONMENT_PREFIX = "DUOSCOPE_"
_PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process was told. Attribute `x_y` is the variable `DUOSCOPE_X_Y`.

    Attributes:
        host: address to listen on.
        api_port, otlp_grpc_port, otlp_http_port: TCP ports; 0 asks for a free one.
        metrics_port: where a receiver or worker that runs apart shows its metrics; 0: nowhere. The API has /metrics.
        otlp_tls_cert, otlp_tls_key: PEM files for both OTLP ports; empty means plain text.
        otlp_tls_client_ca: PEM file of authorities, one of which must have signed a client's certificate; empty means
            that clients need none.
        data_dir: everything the embedded stores and the process keep on disk.
        postgres_dsn: server of the services' role; empty means embedded.
        postgres_admin_dsn: role that owns the schema, for migrations; empty means the embedded superuser.
        clickhouse_dsn: server for the services; empty means embedded.
        clickhouse_admin_dsn: account that may change the schema; empty means the same as clickhouse_dsn.
        clickhouse_cluster: cluster name for Replicated tables and ON CLUSTER; empty means a single node.
        secret_key: key material (32 bytes or more, text) for tokens and keyed hashes; empty means a file in data_dir.
        api_key_outage_s: seconds that API keys which were verified go on working while PostgreSQL is away.
        public_url: address of the API as people reach it; empty means http://host:api_port.
        trusted_proxies: addresses or networks, separated by commas, whose X-Forwarded-For is believed; empty: nobody's.
        smtp_url: server that takes our mail: smtps://user:password@host (TLS), smtp://... (STARTTLS, insisted on) or
            smtp+plaintext://host (no TLS, for a relay on the same machine); empty means that no mail is sent.
        mail_from: address our mail comes from.
        ingest_limits: what tenants may send that have no limits of their own, such as
            `items_per_second=50000,active_series=200000`; empty means the defaults of kernel/ingest_limits.py.
        organization_limits: what organizations may have that have no limits of their own, such as
            `tenants=200,api_keys=5000`; empty means the defaults of kernel/organization_limits.py.
        outbound_networks: networks of our own, separated by commas, that requests to configured addresses (identity
            providers) may reach all the same; http is taken for loopback ones. Empty: public addresses and https only.
        breached_passwords_url: service that is asked too whether a new password was stolen elsewhere, by the first
            five digits of its SHA-1, such as https://api.pwnedpasswords.com/range; `off`, the default: nobody is asked,
            the list that is shipped decides alone.
        log_level: Python logging level name.
    """

    host: str = "127.0.0.1"
    api_port: int = 8080
    otlp_grpc_port: int = 4317
    otlp_http_port: int = 4318
    metrics_port: int = 0
    otlp_tls_cert: str = ""
    otlp_tls_key: str = ""
    otlp_tls_client_ca: str = ""
    data_dir: Path = field(default_factory=lambda: Path("duoscope-data"))
    postgres_dsn: str = ""
    postgres_admin_dsn: str = ""
    clickhouse_dsn: str = ""
    clickhouse_admin_dsn: str = ""
    clickhouse_cluster: str = ""
    secret_key: str = field(default="", repr=False)
    api_key_outage_s: float = 3600
    public_url: str = ""
    trusted_proxies: str = ""
    smtp_url: str = field(default="", repr=False)
    mail_from: str = "duoscope@localhost"
    ingest_limits: str = ""
    organization_limits: str = ""
    outbound_networks: str = ""
    breached_passwords_url: str = "off"
    log_level: str = "INFO"

    @property
    def embedded_postgres(self) -> bool:
        """Whether PostgreSQL is a child of this process."""
        return not self.postgres_dsn

    @property
    def embedded_clickhouse(self) -> bool:
        """Whether ClickHouse runs inside this process."""
        return not self.clickhouse_dsn


def load(environment: Mapping[str, str], overrides: Mapping[str, str | int | Path | None] | None = None) -> Settings:
    """Read settings from `environment` (normally os.environ); `overrides` (option values, None = not given) win.

    Raises:
        DuoscopeError: INVALID with the variable's name for an unknown variable or a value of the wrong form.
    """
    known = {f.name for f in fields(Settings)}
    values: dict[str, str | float | Path] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {ENVIRONMENT_PREFIX}{close[0].upper()}?" if close else ""
            raise _invalid(f"Unknown setting {variable}.{hint}")
        if text:
            values[name] = text
    values.update({name: value for name, value in (overrides or {}).items() if value is not None})
    for name in ("api_port", "otlp_grpc_port", "otlp_http_port", "metrics_port"):
        if name in values:
            values[name] = _port(name, values[name])
    if "api_key_outage_s" in values:
        values["api_key_outage_s"] = _seconds("api_key_outage_s", values["api_key_outage_s"])
    breached = str(values.get("breached_passwords_url", "off"))
    if breached != "off" and not breached.startswith(("https://", "http://")):
        raise _invalid(
            f"{ENVIRONMENT_PREFIX}BREACHED_PASSWORDS_URL takes an address such as https://host/range, or off."
        )
    IngestLimits.parse(str(values.get("ingest_limits", "")))
    OrganizationLimits.parse(str(values.get("organization_limits", "")))
    data_dir = Path(str(values.get("data_dir", "duoscope-data"))).expanduser()
    values["data_dir"] = data_dir if data_dir.is_absolute() else Path.cwd() / data_dir
    return Settings(**values)  # pyright: ignore[reportArgumentType]


def _seconds(name: str, value: str | float | Path) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise _invalid(f"{ENVIRONMENT_PREFIX}{name.upper()} must be a number of seconds, not {str(value)!r}.")
    return seconds


def _port(name: str, value: str | float | Path) -> int:
    try:
        port = int(str(value))
    except ValueError:
        port = -1
    if not 0 <= port <= _PORT_MAX:
        raise _invalid(f"{ENVIRONMENT_PREFIX}{name.upper()} must be a port number from 0 to 65535, not {str(value)!r}.")
    return port


def _invalid(message: str) -> DuoscopeError:
    return DuoscopeError(ErrorKind.INVALID, "invalid-settings", message)

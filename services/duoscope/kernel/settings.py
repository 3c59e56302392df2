"""Configuration: frozen, typed, read from the environment in this one place.

Every variable starts with `DUOSCOPE_`; an unknown one is refused, so that a typing mistake shows at the start and not
as a silent default. `duoscope up` and the other services pass the options of the same names as overrides.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, get_type_hints

import msgspec
from msgspec import Meta

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.organization_limits import OrganizationLimits
from duoscope.kernel.query_limits import QueryLimits

ENVIRONMENT_PREFIX = "DUOSCOPE_"

Port: TypeAlias = Annotated[int, Meta(ge=0, le=65535, description="a port number from 0 to 65535")]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=1e9, description="a number of seconds")]
AddressOrOff: TypeAlias = Annotated[
    str, Meta(pattern="^(off$|https?://)", description="an address such as https://host/range, or off")
]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a process. Attribute `x_y` is the variable `DUOSCOPE_X_Y`.

    Attributes:
        host: address to listen on.
        api_port, otlp_grpc_port, otlp_http_port: TCP ports; 0 asks for a free one.
        metrics_port: where a separate receiver or worker serves its metrics; 0: nowhere. The API has /metrics.
        otlp_tls_cert, otlp_tls_key: PEM files for both OTLP ports; empty means plain text.
        otlp_tls_client_ca: PEM file of authorities, one of which must have signed a client's certificate; empty means
            that clients need none.
        acknowledge: when telemetry is acknowledged: once it is `synced` to the disk of the receiver, which survives a
            power cut, or once it is `stored` in ClickHouse, where the disk of a receiver may be lost with its machine.
        data_dir: everything the embedded stores and the process keep on disk.
        postgres_dsn: server, with the role of the services; empty means embedded.
        postgres_admin_dsn: role that owns the schema, for migrations; empty means the embedded superuser.
        clickhouse_dsn: server for the services; empty means embedded.
        clickhouse_admin_dsn: account that may change the schema; empty means the same as clickhouse_dsn.
        clickhouse_cluster: cluster name for Replicated tables and ON CLUSTER; empty means a single node.
        secret_key: key material (32 bytes or more, text) for tokens and keyed hashes; empty means a file in data_dir.
        api_key_outage_s: seconds that verified API keys keep working while PostgreSQL is down.
        public_url: address of the API as users reach it; empty means http://host:api_port.
        trusted_proxies: addresses or networks, separated by commas, whose X-Forwarded-For is trusted; empty: none.
        smtp_url: server for outgoing mail: smtps://user:password@host (TLS), smtp://... (STARTTLS, required) or
            smtp+plaintext://host (no TLS, for a relay on the same machine); empty means that no mail is sent.
        mail_from: sender address of outgoing mail.
        ingest_limits: ingest limits of tenants that have no limits of their own, such as
            `items_per_second=50000,active_series=200000`; empty means the defaults of kernel/ingest_limits.py.
        query_limits: limits of what tenants without limits of their own may ask, such as
            `queries_at_once=4,query_seconds=10`; empty means the defaults of kernel/query_limits.py.
        slow_query_s: a request whose queries take longer is logged as slow; 0 logs none.
        organization_limits: limits of organizations that have no limits of their own, such as
            `tenants=200,api_keys=5000`; empty means the defaults of kernel/organization_limits.py.
        outbound_networks: own networks, separated by commas, that requests to configured addresses (identity providers,
            notification channels) may reach all the same; http is allowed for loopback ones. Empty: public addresses
            and https only.
        dns_servers: DNS servers for the records that prove e-mail domains, by address, such as
            `10.0.0.53,127.0.0.1:5353`; empty means those of the system.
        breached_passwords_url: service that also checks whether a new password was stolen elsewhere, by the first five
            digits of its SHA-1, such as https://api.pwnedpasswords.com/range. With `off`, the default, the built-in
            list decides alone.
        watchdog_url: address that a worker gets (GET) each minute while alert rules are evaluated in time, for a
            service that tells when no ping comes; empty means none. It is reached under the rules of outbound_networks.
        log_level: Python logging level name.
    """

    host: str = "127.0.0.1"
    api_port: Port = 8080
    otlp_grpc_port: Port = 4317
    otlp_http_port: Port = 4318
    metrics_port: Port = 0
    otlp_tls_cert: str = ""
    otlp_tls_key: str = ""
    otlp_tls_client_ca: str = ""
    acknowledge: Annotated[Literal["synced", "stored"], Meta(description="synced or stored")] = "synced"
    data_dir: Path = field(default_factory=lambda: Path("duoscope-data"))
    postgres_dsn: str = ""
    postgres_admin_dsn: str = ""
    clickhouse_dsn: str = ""
    clickhouse_admin_dsn: str = ""
    clickhouse_cluster: str = ""
    secret_key: str = field(default="", repr=False)
    api_key_outage_s: Seconds = 3600
    public_url: str = ""
    trusted_proxies: str = ""
    smtp_url: str = field(default="", repr=False)
    mail_from: str = "duoscope@localhost"
    ingest_limits: str = ""
    query_limits: str = ""
    slow_query_s: Seconds = 5
    organization_limits: str = ""
    outbound_networks: str = ""
    dns_servers: str = ""
    breached_passwords_url: AddressOrOff = "off"
    watchdog_url: Annotated[
        str, Meta(pattern="^(https?://.*)?$", description="an address such as https://host/ping/id")
    ] = field(default="", repr=False)
    log_level: str = "INFO"

    @property
    def embedded_postgres(self) -> bool:
        """Whether PostgreSQL is a child of this process."""
        return not self.postgres_dsn

    @property
    def embedded_clickhouse(self) -> bool:
        """Whether ClickHouse runs inside this process."""
        return not self.clickhouse_dsn


_OF_THE_INSTALL: Final = frozenset({"DUOSCOPE_WITHOUT_UI"})
"""Read when duoscope is installed; a shell may still have it."""


def load(environment: Mapping[str, str], overrides: Mapping[str, str | int | Path | None] | None = None) -> Settings:
    """Read the settings.

    Args:
        environment: normally os.environ.
        overrides: values of command-line options, which take precedence; None means not given.

    Raises:
        DuoscopeError: INVALID with the variable's name for an unknown variable or a value of the wrong form.
    """
    known = {f.name for f in fields(Settings)}
    values: dict[str, str | float | Path] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if variable in _OF_THE_INSTALL:
            continue
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {ENVIRONMENT_PREFIX}{close[0].upper()}?" if close else ""
            raise _invalid(f"Unknown setting {variable}.{hint}")
        if text:
            values[name] = text
    values.update({name: value for name, value in (overrides or {}).items() if value is not None})
    values["data_dir"] = Path.cwd() / Path(str(values.get("data_dir", "duoscope-data"))).expanduser()
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), values) from error
    IngestLimits.parse(settings.ingest_limits)
    QueryLimits.parse(settings.query_limits)
    OrganizationLimits.parse(settings.organization_limits)
    return settings


def _misfit(error: str, values: Mapping[str, object]) -> DuoscopeError:
    """The error for a value of the wrong form, from its type's description: msgspec names the field in a path such as
    `$.x`.
    """
    found = re.search(r"`\$\.(\w+)`$", error)
    if found is None:
        return _invalid(error)
    name = found.group(1)
    (meta,) = (m for m in _hints()[name].__metadata__ if isinstance(m, Meta))
    return _invalid(f"{ENVIRONMENT_PREFIX}{name.upper()} must be {meta.description}, not {str(values[name])!r}.")


def _hints() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def _invalid(message: str) -> DuoscopeError:
    return DuoscopeError(ErrorKind.INVALID, "invalid-settings", message)

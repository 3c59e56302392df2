"""The page at `/`: a description and links. It stands in for a web interface until there is one."""

from typing import Final

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

import duoscope
from duoscope.api.authentication import PUBLIC
from duoscope.api.dependencies import ApiServices
from duoscope.api.security_headers import page_policy

_STYLE: Final = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#1c2733;"
    "background:#fff}dt{font-weight:600;margin-top:1rem}dd{margin:0}code{font:14px ui-monospace,monospace;"
    "background:#f0f3f6;padding:.1rem .3rem;border-radius:3px}a{color:#1b5e9b}"
    "@media(prefers-color-scheme:dark){body{background:#14191f;color:#dde4ea}code{background:#1e252d}a{color:#7db7ea}}"
)
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>duoscope</title>'
    '<meta name="viewport" content="width=device-width"><style>{style}</style></head><body><h1>duoscope</h1>'
    "<p>This is duoscope {version}, an observability backend. Collectors and SDKs send it traces, logs and metrics "
    "over OTLP; people and programs read them over its HTTP API.</p><dl>"
    '<dt>The API</dt><dd><a href="schema">/schema</a> lists what it can do. Log in with '
    "<code>POST /api/v1/auth/login</code>.</dd>"
    "<dt>Send telemetry</dt><dd>OTLP over gRPC goes to port <code>{grpc}</code>, OTLP over HTTP to port "
    "<code>{http}</code>, both with an API key. <code>duoscope admin collector-config</code> prints a collector's "
    "configuration.</dd>"
    "<dt>Something to look at</dt><dd><code>duoscope demo</code> sends half a minute of telemetry of pretend services, "
    "and prints commands that read it back.</dd>"
    '<dt>How it is</dt><dd><a href="health/ready">/health/ready</a> says whether it can take and answer requests.</dd>'
    "<dt>Documentation</dt><dd>It comes with the sources: <code>README.md</code>, <code>docs/api.md</code>, "
    "<code>docs/search.md</code>, <code>docs/operations.md</code>.</dd></dl></body></html>"
)
POLICY: Final = page_policy(_STYLE)
"""The page's content security policy."""


@get("/", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=False)
def start_page(services: NamedDependency[SkipValidation[ApiServices]]) -> Response[str]:
    """The start page, the same for everyone: it contains nothing that the ports do not reveal."""
    settings = services.settings
    page = _PAGE.format(
        style=_STYLE, version=duoscope.__version__, grpc=settings.otlp_grpc_port, http=settings.otlp_http_port
    )
    return Response(page, media_type=MediaType.HTML)

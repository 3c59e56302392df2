"""The Litestar app: its routes, their authentication, errors, and the OpenAPI document."""

import functools
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

import duoscope
from duoscope.api import openapi_page
from duoscope.api.answers import Answer
from duoscope.api.authentication import Authentication
from duoscope.api.compat import alertmanager, prometheus
from duoscope.api.dependencies import ApiServices
from duoscope.api.json_request import JsonRequest
from duoscope.api.listing import paging
from duoscope.api.log_streams import LogStreams
from duoscope.api.observability import ObservedApp
from duoscope.api.openapi_page import SchemaPage
from duoscope.api.openapi_strict import StrictBodies
from duoscope.api.problems import on_deep_nesting, on_duoscope_error, on_gone, on_http_exception, on_unexpected
from duoscope.api.routes import health
from duoscope.api.routes.alerting import alert_history, alert_rules, alerts, previews, rule_files, slos
from duoscope.api.routes.auth import devices, link_pages, login, mfa, oidc, passwords, places, sessions
from duoscope.api.routes.dashboards import (
    dashboard_data,
    dashboard_documents,
    dashboard_links,
    dashboard_templates,
    dashboard_versions,
    dashboard_widgets,
    dashboards,
    public_dashboards,
)
from duoscope.api.routes.directory import (
    api_keys,
    audit_logs,
    email_domains,
    identity_providers,
    invitations,
    organization_limits,
    organizations,
    permissions,
    regions,
    roles,
    tenants,
    users,
    workspaces,
)
from duoscope.api.routes.ingest import receiving, usage
from duoscope.api.routes.notification import (
    inhibition_rules,
    maintenance_windows,
    notification_channels,
    notification_groups,
    notifications,
    silences,
)
from duoscope.api.routes.telemetry import (
    catalogue,
    fields,
    log_aggregates,
    logs,
    metrics,
    queries,
    services,
    trace_aggregates,
    traces,
)
from duoscope.api.ui import routes as ui
from duoscope.api.ui.files import Files
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError
from duoscope.net.bodies import GoneError
from duoscope.net.proxies import trusted_proxies
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.stores.clickhouse.questions import Caller, GoneClientError

_ROUTED: Final = (
    *(health, login, passwords, sessions, devices, mfa, oidc, places),
    *(log_aggregates, trace_aggregates, logs, traces, metrics, services, catalogue, fields, queries, receiving, usage),
    *(regions, organizations, organization_limits, workspaces, tenants, users, roles, permissions, invitations),
    *(identity_providers, email_domains, audit_logs, api_keys),
    *(alert_history, alert_rules, alerts, previews, rule_files, slos),
    *(dashboards, dashboard_versions, dashboard_documents, dashboard_data, dashboard_links, public_dashboards),
    *(dashboard_templates, dashboard_widgets),
    *(notification_groups, notification_channels, notifications, silences, maintenance_windows, inhibition_rules),
)
"""Modules of routes, each with its `ROUTES`."""
_DESCRIPTION = (
    "Metrics, logs and traces of one tenant: the access token says which. Log in at /api/v1/auth/login and send the "
    "access token as `Authorization: Bearer <token>`. Programs read telemetry with an API key in its place, or as "
    "`x-api-key`. Errors are RFC 9457 problem details with a stable `code`."
)


def create_app(services_: ApiServices) -> Litestar:
    """Create the API over `services_`; it opens and closes nothing."""

    def reader(request: Request[Principal, Any, Any]) -> TelemetryReader:
        user = request.user
        caller = Caller(user.user_id, user.actor.kind, user.actor.email, user.own_limits)
        return services_.telemetry.bind(user.scope, caller)

    tails = LogStreams(services_.stopping)
    files = Files(services_.public_url)
    app = ObservedApp(
        route_handlers=[
            *link_pages.routes(files),
            *ui.routes(files),
            *prometheus.ROUTES,
            *alertmanager.ROUTES,
            *(handler for module in _ROUTED for handler in module.ROUTES.handlers),
        ],
        dependencies={
            "services": Provide(lambda: services_, sync_to_thread=False),
            "reader": Provide(reader, sync_to_thread=False),
            # A new object for each app: Litestar would register one that it has seen on a handler before under a second
            # name.
            "paging": Provide(functools.partial(paging), sync_to_thread=False),
            "tails": Provide(lambda: tails, sync_to_thread=False),
        },
        middleware=[
            DefineMiddleware(
                Authentication, tokens=services_.tokens, access=services_.access, api_keys=services_.api_keys
            )
        ],
        exception_handlers={
            DuoscopeError: on_duoscope_error,
            GoneError: on_gone,
            GoneClientError: on_gone,
            HTTPException: on_http_exception,
            NotFoundException: functools.partial(ui.on_not_found, files),
            RecursionError: on_deep_nesting,
            Exception: on_unexpected,
        },
        request_class=JsonRequest,
        response_class=Answer,
        plugins=[StrictBodies()],
        request_max_body_size=limits.API_REQUEST_BYTES_MAX,
        openapi_config=OpenAPIConfig(
            title="duoscope",
            version=duoscope.__version__,
            description=_DESCRIPTION,
            path="/schema",
            render_plugins=[SchemaPage(), JsonRenderPlugin()],
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
            security=[{"bearer": []}],
            use_handler_docstrings=True,
        ),
        debug=False,
        logging_config=None,
    )
    app.state.read_memory = services_.telemetry.read_memory
    app.page_policies = {"/schema": openapi_page.POLICY, "/schema/": openapi_page.POLICY}
    app.is_https = urlsplit(services_.public_url).scheme == "https"
    app.trusted_proxies = trusted_proxies(services_.settings.trusted_proxies)
    return app


__all__ = ["ApiServices", "create_app"]

"""Alert rules in the formats of others: imports with a report, an export for Prometheus, and what they record."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from duoscope.alerting import exporting, importing
from duoscope.alerting.importing import Import, Report
from duoscope.alerting.rule_files.documents import CHARS_MAX
from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.metadata import alert_rules, named_expressions
from duoscope.metadata.named_expressions import NamedExpression

ROUTES: Final = Routes("alert-rules")


class RuleFile(Struct, forbid_unknown_fields=True):
    """A file of rules to be imported."""

    content: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=CHARS_MAX,
            description="YAML or JSON: a rule file of Prometheus, PrometheusRule resources, or Grafana's provisioning "
            "export of alert rules.",
            examples=["groups:\n- name: shop\n  rules:\n  - {alert: Down, expr: up == 0, for: 5m}\n"],
        ),
    ]
    source: Annotated[
        str,
        Meta(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="A name for the file: rules are known by it when it comes again. By default that of the "
            "resource, or `rules`.",
            examples=["shop.yaml"],
        ),
    ] = ""
    is_trial: Annotated[bool, Meta(description="Only report, and store nothing.")] = False


class NamedExpressionPage(Struct, frozen=True):
    """One page of named expressions, and the cursor of the next page."""

    items: list[NamedExpression]
    next_cursor: str | None


@ROUTES.post(
    "/api/v1/alert-rules/import", "Import alert rules", "alert-rule:write", problems=WRITES, status_code=200
)  # fmt: skip
async def import_alert_rules(
    request: Request[Principal, Any, Any], data: JSONBody[RuleFile], services: Services
) -> Report:
    """Import the rules of a file, with a line of the report for each. The same file again changes nothing; another
    version of it changes the rules that it made before, and leaves those alone that it no longer has. Recording rules
    become named expressions.
    """
    importing_ = Import(services.metadata, services.named, request.user, is_trial=data.is_trial)
    return await importing_.run(data.content, data.source)


@ROUTES.get(
    "/api/v1/alert-rules/export", "Export alert rules", "alert-rule:read", problems=LISTS,
    responses={200: ResponseSpec(str, media_type=MediaType.TEXT, description="YAML.", generate_examples=False)},
)  # fmt: skip
async def export_alert_rules(request: Request[Principal, Any, Any], services: Services) -> Response[str]:
    """All rules and named expressions as a rule file of Prometheus, in YAML. Rules that Prometheus could not evaluate
    stand in comments at its top, with the reason.
    """
    async with services.metadata.open(request.user.scope, "alert_rules.export") as tx:
        rules = await alert_rules.living(tx)
        expressions = await named_expressions.every(tx)
    return Response(exporting.rule_file(rules, expressions), media_type=MediaType.TEXT)


@ROUTES.get("/api/v1/named-expressions", "List named expressions", "alert-rule:read", problems=LISTS)
async def list_named_expressions(
    request: Request[Principal, Any, Any], services: Services, paging: PagingDependency, *, name: NameFilter = None
) -> NamedExpressionPage:
    """The recordings of imported files: PromQL may use these names like those of metrics. Sorts: name, created_at."""
    async with services.metadata.open(request.user.scope, "named_expressions.list") as tx:
        found = await listing.page(tx, named_expressions.LISTING, paging, {"name": name}, answer=NamedExpression)
        return NamedExpressionPage(*found)


@ROUTES.delete(
    "/api/v1/named-expressions/{named_expression_id:uuid}", "Delete a named expression", "alert-rule:delete",
    problems=READS,
)  # fmt: skip
async def delete_named_expression(
    request: Request[Principal, Any, Any], named_expression_id: FromPath[UUID], services: Services
) -> None:
    """Delete a named expression. An import of its file brings it back."""
    await importing.delete_expression(services.metadata, services.named, request.user, named_expression_id)

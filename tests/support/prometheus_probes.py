"""What the isolation suite asks of Prometheus' API for a tenant, by route."""

import dataclasses
from urllib.parse import quote

OPEN_TO_USERS = "says nothing of any tenant, to whoever may read it"
_PROM = "/api/v1/prom/api/v1"


@dataclasses.dataclass(frozen=True)
class Form:
    """A probe that is sent as a form."""

    text: str


def prometheus_probes(start_ns):
    """The probes around a time, and why the other routes need none."""
    at_s = start_ns // 10**9 + 60
    in_range = f"start={start_ns // 10**9}&end={start_ns // 10**9 + 600}"
    return {
        ("GET", f"{_PROM}/query"): [
            f"{_PROM}/query?time={at_s}&query={quote(expression)}"
            for expression in (
                "depth", "sum by (job) (hits_total)", "took_bucket", '{job=~".+"}', "target_info",
                "last_over_time(depth[1m:])",
                '{"hits"}', "increase(took_count[5m])", "count(took_sum) * 3 or absent(nothing)",
            )
        ],
        ("POST", f"{_PROM}/query"): [Form(f"query=depth&time={at_s}")],
        ("GET", f"{_PROM}/query_range"): [f"{_PROM}/query_range?query=depth*2&step=15&{in_range}"],
        ("POST", f"{_PROM}/query_range"): [Form(f"query=max(took_sum)&step=1m&{in_range}")],
        ("GET", f"{_PROM}/query_exemplars"): [f"{_PROM}/query_exemplars?query=took_bucket&{in_range}"],
        ("POST", f"{_PROM}/query_exemplars"): [Form(f"query=took_bucket&{in_range}")],
        ("GET", f"{_PROM}/series"): [f"{_PROM}/series?match[]=depth&match[]={{job=%22checkout%22}}&{in_range}"],
        ("POST", f"{_PROM}/series"): [Form(f"match[]=depth&{in_range}")],
        ("GET", f"{_PROM}/labels"): [f"{_PROM}/labels?{in_range}"],
        ("POST", f"{_PROM}/labels"): [Form(f"match[]=took_bucket&{in_range}")],
        ("GET", f"{_PROM}/label/{{name}}/values"): [
            f"{_PROM}/label/job/values?{in_range}",
            f"{_PROM}/label/__name__/values",
        ],
        ("GET", f"{_PROM}/metadata"): [f"{_PROM}/metadata"],
        **{
            (method, f"{_PROM}/{name}"): OPEN_TO_USERS
            for name in ("parse_query", "format_query")
            for method in ("GET", "POST")
        },
        **{("GET", f"{_PROM}/{name}"): OPEN_TO_USERS for name in ("status/buildinfo", "rules", "alerts")},
    }  # fmt: skip

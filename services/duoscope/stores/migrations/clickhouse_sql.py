"""ClickHouse DDL as text: splits a file into statements, and prints statements for a cluster.

The same file serves a single node and a cluster: every MergeTree becomes a ReplicatedMergeTree, and every statement
that changes the schema is sent to all nodes. Strings and comments are never changed.
"""

import re

from duoscope.kernel.errors import DuoscopeError, ErrorKind

_TOKEN = re.compile(
    r"""(?P<opaque>'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`
        | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<end>;) | (?P<other>[^'"`\-/$;]+ | .)""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT = re.compile(r"--|/\*")
_MASK = re.compile(r"\x00(\d+)\x00")
# Not changed, but it may be a name: `table` or "table".
_NAME = r"(?:[\w.]|\x00\d+\x00)+"
_ENGINE = re.compile(r"\bENGINE\s*=\s*(?!Replicated|Shared)(\w*MergeTree)\b(?:\s*(\(\s*\)?))?", re.IGNORECASE)
_REPLICA_ARGUMENTS = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"

_OBJECT = (
    r"(?:(?:MATERIALIZED\s+|TEMPORARY\s+)?(?:TABLE|VIEW)"
    r"|DICTIONARY|FUNCTION|ROLE|USER|QUOTA|SETTINGS\s+PROFILE|DATABASE)"
)
_POLICY = r"(?:ROW\s+)?POLICY"
_AFTER_NAME = re.compile(
    rf"""(?P<head>(?:CREATE\s+(?:OR\s+REPLACE\s+)?|ALTER\s+|DROP\s+|TRUNCATE\s+){_OBJECT}\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?
        | (?:CREATE|ALTER)\s+{_POLICY}\s+(?:OR\s+REPLACE\s+)?(?:IF\s+(?:NOT\s+)?EXISTS\s+)?)
        (?P<name>{_NAME}(?:\s*,\s*{_NAME})*)""",
    re.IGNORECASE | re.VERBOSE,
)
_AT_END = re.compile(rf"DROP\s+{_POLICY}\b|RENAME\b|EXCHANGE\b", re.IGNORECASE)
_AFTER_VERB = re.compile(r"(?:GRANT|REVOKE)\b", re.IGNORECASE)
_LOCAL = re.compile(r"(?:INSERT|SELECT|WITH)\b", re.IGNORECASE)


def split(sql: str) -> tuple[str, ...]:
    """Split a file into its statements, without their semicolons. Parts with nothing but comments are left out."""
    statements: list[str] = []
    current: list[str] = []
    has_code = False
    for token in _TOKEN.finditer(sql + ";"):
        text = token[0]
        if token["end"]:
            if has_code:
                statements.append("".join(current).strip())
            current, has_code = [], False
            continue
        has_code = has_code or (bool(text.strip()) and not (token["opaque"] and _COMMENT.match(text)))
        current.append(text)
    return tuple(statements)


def render(statement: str, cluster: str) -> str:
    """Print the statement for the cluster of that name; unchanged for an empty name.

    Raises:
        DuoscopeError: INTERNAL for a statement that would change one node only.
    """
    if not cluster:
        return statement
    opaque: list[str] = []

    def mask(token: re.Match[str]) -> str:
        if not token["opaque"]:
            return token[0]
        opaque.append(token[0])
        return f"\x00{len(opaque) - 1}\x00"

    masked = _TOKEN.sub(mask, statement)
    lead = _leading_comments(masked, opaque)
    body = _send_to_all(masked[lead:], f"ON CLUSTER '{_quoted(cluster)}'")
    body = _ENGINE.sub(_replicated, body)
    return _MASK.sub(lambda token: opaque[int(token[1])], masked[:lead] + body)


def _leading_comments(masked: str, opaque: list[str]) -> int:
    position = 0
    while token := re.compile(r"\s*\x00(\d+)\x00\s*").match(masked, position):
        if not _COMMENT.match(opaque[int(token[1])]):
            break
        position = token.end()
    return position


def _send_to_all(body: str, on_cluster: str) -> str:
    if named := _AFTER_NAME.match(body):
        return f"{body[: named.end()]} {on_cluster}{body[named.end() :]}"
    if verb := _AFTER_VERB.match(body):
        return f"{verb[0]} {on_cluster}{body[verb.end() :]}"
    if _AT_END.match(body):
        return f"{body} {on_cluster}"
    if _LOCAL.match(body):
        return body
    raise DuoscopeError(
        ErrorKind.INTERNAL,
        "migration-not-for-clusters",
        f"This migration statement has no form for a cluster: {body[:80]!r}",
    )


def _replicated(engine: re.Match[str]) -> str:
    opened = engine[2] or ""
    if not opened or opened.endswith(")"):
        return f"ENGINE = Replicated{engine[1]}({_REPLICA_ARGUMENTS})"
    return f"ENGINE = Replicated{engine[1]}({_REPLICA_ARGUMENTS}, "


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")

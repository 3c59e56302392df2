"""What Schemathesis loads (SCHEMATHESIS_HOOKS): a tenant's admin, and the search for a neighbour's bytes.

The account, and what of the neighbour must not be seen, come from the environment; test_schemathesis.py sets them.
"""

import json
import os
import random
from pathlib import Path

import requests
import schemathesis

_ACCOUNT = json.loads(os.environ["FUZZED_ACCOUNT"])
_MARKERS = [line.encode() for line in Path(os.environ["FUZZED_MARKERS"]).read_text().splitlines()]
_NO_HTTP = b"Invalid HTTP request received."
_SCHEMA_VALID_REJECTED = "Schema-valid request rejected"
_SCHEMA_VIOLATING_ACCEPTED = "Schema-violating request accepted"
_FORM = "application/x-www-form-urlencoded"


@schemathesis.auth(refresh_interval=60, retry_on=[401])
class TenantAdmin:
    """Logs in again and again: what is sent also ends sessions."""

    def get(self, _case, _ctx):
        # Of an address of its own, which nobody who guesses passwords shares: those are slowed.
        address = f"198.18.{random.randrange(256)}.{random.randrange(1, 255)}"
        answer = requests.post(
            f"{_ACCOUNT['url']}/api/v1/auth/login",
            json={"email": _ACCOUNT["email"], "password": _ACCOUNT["password"]},
            headers={"x-forwarded-for": address},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()["access_token"]

    def set(self, case, data, _ctx):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def filter_case(ctx, case):
    """Leaves out what takes the account itself out of service, which ends the test and proves nothing."""
    return case.method == "GET" or _ACCOUNT["user_id"] not in map(str, (case.path_parameters or {}).values())


@schemathesis.hook
def filter_failure(ctx, failure, case, response):
    """A body of the right form may still mean what cannot be, such as an end before its start, or a made-up cursor.

    Our 400 names fields in `errors` if the form is wrong, and then the document should have said so. What is no HTTP
    at all, uvicorn refuses in its own words. In a form, a text and a list of one text are the same bytes.
    """
    if response.status_code == 400 and response.content == _NO_HTTP:
        return False
    if failure.title == _SCHEMA_VIOLATING_ACCEPTED and case.media_type == _FORM and "Incorrect type" in failure.message:
        return False
    if failure.title != _SCHEMA_VALID_REJECTED or response.status_code != 400:
        return True
    return "errors" in response.json()


@schemathesis.check
def no_foreign_byte(ctx, response, case):
    """Nothing of the neighbour is in any byte of an answer."""
    content = response.content + repr(response.headers).encode()
    for marker in _MARKERS:
        assert marker not in content, f"{marker.decode()} is the neighbour's"

"""docs/identity.md prints the permission matrix of the code, and the code's built-in roles are the database's."""

import os
import re
from pathlib import Path

import pytest

from duoscope.api import permission_matrix
from duoscope.identity.authorization.permissions import BUILT_IN_ROLES, PLATFORM_PERMISSIONS, ROLE_PERMISSIONS
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import permissions

PAGE = Path(__file__).parents[2] / "docs" / "identity.md"


def _between(mark: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {mark} -->\n\n).*?(?=\n\n<!-- end of {mark} -->)", re.DOTALL)


@pytest.mark.parametrize("mark", ["roles", "routes"])
def test_the_page_prints_what_the_code_says(api, mark):
    printed = permission_matrix.roles_table() if mark == "roles" else permission_matrix.routes_table(api.app)
    text = PAGE.read_text("utf-8")
    if os.environ.get("DUOSCOPE_TESTS_REGENERATE"):
        text = _between(mark).sub(lambda _: printed, text)
        PAGE.write_text(text, "utf-8")
    assert _between(mark).search(text)[0] == printed


async def test_the_built_in_roles_are_those_of_the_database(metadata_store):
    async with metadata_store.open_platform(PlatformScope(reason="test"), "test.roles") as tx:
        held = await tx.fetch(
            "SELECT role_type, name FROM built_in_role_permissions JOIN permissions USING (permission_id)"
        )
        known = await permissions.list_all(tx)
    assert {p.name for p in known} == ROLE_PERMISSIONS | PLATFORM_PERMISSIONS
    assert {p.name for p in known if p.is_platform} == PLATFORM_PERMISSIONS
    for role, names in BUILT_IN_ROLES.items():
        assert {row["name"] for row in held if row["role_type"] == role} == names, role

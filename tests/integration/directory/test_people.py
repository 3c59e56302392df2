"""Users, roles and invitations over the API: nobody gets above what they hold, and the last admin stays."""

import base64
import hashlib
import re

import asyncpg
import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.kernel.ids import new_id

PASSWORD = "a password that is long enough"
HELPER = ("user:read", "user:write", "user:delete", "user:admin", "role:read", "role:write", "role:delete")


@pytest.fixture
async def owner(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def scope(new_scope):
    return new_scope()


@pytest.fixture
def call(api):
    async def go(headers, method, path, body=None, *, status=None, code=None):
        response = await api.client.request(method, f"/api/v1{path}", json=body, headers=headers)
        wanted = status or {"POST": 201, "DELETE": 204}.get(method, 200)
        assert response.status_code == wanted, (method, path, response.text)
        answer = response.json() if response.content else None
        if code:
            assert answer["code"] == code
        return answer

    return go


async def _me(call, headers) -> str:
    return (await call(headers, "GET", "/auth/me"))["user_id"]


async def _role(call, headers, name) -> str:
    return (await call(headers, "GET", f"/roles?name={name}"))["items"][0]["role_id"]


async def test_a_helper_gives_no_more_than_they_hold(api, call, scope):
    admin = await api.headers(scope, *ROLE_PERMISSIONS)
    helper = await api.headers(scope, *HELPER, "log:read")
    admin_role = await _role(call, admin, "admin")
    me, them = await _me(call, helper), await _me(call, admin)
    beyond = {"status": 403, "code": "beyond-own-permissions"}
    await call(helper, "POST", f"/users/{me}/roles", {"role_id": admin_role}, **beyond)
    await call(helper, "POST", "/invitations", {"email": "me2@example.com", "role_ids": [admin_role]}, **beyond)
    for wrong in ("a,b@x", "<x>@y"):
        await call(admin, "POST", "/invitations", {"email": wrong, "role_ids": [admin_role]}, status=400)
    await call(helper, "POST", "/roles", {"name": "x", "permissions": ["log:read", "api-key:write"]}, **beyond)
    role = await call(helper, "POST", "/roles", {"name": "x", "permissions": ["log:read"]})
    await call(helper, "PATCH", f"/roles/{role['role_id']}", {"permissions": ["trace:read"]}, **beyond)
    # Nor may they touch a role, or a person, that is above them.
    above = await call(admin, "POST", "/roles", {"name": "above", "permissions": ["audit-log:read"]})
    await call(helper, "PATCH", f"/roles/{above['role_id']}", {"permissions": []}, **beyond)
    await call(helper, "DELETE", f"/roles/{above['role_id']}", **beyond)
    await call(helper, "PATCH", f"/users/{them}", {"is_active": False}, **beyond)
    await call(helper, "DELETE", f"/users/{them}", **beyond)
    await call(helper, "PATCH", f"/users/{me}", {"is_platform_admin": True}, status=403, code="permission-denied")
    await call(admin, "PATCH", f"/users/{me}", {"is_platform_admin": True}, status=403, code="permission-denied")
    await call(admin, "POST", "/roles", {"name": "y", "permissions": ["region:write"]}, status=400)
    # A tenant's admin gives nothing organization-wide.
    wide = {"role_id": role["role_id"], "organization_wide": True}
    await call(admin, "POST", f"/users/{me}/roles", wide, status=403, code="permission-denied")
    for method, path, body in (
        ("POST", "/organizations", {"name": "Mine", "region_id": str(new_id())}),
        ("POST", "/regions", {"name": "Mine"}),
        ("POST", "/workspaces", {"name": "Mine"}),
        ("POST", "/tenants", {"name": "Mine", "workspace_id": str(scope.workspace_id)}),
        ("DELETE", f"/tenants/{scope.tenant_id}", None),
        ("PATCH", f"/tenants/{scope.tenant_id}", {"is_active": False}),
        ("PATCH", f"/organizations/{scope.organization_id}", {"name": "Mine"}),
    ):
        await call(admin, method, path, body, status=403, code="permission-denied")
    changed = await call(admin, "PATCH", f"/tenants/{scope.tenant_id}", {"name": "Ours", "retention_days": 90})
    assert (changed["name"], changed["retention_days"]) == ("Ours", 90)


async def test_a_role_elsewhere_counts_when_somebody_acts_on_a_user(api, call, scope):
    """Otherwise the admin of a small tenant could take over an account that is more elsewhere."""
    admin = await api.headers(scope, *ROLE_PERMISSIONS)
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    user = await _me(call, await api.headers(scope, "log:read"))
    workspace = await call(boss, "POST", "/workspaces", {"name": "Other"})
    tenant = await call(boss, "POST", "/tenants", {"name": "Other", "workspace_id": workspace["workspace_id"]})
    body = {"role_id": await _role(call, boss, "viewer"), "tenant_id": tenant["tenant_id"]}
    await call(admin, "PATCH", f"/users/{user}", {"first_name": "Ann"})
    await call(boss, "POST", f"/users/{user}/roles", body)
    await call(admin, "PATCH", f"/users/{user}", {"first_name": "Eve"}, status=403, code="beyond-own-permissions")
    await call(boss, "PATCH", f"/users/{user}", {"first_name": "Bob"})


async def test_the_last_admins_stay(api, call, scope, owner):
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    user = await _me(call, boss)
    body = {"role_id": await _role(call, boss, "admin"), "organization_wide": True}
    held = await call(boss, "POST", f"/users/{user}/roles", body)
    path = f"/users/{user}/roles/{held['user_role_id']}"
    last = {"status": 409, "code": "last-admin"}
    await call(boss, "DELETE", path, **last)
    await call(boss, "PATCH", path, {"expires_at": "2099-01-01T00:00:00Z"}, **last)
    await call(boss, "DELETE", f"/users/{user}", **last)
    await call(boss, "PATCH", f"/users/{user}", {"is_active": False}, **last)
    second = await _me(call, await api.headers(scope, "log:read"))
    temporary = await call(boss, "POST", f"/users/{second}/roles", body | {"expires_at": "2099-01-01T00:00:00Z"})
    await call(boss, "DELETE", path, **last)
    await call(boss, "PATCH", f"/users/{second}/roles/{temporary['user_role_id']}", {"expires_at": None})
    await call(boss, "DELETE", path)
    # The same for a tenant: an admin of its own, or one of the organization.
    await call(boss, "DELETE", f"/users/{second}", **last)

    root = await api.headers(scope, *ROLE_PERMISSIONS, platform_admin=True)
    me = await _me(call, root)
    last = {"status": 409, "code": "last-platform-admin"}
    await call(root, "PATCH", f"/users/{me}", {"is_platform_admin": False}, **last)
    await call(root, "DELETE", f"/users/{me}", **last)
    await call(root, "DELETE", f"/organizations/{scope.organization_id}", **last)
    await call(root, "PATCH", f"/organizations/{scope.organization_id}", {"is_active": False}, **last)
    await call(root, "PATCH", f"/users/{second}", {"is_platform_admin": True})
    await call(root, "PATCH", f"/users/{me}", {"is_platform_admin": False})
    await call(root, "PATCH", f"/users/{second}", {"is_platform_admin": False}, status=403)


async def test_whoever_is_shut_out_is_so_at_once_and_starts_anew(api, call, scope):
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    for body in ({"is_active": False}, None):
        headers = await api.headers(scope, "log:read")
        user = await _me(call, headers)
        await call(boss, "PATCH" if body else "DELETE", f"/users/{user}", body)
        await call(headers, "GET", "/auth/me", status=401)
        if body:
            await call(boss, "PATCH", f"/users/{user}", {"is_active": True})
        else:
            await call(boss, "POST", f"/users/{user}/restore", status=200)
        # The account works again; the sessions from before do not.
        await call(headers, "GET", "/auth/me", status=401)


@pytest.mark.parametrize("who", ["tenant admin", "organization admin", "platform admin"])
@pytest.mark.parametrize("body", [{"is_active": False}, None], ids=["deactivated", "deleted"])
async def test_whoever_is_shut_out_has_no_address_to_come_afterwards(api, call, scope, owner, *, who, body):
    reach = {"organization_wide": who == "organization admin", "platform_admin": who == "platform admin"}
    boss = await api.headers(scope, *ROLE_PERMISSIONS, **reach)
    user = await _me(call, await api.headers(scope, "log:read"))
    neighbour = await _me(call, await api.headers(scope, "log:read"))
    links = {user: "tfv-" + "u" * 43, neighbour: "tfv-" + "n" * 43}
    for of, link in links.items():
        await owner.execute(
            "INSERT INTO email_verifications (organization_id, verification_id, user_id, token, email, expires_at, "
            "asked_in_session_id) SELECT organization_id, $2, user_id, $3, $4, now() + interval '1 day', session_id "
            "FROM user_sessions WHERE user_id = $1",
            *(of, new_id(), hashlib.sha256(link.encode()).hexdigest(), f"{link[-1]}@new.example"),
        )
    await call(boss, "PATCH" if body else "DELETE", f"/users/{user}", body)
    if body:
        await call(boss, "PATCH", f"/users/{user}", {"is_active": True})
    else:
        await call(boss, "POST", f"/users/{user}/restore", status=200)
    confirm = ({}, "POST", "/auth/email-verification/confirm")
    await call(*confirm, {"token": links[user]}, status=400, code="verification-token-invalid")
    await call(*confirm, {"token": links[neighbour]}, status=204)


async def test_an_end_must_be_to_come(api, call, scope):
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    user, role_id = await _me(call, boss), await _role(call, boss, "viewer")
    for end in (
        "2020-01-01T00:00:00Z",
        "2099-01-01T00:00:00",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+14:00",
    ):
        await call(boss, "POST", f"/users/{user}/roles", {"role_id": role_id, "expires_at": end}, status=400)


async def test_the_last_tenant_stays(api, call, scope):
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    last = {"status": 409, "code": "last-tenant"}
    await call(boss, "DELETE", f"/tenants/{scope.tenant_id}", **last)
    await call(boss, "DELETE", f"/workspaces/{scope.workspace_id}", **last)
    await call(boss, "PATCH", f"/workspaces/{scope.workspace_id}", {"is_active": False}, **last)
    made = await call(boss, "POST", "/tenants", {"name": "Second", "workspace_id": str(scope.workspace_id)})
    await call(boss, "POST", "/tenants", {"name": "second", "workspace_id": str(scope.workspace_id)}, status=409)
    path = f"/tenants/{made['tenant_id']}"
    await call(boss, "DELETE", path)
    assert [t["tenant_id"] for t in (await call(boss, "GET", "/tenants?deleted=true"))["items"]] == [made["tenant_id"]]
    await call(boss, "PATCH", path, {"name": "x"}, status=404)
    assert (await call(boss, "POST", f"{path}/restore", status=200))["deleted_at"] is None
    await call(boss, "POST", f"{path}/restore", status=404)


async def test_lists_page_sort_and_filter(api, call, scope):
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    for name in ("delta", "alpha", "charlie", "bravo"):
        await call(boss, "POST", "/workspaces", {"name": name, "code": f"c-{name}"})
    for sort in ("name", "-name", "created_at", "-created_at", "code"):
        everything = (await call(boss, "GET", f"/workspaces?sort={sort}"))["items"]
        keys = [item[sort.lstrip("-")] for item in everything]
        assert keys == sorted(keys, reverse=sort.startswith("-"))
        paged, cursor = [], ""
        while cursor is not None:
            page = await call(boss, "GET", f"/workspaces?limit=2&sort={sort}{cursor and '&cursor=' + cursor}")
            paged += page["items"]
            cursor = page["next_cursor"]
        assert paged == everything
    page = await call(boss, "GET", "/workspaces?limit=1&sort=name")
    for query in (f"limit=1&sort=code&cursor={page['next_cursor']}", "cursor=bm9wZQ", "cursor=%00", "sort=is_active"):
        await call(boss, "GET", f"/workspaces?{query}", status=400)
    assert [w["code"] for w in (await call(boss, "GET", "/workspaces?name=LPH"))["items"]] == ["c-alpha"]
    await call(boss, "GET", "/workspaces?name=%00", status=400)
    await call(boss, "POST", "/workspaces", {"name": "nul\x00"}, status=400)
    await call(boss, "PATCH", f"/workspaces/{scope.workspace_id}", {}, status=400)
    await call(boss, "PATCH", f"/workspaces/{scope.workspace_id}", {"nmae": "typo"}, status=400)


async def _token(owner, api) -> str:
    """The token in the outbox's message."""
    row = await owner.fetchrow("SELECT * FROM mail_outbox ORDER BY mail_id DESC LIMIT 1")
    mailer = api.services.invitations._mailer
    sealed = row["sealed_text"]
    text = mailer._sealer.open(sealed, row["mail_id"].bytes).decode()
    return re.search(r"#(tfi-\S+)", text)[1]


async def test_an_invitation_works_once_and_not_when_revoked_or_sent_again(api, call, scope, owner):
    admin = await api.headers(scope, *ROLE_PERMISSIONS)
    body = {"email": "new@example.com", "role_ids": [await _role(call, admin, "viewer")]}
    made = await call(admin, "POST", "/invitations", body)
    assert made["status"] == "open"
    first = await _token(owner, api)
    await call(admin, "POST", "/invitations", body, status=409, code="invitation-exists")
    await call(admin, "POST", f"/invitations/{made['invitation_id']}/resend", status=200)
    second = await _token(owner, api)
    accept = {"first_name": "Ada", "last_name": "L.", "password": PASSWORD}
    invalid = {"status": 400, "code": "invitation-invalid"}
    await call({}, "POST", "/invitations/accept", accept | {"token": first}, **invalid)
    await call({}, "POST", "/invitations/accept", accept | {"token": "tfi-" + "x" * 43}, **invalid)
    await call({}, "POST", "/invitations/accept", accept | {"token": second, "password": "short"}, status=400)
    joined = await call({}, "POST", "/invitations/accept", accept | {"token": second}, status=200)
    await call({}, "POST", "/invitations/accept", accept | {"token": second}, **invalid)
    user = await call(admin, "GET", f"/users/{joined['user_id']}")
    assert (user["first_name"], user["email_verified"], user["tenant_id"]) == ("Ada", True, str(scope.tenant_id))
    login = {"email": "NEW@example.com", "password": PASSWORD}
    await call({}, "POST", "/auth/login", login, status=200)
    closed = {"status": 409, "code": "invitation-closed"}
    await call(admin, "DELETE", f"/invitations/{made['invitation_id']}", **closed)
    await call(admin, "POST", "/invitations", body, status=409, code="user-exists")

    made = await call(admin, "POST", "/invitations", body | {"email": "other@example.com"})
    await call(admin, "DELETE", f"/invitations/{made['invitation_id']}")
    await call({}, "POST", "/invitations/accept", accept | {"token": await _token(owner, api)}, **invalid)
    listed = (await call(admin, "GET", "/invitations?status=revoked"))["items"]
    assert [item["email"] for item in listed] == ["other@example.com"]
    actions = {row["action"] for row in await owner.fetch("SELECT action FROM audit_logs")}
    assert {"invitation.created", "invitation.resent", "invitation.accepted", "invitation.revoked", "user.created"} <= (
        actions
    )
    stored = await owner.fetch("SELECT content FROM audit_logs UNION ALL SELECT invitations::text FROM invitations")
    assert not any("tfi-" in row["content"] for row in stored)


async def test_an_invitation_does_not_outlive_its_senders_power(api, call, scope, owner):
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    admin = await api.headers(scope, *ROLE_PERMISSIONS)
    body = {"email": "reserve@example.com", "role_ids": [await _role(call, admin, "admin")]}
    await call(admin, "POST", "/invitations", body)
    await call(boss, "DELETE", f"/users/{await _me(call, admin)}")
    accept = {"token": await _token(owner, api), "first_name": "", "last_name": "", "password": PASSWORD}
    await call({}, "POST", "/invitations/accept", accept, status=400, code="invitation-invalid")


async def test_changes_tell_the_audit_log_what_was_and_is(api, call, scope, owner):
    admin = await api.headers(scope, *ROLE_PERMISSIONS)
    request_id = str(new_id())
    user = await _me(call, await api.headers(scope, "log:read"))
    headers = admin | {"x-request-id": request_id, "user-agent": "tests"}
    await call(headers, "PATCH", f"/users/{user}", {"last_name": "Lovelace", "timezone": "UTC"})
    row = await owner.fetchrow("SELECT * FROM audit_logs WHERE action = 'user.changed'")
    assert (str(row["request_id"]), row["user_agent"], row["resource_id"]) == (request_id, "tests", user)
    assert '"after":{"last_name":"Lovelace"},' in row["content"]
    assert '"before":{"last_name":""},' in row["content"]


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/localtime", "localtime", "Europe/Nowhere", ""])
async def test_a_time_zone_is_one_of_ianas(api, call, scope, zone):
    admin = await api.headers(scope, *ROLE_PERMISSIONS)
    for path in ("/users/me", f"/users/{await _me(call, admin)}"):
        refused = await call(admin, "PATCH", path, {"timezone": zone}, status=400)
        assert "`timezone`" in refused["detail"]
        kept = await call(admin, "PATCH", path, {"timezone": "Asia/Kathmandu"})
        assert kept["timezone"] == "Asia/Kathmandu"


async def test_the_page_of_an_invitation_runs_its_own_script_and_no_other(api):
    response = await api.client.get("/invitation")
    assert response.status_code == 200
    script = re.search(r"<script>(.*)</script>", response.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "Log in as {email}, where your team does or with POST {login}." in response.text

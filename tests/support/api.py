"""The API app over real stores, called without a network, and users with exactly the permissions that a test names."""

import asyncio
import re
from collections.abc import AsyncGenerator
from uuid import UUID

import httpx
import pytest_asyncio

from duoscope.api.app import ApiServices, create_app
from duoscope.api.dependencies import assemble
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import SessionRef
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata import user_sessions
from duoscope.metadata.permissions import Grant
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.clickhouse import TelemetryStore
from duoscope.stores.postgres import MetadataStore


class Api:
    """The API app over real stores, called without a network."""

    def __init__(self, services: ApiServices) -> None:
        self.services = services
        self.app = create_app(services)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    async def headers(
        self, scope: Scope, *permissions: str, organization_wide: bool = False, platform_admin: bool = False
    ) -> dict[str, str]:
        """Authorization of a new user with exactly these permissions; by default, with all reads of telemetry.

        Creates the tenant and its ancestors if they do not exist yet.
        """
        granted = frozenset(permissions or ("log:read", "trace:read", "metric:read"))
        user_id = await make_member(
            self.services.metadata,
            scope,
            granted,
            organization_wide=organization_wide,
            platform_admin=platform_admin,
        )
        grant = Grant(scope.organization_id, scope.workspace_id, scope.tenant_id, granted)
        session_id = await make_session(self.services.metadata, scope, user_id)
        token = self.services.tokens.issue(grant, user_id=user_id, session_id=session_id)
        return {"authorization": f"Bearer {token}"}


async def make_member(
    store: MetadataStore,
    scope: Scope,
    permissions: frozenset[str],
    *,
    organization_wide: bool = False,
    platform_admin: bool = False,
) -> UUID:
    """Create a user whose home is the tenant, with a role of these permissions there. Returns the user's id."""
    o, w, t, user_id, role_id = scope.organization_id, scope.workspace_id, scope.tenant_id, new_id(), new_id()
    place = (None, None) if organization_wide else (w, t)
    async with store.open_platform(PlatformScope(reason="a test"), "test.member") as tx:
        await tx.execute(
            "INSERT INTO regions (region_id, name, code) VALUES ($1, 'Test', 'test') ON CONFLICT DO NOTHING", new_id()
        )
        await tx.execute(
            "INSERT INTO organizations (organization_id, region_id, name, code) "
            "SELECT $1, region_id, 'Test', $2 FROM regions WHERE code = 'test' ON CONFLICT DO NOTHING",
            *(o, str(o)),
        )
        await tx.execute(
            "INSERT INTO workspaces (organization_id, workspace_id, name, code) "
            "VALUES ($1, $2, 'Test', $3) ON CONFLICT DO NOTHING",
            *(o, w, str(w)),
        )
        await tx.execute(
            "INSERT INTO tenants (organization_id, workspace_id, tenant_id, name, code) "
            "VALUES ($1, $2, $3, 'Test', $4) ON CONFLICT DO NOTHING",
            *(o, w, t, str(t)),
        )
        await tx.execute(
            "INSERT INTO users (organization_id, workspace_id, tenant_id, user_id, email, password_hash, "
            "is_platform_admin) VALUES ($1, $2, $3, $4, $5, '', $6)",
            *(o, w, t, user_id, f"{user_id}@example.com", platform_admin),
        )
        await tx.execute(
            "INSERT INTO roles (organization_id, workspace_id, tenant_id, role_id, name) VALUES ($1, $2, $3, $4, $5)",
            *(o, *place, role_id, str(role_id)),
        )
        await tx.execute(
            "INSERT INTO role_permissions (organization_id, role_owner_id, role_id, permission_id) "
            "SELECT $1, $2, $3, permission_id FROM permissions WHERE name = ANY($4) AND NOT is_platform",
            *(o, place[1] or o, role_id, sorted(permissions)),
        )
        await tx.execute(
            "INSERT INTO user_roles (organization_id, workspace_id, tenant_id, user_role_id, user_id, role_id, "
            "role_owner_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            *(o, *place, new_id(), user_id, role_id, place[1] or o),
        )
    return user_id


async def make_session(store: MetadataStore, scope: Scope, user_id: UUID) -> UUID:
    """Create a session of the user in the tenant, as after a login. Returns its id."""
    session_id = new_id()
    async with store.open_platform(PlatformScope(reason="a test"), "test.session") as tx:
        await user_sessions.create(
            tx,
            SessionRef(scope.organization_id, user_id, session_id),
            workspace_id=scope.workspace_id,
            tenant_id=scope.tenant_id,
            token_hash=session_id.hex * 2,
            methods=("password",),
            device_id=None,
            ip_address=None,
            user_agent=None,
            lifetime_s=3600,
        )
    return session_id


def timeless(headers: httpx.Headers) -> dict[str, str]:
    """An answer's headers without how long it took, which no two answers share; but with how much was read."""
    return {name: re.sub(r"(_ms|dur)=[\d.]+", "", value) for name, value in headers.items()}


@pytest_asyncio.fixture
async def api(metadata_store: MetadataStore, telemetry_store: TelemetryStore) -> AsyncGenerator[Api]:
    keys = SecretKeys((b"s" * 32,))
    # Mail is queued and not sent: no worker runs here.
    settings = Settings(
        smtp_url="smtp+plaintext://127.0.0.1:1", trusted_proxies="127.0.0.1", breached_passwords_url="off"
    )
    hasher = SlowHasher()
    services = await assemble(
        metadata_store,
        telemetry_store,
        settings=settings,
        keys=keys,
        hasher=hasher,
        public_url="http://test",
        stopping=asyncio.Event(),
    )
    made = Api(services)
    async with made.client:
        yield made
    hasher.close()

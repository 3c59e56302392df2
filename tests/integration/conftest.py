"""A tenant with a user and a key, and what identity needs, on the real PostgreSQL; a real SMTP server in loopback."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from uuid import UUID

import pytest
from pyotp.totp import TOTP

from duoscope.identity.authentication.signing_keys import SigningKeys
from duoscope.identity.operators import administration
from duoscope.identity.operators.administration import CreatedApiKey
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.metadata.tenants import Tenant
from duoscope.metadata.users import User
from duoscope.secrets.box import SecretBox
from duoscope.secrets.keys import SecretKeys
from support.smtp import SmtpServer

PASSWORD = "correct horse battery"
TOTP_LEFT_MIN_S = 5


@dataclass(frozen=True)
class Inhabited:
    """A tenant with a developer whose password is PASSWORD, and an API key."""

    tenant: Tenant
    user: User
    key: CreatedApiKey

    @property
    def tenant_id(self) -> UUID:
        return self.tenant.tenant_id


@pytest.fixture(scope="session")
def hasher() -> Generator[SlowHasher]:
    made = SlowHasher()
    yield made
    made.close()


@pytest.fixture(scope="session")
def secret_keys() -> SecretKeys:
    return SecretKeys((b"s" * 32,))


@pytest.fixture
async def secret_box(metadata_store, secret_keys) -> SecretBox:
    box = SecretBox(metadata_store, secret_keys)
    await box.prepare()
    return box


@pytest.fixture
async def signing_keys(metadata_store, secret_box) -> SigningKeys:
    """The keys of access tokens, as a process that just started has them."""
    keys = SigningKeys(metadata_store, secret_box)
    await keys.load()
    return keys


@pytest.fixture
def inhabit(hasher):
    """Make a tenant with a user and a key in any store."""

    async def make(store, name: str = "one") -> Inhabited:
        tenant = await administration.create_tenant(
            store, organization="Acme", workspace="Main", tenant=name, mfa_required=False
        )
        user = await administration.create_user(
            store,
            hasher,
            tenant_id=tenant.tenant_id,
            email=f"{name}@example.com",
            password=PASSWORD,
            role="developer",
        )
        key = await administration.create_api_key(store, hasher, tenant_id=tenant.tenant_id, name="collector")
        return Inhabited(tenant, user, key)

    return make


@pytest.fixture
async def inhabited(metadata_store, inhabit) -> Inhabited:
    return await inhabit(metadata_store)


@pytest.fixture
def smtp_server() -> Generator[SmtpServer]:
    server = SmtpServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def totp_code():
    """The code of an authenticator: never one that may expire before it is checked."""

    def code(secret: str) -> str:
        left_s = 30 - time.time() % 30
        if left_s < TOTP_LEFT_MIN_S:
            time.sleep(left_s)
        return TOTP(secret).now()

    return code

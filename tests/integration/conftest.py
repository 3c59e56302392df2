"""A tenant with a user and a key, and what identity needs, on the real PostgreSQL."""

from collections.abc import Generator
from dataclasses import dataclass
from uuid import UUID

import pytest

from duoscope.identity import administration
from duoscope.identity.administration import CreatedApiKey
from duoscope.identity.passwords import SlowHasher
from duoscope.identity.secret_keys import SecretKeys
from duoscope.metadata.tenants import Tenant
from duoscope.metadata.users import User

PASSWORD = "correct horse battery"


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
def inhabit(hasher):
    """Make a tenant with a user and a key in any store."""

    async def make(store, name: str = "one") -> Inhabited:
        tenant = await administration.create_tenant(store, organization="Acme", workspace="Main", tenant=name)
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

"""The secret box on the real PostgreSQL: what is sealed opens in its row alone, through every change of keys."""

import asyncio

import pytest

from duoscope.identity.authentication.signing_keys import SigningKeys
from duoscope.kernel.actor import operator
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.secrets.box import Cell, SecretBox
from duoscope.secrets.keys import SecretKeys

_PLATFORM = PlatformScope(reason="test")
_COLUMN = ("mfa_secrets", "secret_encrypted")


def _open(store):
    return store.open_platform(_PLATFORM, "test.secret_box")


def _place(row) -> Cell:
    return Cell(*_COLUMN, (row["organization_id"], row["mfa_id"]))


@pytest.fixture
def store_secret(metadata_store, secret_box, inhabited):
    """Seals a secret of a new user into a row of its own."""

    async def store(plaintext: bytes):
        async with _open(metadata_store) as tx:
            user_id, mfa_id, organization_id = new_id(), new_id(), inhabited.tenant.organization_id
            await tx.execute(
                "INSERT INTO users (organization_id, user_id, email, password_hash) VALUES ($1, $2, $3, '')",
                *(organization_id, user_id, f"{user_id}@example.com"),
            )
            sealed = await secret_box.seal(tx, plaintext, Cell(*_COLUMN, (organization_id, mfa_id)))
            return await tx.fetchrow(
                "INSERT INTO mfa_secrets (organization_id, mfa_id, user_id, secret_encrypted) VALUES ($1, $2, $3, $4) "
                "RETURNING *",
                *(organization_id, mfa_id, user_id, sealed),
            )

    return store


async def _read(m, row) -> str:
    return await m.fetchval("SELECT secret_encrypted FROM mfa_secrets WHERE mfa_id = $1", row["mfa_id"])


async def test_what_is_sealed_opens_in_its_row_alone(metadata_store, secret_box, store_secret):
    row, other = await store_secret(b"first"), await store_secret(b"first")
    assert row["secret_encrypted"] != other["secret_encrypted"]
    async with _open(metadata_store) as tx:
        assert await secret_box.open(tx, row["secret_encrypted"], _place(row)) == b"first"
        sealed = row["secret_encrypted"]
        form, version, body = sealed.split(".")
        swapped = "A" if body[30] != "A" else "B"
        for text, place in (
            (sealed, _place(other)),
            (sealed, Cell("mfa_secrets", "backup_codes_encrypted", _place(row).key)),
            (sealed, Cell("identity_providers", "secret_encrypted", _place(row).key)),
            (f"{form}.{version}.{body[:30]}{swapped}{body[31:]}", _place(row)),
            (f"{form}.9.{body}", _place(row)),
            (f"v0.{version}.{body}", _place(row)),
            (f"{form}.{version}.", _place(row)),
            ("", _place(row)),
        ):
            with pytest.raises(DuoscopeError) as refused:
                await secret_box.open(tx, text, place)
            assert (refused.value.kind, refused.value.code) == (ErrorKind.INTERNAL, "secret-unreadable")
            assert "first" not in str(refused.value.detail)


async def test_a_rotation_seals_everything_anew_and_running_processes_follow(
    metadata_store, secret_box, signing_keys, store_secret
):
    rows = [await store_secret(f"secret {number}".encode()) for number in range(5)]
    another_process = SecretBox(metadata_store, SecretKeys((b"s" * 32,)))
    await another_process.prepare()
    done = await secret_box.rotate(operator())
    assert (done.version, done.resealed) == (2, 6)
    async with _open(metadata_store) as tx:
        for number, row in enumerate(rows):
            sealed = await _read(tx, row)
            assert sealed.startswith("v1.2.")
            assert await another_process.open(tx, sealed, _place(row)) == f"secret {number}".encode()
        assert (await another_process.seal(tx, b"", _place(rows[0]))).startswith("v1.2.")
        audited = await tx.fetchrow("SELECT * FROM audit_logs WHERE action = 'encryption-key.rotated'")
        assert audited["resource_id"] == "2"
        # A day later the old key is of no use to anybody.
        await tx.execute("UPDATE encryption_keys SET retired_at = now() - interval '2 days' WHERE version = 1")
    assert (await secret_box.rotate(operator())).forgotten == 1
    assert not await secret_box.is_unfinished()


async def test_a_rotation_that_was_stopped_goes_on(metadata_store, secret_box, store_secret, monkeypatch):
    rows = [await store_secret(b"x") for _ in range(5)]
    monkeypatch.setattr("duoscope.secrets.box.RESEAL_ROWS_MAX", 2)
    resealed = 0
    real = SecretBox._reseal_some

    async def stops_after_two(self, column, version):
        nonlocal resealed
        if resealed:
            raise ConnectionError
        resealed += await real(self, column, version)
        return resealed

    monkeypatch.setattr(SecretBox, "_reseal_some", stops_after_two)
    with pytest.raises(ConnectionError):
        await secret_box.rotate(operator())
    monkeypatch.setattr(SecretBox, "_reseal_some", real)
    again = SecretBox(metadata_store, SecretKeys((b"s" * 32,)))
    assert await again.is_unfinished()
    async with _open(metadata_store) as tx:
        assert {(await _read(tx, row))[:5] for row in rows} == {"v1.1.", "v1.2."}
        for row in rows:
            assert await again.open(tx, await _read(tx, row), _place(row)) == b"x"
    assert (await again.resume()).resealed == 3
    assert not await again.is_unfinished()


async def test_nothing_is_sealed_with_the_old_key_once_a_rotation_has_begun(metadata_store, secret_box, store_secret):
    row = await store_secret(b"x")
    async with _open(metadata_store) as tx:
        sealed = await secret_box.seal(tx, b"late", _place(row))
        rotating = asyncio.create_task(secret_box.rotate(operator()))
        done, _ = await asyncio.wait([rotating], timeout=0.3)
        assert not done, "a writer with the old key is still at work"
        await tx.execute("UPDATE mfa_secrets SET secret_encrypted = $2 WHERE mfa_id = $1", row["mfa_id"], sealed)
    await rotating
    async with _open(metadata_store) as tx:
        sealed = await _read(tx, row)
        assert sealed.startswith("v1.2.")
        assert await secret_box.open(tx, sealed, _place(row)) == b"late"


async def test_the_instances_secret_changes_without_touching_what_is_sealed(metadata_store, store_secret):
    row = await store_secret(b"x")
    with pytest.raises(DuoscopeError) as refused:
        await SecretBox(metadata_store, SecretKeys((b"n" * 32,))).prepare()
    assert (refused.value.kind, refused.value.code) == (ErrorKind.INVALID, "secret-key")
    both = SecretBox(metadata_store, SecretKeys((b"n" * 32, b"s" * 32)))
    await both.prepare()
    assert await both.is_unfinished()
    await both.resume()
    alone = SecretBox(metadata_store, SecretKeys((b"n" * 32,)))
    await alone.prepare()
    async with _open(metadata_store) as tx:
        assert await _read(tx, row) == row["secret_encrypted"]
        assert await alone.open(tx, row["secret_encrypted"], _place(row)) == b"x"


async def test_a_database_alone_opens_nothing(metadata_store, secret_box, store_secret):
    """Every byte of the data key's row is sealed; the first start of several processes makes one key."""
    await asyncio.gather(*(SecretBox(metadata_store, SecretKeys((b"s" * 32,))).prepare() for _ in range(3)))
    async with _open(metadata_store) as tx:
        rows = await tx.fetch("SELECT version, key_encrypted FROM encryption_keys")
    assert [row["version"] for row in rows] == [1]
    assert all(key.hex() not in rows[0]["key_encrypted"] for key in secret_box._data_keys.values())


async def test_an_instance_whose_secret_is_lost_starts_again(metadata_store, signing_keys, store_secret):
    row = await store_secret(b"x")
    async with _open(metadata_store) as tx:
        place = Cell("identity_providers", "client_secret_encrypted", (row["organization_id"], new_id()))
        sealed = await signing_keys._box.seal(tx, b"hush", place)
        await tx.execute("SET LOCAL ROLE duoscope_organization")
        await tx.execute("SELECT set_config('app.organization_id', $1, true)", str(row["organization_id"]))
        await tx.execute(
            "INSERT INTO identity_providers (organization_id, identity_provider_id, slug, name, issuer, client_id, "
            "client_secret_encrypted, allowed_email_domains) "
            "VALUES ($1, $2, 'x', 'x', 'https://x.test', 'x', $3, '{x.test}')",
            *(*place.key, sealed),
        )
    box = SecretBox(metadata_store, SecretKeys((b"another" * 6,)))
    with pytest.raises(DuoscopeError, match="--abandon"):
        await box.prepare()
    assert await box.abandon(operator()) == [1]
    assert await box.abandon(operator()) == []
    await box.prepare()
    await SigningKeys(metadata_store, box).load()
    assert (await box.rotate(operator())).resealed == 2
    async with _open(metadata_store) as tx:
        assert await tx.fetchval("SELECT count(*) FROM mfa_secrets") == 0
        provider = await tx.fetchrow("SELECT * FROM identity_providers")
        assert provider["is_active"] is False
        assert await box.open(tx, provider["client_secret_encrypted"], place) == b""
        assert await tx.fetchval("SELECT count(*) FROM signing_keys") == 1

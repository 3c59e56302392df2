"""The first start: a platform admin, an organization, a workspace, a tenant and an API key, shown once.

All rows are one transaction. The credentials are on disk under a temporary name before it commits and get their real
name after it. A kill anywhere in between loses nothing, because the next start finds the temporary file, sees that its
organization exists, and finishes. A temporary file whose transaction never committed is overwritten.

The admin's password expires after a day. In a trial, where whoever starts duoscope owns everything, a later start makes
a new one if nobody has set their own by then.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from duoscope.identity.api_keys import form, management
from duoscope.identity.api_keys.management import KeyWish
from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.operators import administration
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.identity.passwords.rules import generated
from duoscope.kernel.actor import system
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import api_keys, organizations, tenants, users
from duoscope.net.origins import ANY
from duoscope.stores.postgres import MetadataStore

ADMIN_EMAIL = "admin@duoscope.local"
CREDENTIALS_FILE = "credentials.json"
_FIRST_START = PlatformScope(reason="the first start makes the first tenant")
# Serialises first starts of several processes on one database.
_LOCK_KEY = 0x64756F2D626F6F74


@dataclass(frozen=True, slots=True)
class Credentials:
    """The content of `<data_dir>/credentials.json`. `admin_password` is empty once the admin has set their own;
    `read_api_key` where an earlier version made the file.
    """

    api_url: str
    otlp_grpc_endpoint: str
    otlp_http_endpoint: str
    admin_email: str
    admin_password: str = field(repr=False)
    organization_id: str
    workspace_id: str
    tenant_id: str
    api_key: str = field(repr=False)
    admin_password_expires_at: str = ""
    read_api_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FirstStart:
    """The result of `bootstrap`.

    Attributes:
        path: where the credentials are, or would be.
        created: whether this start made them: the only time to print them.
        renewed: whether this start made a new password for the admin, because the previous one had expired.
        credentials: None when the platform exists but the file does not, such as on another machine. Then `duoscope
            admin reset-password` and `duoscope admin create-api-key` make new ones.
    """

    path: Path
    created: bool
    credentials: Credentials | None
    renewed: bool = False
    is_trial: bool = False


async def bootstrap(
    store: MetadataStore,
    hasher: SlowHasher,
    *,
    data_dir: Path,
    api_url: str,
    otlp_grpc_endpoint: str,
    otlp_http_endpoint: str,
    admin_email: str = ADMIN_EMAIL,
    is_trial: bool = False,
) -> FirstStart:
    """Create everything a new platform needs, or find that it exists. May run at every start.

    `is_trial` is for embedded stores: one person on one machine, who needs no second factor at first.
    """
    path = data_dir / CREDENTIALS_FILE
    temporary = path.with_name(f"{CREDENTIALS_FILE}.new")
    password, expires_at = generated()
    new_key, reading_key = form.generate(), form.generate()
    async with store.open_platform(_FIRST_START, "bootstrap") as tx:
        await tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY)
        if await organizations.any_exists(tx):
            left = _read(temporary)
            finish = left is not None and await organizations.get(tx, UUID(left.organization_id)) is not None
            credentials = None
        else:
            finish = True
            tenant = await administration.make_tenant(
                tx,
                system("first start"),
                organization="Default",
                workspace="Default",
                tenant="Default",
                mfa_required=not is_trial,
            )
            await tenants.enter(tx, tenant)
            await administration.make_user(
                tx,
                system("first start"),
                email=admin_email,
                password_hash=await hasher.hash(password),
                password_expires_at=expires_at,
                role="admin",
                is_platform_admin=True,
            )
            await management.create(
                tx,
                system("first start"),
                new_key,
                await hasher.hash(new_key.secret),
                KeyWish(
                    name="First key",
                    permissions=tuple(sorted(api_keys.PERMISSIONS)),
                    # So that a page can be tried at once. Whoever sends needs the key all the same.
                    allowed_origins=(ANY,) if is_trial else (),
                ),
            )
            await management.create(
                tx,
                system("first start"),
                reading_key,
                await hasher.hash(reading_key.secret),
                KeyWish(name="First reading key", permissions=tuple(sorted(api_keys.READ_PERMISSIONS))),
            )
            credentials = Credentials(
                api_url=api_url,
                otlp_grpc_endpoint=otlp_grpc_endpoint,
                otlp_http_endpoint=otlp_http_endpoint,
                admin_email=admin_email,
                admin_password=password,
                organization_id=str(tenant.organization_id),
                workspace_id=str(tenant.workspace_id),
                tenant_id=str(tenant.tenant_id),
                api_key=new_key.presented,
                admin_password_expires_at=_shown(expires_at),
                read_api_key=reading_key.presented,
            )
            _write(temporary, credentials)
    if finish:
        temporary.replace(path)
    found = credentials or _read(path)
    renewed = False
    if found is not None:
        if credentials is None:
            known, found = found, await _with_password(store, hasher, path, found, renews=is_trial)
            renewed = found.admin_password not in {"", known.admin_password}
        here = replace(
            found,
            api_url=api_url,
            otlp_grpc_endpoint=otlp_grpc_endpoint,
            otlp_http_endpoint=otlp_http_endpoint,
        )
        if here != found:
            # The ports may have changed: readers of the file, such as the demo, must find this start's.
            _replace(path, here)
            found = here
    return FirstStart(path, created=finish, credentials=found, renewed=renewed, is_trial=is_trial)


async def _with_password(
    store: MetadataStore, hasher: SlowHasher, path: Path, known: Credentials, *, renews: bool
) -> Credentials:
    """The credentials without the password if the admin has set their own; with a new one if it has expired and renewal
    is wanted.
    """
    password, expires_at = generated()
    async with store.open_platform(_FIRST_START, "bootstrap.password") as tx:
        # The admin may have changed the address since.
        email = await users.find_first_admin_email(tx, UUID(known.organization_id))
        login = await users.find_login(tx, email) if email else None
        if email is None or login is None:
            return known
        known = replace(known, admin_email=email)
        if not known.admin_password:
            return known
        if login.password_expires_at is None:
            if await hasher.verify(login.password_hash, known.admin_password):
                # Made by a version whose passwords did not expire.
                return known
            found = replace(known, admin_password="", admin_password_expires_at="")
        elif login.password_has_expired and renews:
            found = replace(known, admin_password=password, admin_password_expires_at=_shown(expires_at))
            await users.set_password(tx, login.user_id, await hasher.hash(password), expires_at=expires_at)
            user = About.user(login.user)
            await audit.record(tx, system("a trial's start"), "password.reset", user)
        else:
            return known
        # Before the commit: after a kill in between, a password that does not work yet replaces one that does not work
        # any more.
        _replace(path, found)
    return found


def forget_password(data_dir: Path, email: str) -> None:
    """Leave the password of the first start out of its file, because that user has another one now.

    A file that the caller may not read or write stays as it is: the next start does the same.
    """
    path = data_dir / CREDENTIALS_FILE
    with contextlib.suppress(OSError):
        known = _read(path)
        if known is not None and known.admin_password and known.admin_email == email:
            _replace(path, replace(known, admin_password="", admin_password_expires_at=""))


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def _replace(path: Path, credentials: Credentials) -> None:
    temporary = path.with_name(f"{CREDENTIALS_FILE}.new")
    _write(temporary, credentials)
    temporary.replace(path)


def _write(path: Path, credentials: Credentials) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> Credentials | None:
    """Read the file. Returns None if it is missing, or if a kill cut it short."""
    try:
        return Credentials(**json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None

"""Second factors on the real PostgreSQL: every code once, guessing slows down, nothing in the clear."""

import asyncio
import re
from datetime import timedelta

import pytest
from pyotp.totp import TOTP

from duoscope.delivery.mail import Mailer
from duoscope.identity.authentication import totp
from duoscope.identity.authentication.mfa import DEVICE_TRUSTED_FOR, SecondFactors, reset_by_operator
from duoscope.identity.authentication.second_factor import Attempt
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.actor import Actor, operator
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata import mfa_secrets
from duoscope.metadata.trusted_devices import TrustedDevice

PASSWORD = "correct horse battery"
_PLATFORM = PlatformScope(reason="test")


@pytest.fixture
def principal(inhabited) -> Principal:
    tenant, user = inhabited.tenant, inhabited.user
    scope = Scope(tenant.organization_id, tenant.workspace_id, tenant.tenant_id)
    actor = Actor(user.user_id, user.email, "user", "192.0.2.7", "test")
    return Principal(scope, user.user_id, new_id(), frozenset(), actor=actor)


@pytest.fixture
def mailer(secret_keys) -> Mailer:
    return Mailer(Settings(smtp_url="smtp+plaintext://127.0.0.1:1"), secret_keys)


class Clock:
    """Our own clock, at the first moment of a time step."""

    def __init__(self) -> None:
        self.now_s = 60_000_000.0 * totp.STEP_S

    def __call__(self) -> float:
        return self.now_s

    def code(self, secret: str, steps: int = 0) -> str:
        """What an authenticator shows whose clock is so many steps ahead."""
        return TOTP(secret).generate_otp(int(self.now_s) // totp.STEP_S + steps)

    def go_on(self, seconds: float = totp.STEP_S) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def factors(metadata_store, secret_box, hasher, secret_keys, mailer, clock) -> SecondFactors:  # noqa: PLR0917 - fixtures
    return SecondFactors(metadata_store, secret_box, hasher, secret_keys, mailer=mailer, clock=clock)


@pytest.fixture
def login(factors, principal):
    async def present(code, device=None):
        attempt = Attempt(principal.user, code, device, principal.actor)
        return await factors.check(attempt)

    return present


@pytest.fixture
async def enabled(factors, principal, clock):
    """The secret and the backup codes of the principal; the time step of the confirmation is over."""
    enrolment = await factors.enrol(principal, PASSWORD)
    codes = await factors.confirm(principal, clock.code(enrolment.secret))
    clock.go_on()
    return enrolment.secret, codes


async def _refused(awaitable, code: str) -> DuoscopeError:
    with pytest.raises(DuoscopeError) as refused:
        await awaitable
    assert refused.value.code == code
    return refused.value


async def _forgive(store, principal) -> None:
    async with store.open_platform(_PLATFORM, "test.forgive") as tx:
        await tx.execute("UPDATE mfa_secrets SET failed_attempts = 0, locked_until = NULL")


async def test_enrolment_counts_once_a_code_has_confirmed_it(factors, principal, login, metadata_store, clock):
    assert await login(None) == ()
    await _refused(factors.enrol(principal, "wrong"), "password-wrong")
    await _refused(factors.confirm(principal, "123456"), "mfa-not-enrolled")
    first = await factors.enrol(principal, PASSWORD)
    assert first.otpauth_uri.startswith("otpauth://totp/duoscope:one%40example.com?secret=" + first.secret)
    assert re.match(r"<svg .*</svg>", first.qr_svg, re.DOTALL)
    assert await login(None) == (), "not confirmed: nothing is asked for"
    second = await factors.enrol(principal, PASSWORD)
    await _refused(factors.confirm(principal, clock.code(first.secret)), "mfa-code-invalid")
    codes = await factors.confirm(principal, clock.code(second.secret))
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[0-9][a-z2-7]{3}-[a-z2-7]{4}-[a-z2-7]{4}", code) for code in codes)
    status = await factors.status(principal)
    assert (status.is_enabled, status.backup_codes_left, status.is_required) == (True, 10, False)
    await _refused(factors.enrol(principal, PASSWORD), "mfa-enabled")
    await _refused(factors.confirm(principal, clock.code(second.secret, 1)), "mfa-not-enrolled")
    async with metadata_store.open_platform(_PLATFORM, "test.read") as tx:
        row = await tx.fetchrow("SELECT * FROM mfa_secrets")
        actions = await tx.fetch("SELECT action, user_id, content FROM audit_logs WHERE action LIKE 'mfa.%'")
    assert second.secret not in str(dict(row))
    assert [each["action"] for each in actions] == ["mfa.enrolled", "mfa.enrolled", "mfa.enabled"]
    assert not any(second.secret in each["content"] or codes[0] in each["content"] for each in actions)


async def test_a_code_is_asked_for_and_works_once(login, enabled, clock):
    secret, _ = enabled
    refused = await _refused(login(None), "mfa-required")
    assert refused.kind is ErrorKind.UNAUTHENTICATED
    await _refused(login(clock.code(secret, -1)), "mfa-code-invalid")  # the confirmation used it
    assert await login(clock.code(secret)) == ("otp",)
    await _refused(login(clock.code(secret)), "mfa-code-invalid")


async def test_a_code_lives_for_thirty_seconds(login, enabled, clock):
    secret, _ = enabled
    clock.go_on(5 * totp.STEP_S)
    code = clock.code(secret, 1)
    clock.go_on(totp.STEP_S - 0.001)
    await _refused(login(code), "mfa-code-invalid")  # too early
    clock.go_on(0.001)
    assert await login(code) == ("otp",)
    clock.go_on()
    code = clock.code(secret)
    clock.go_on(totp.STEP_S - 0.001)
    assert await login(code) == ("otp",)
    clock.go_on(0.001)
    code = clock.code(secret)
    clock.go_on()
    await _refused(login(code), "mfa-code-invalid")  # too late
    assert await login(clock.code(secret)) == ("otp",), "and that was no reason to expect others late too"


@pytest.mark.parametrize("ahead", [-totp.OFFSET_STEPS_MAX, -1, 1, totp.OFFSET_STEPS_MAX])
async def test_a_clock_that_is_off_is_learned_by_two_codes(factors, principal, login, clock, ahead):
    enrolment = await factors.enrol(principal, PASSWORD)
    await _refused(factors.confirm(principal, clock.code(enrolment.secret, ahead)), "mfa-code-invalid")
    await _refused(factors.confirm(principal, clock.code(enrolment.secret, ahead)), "mfa-code-invalid")  # the same
    clock.go_on()
    await factors.confirm(principal, clock.code(enrolment.secret, ahead))
    for _ in range(2):
        clock.go_on(10 * totp.STEP_S)
        await _refused(login(clock.code(enrolment.secret)), "mfa-code-invalid")
        assert await login(clock.code(enrolment.secret, ahead)) == ("otp",)
    # The authenticator's clock is put right.
    clock.go_on(10 * totp.STEP_S)
    await _refused(login(clock.code(enrolment.secret)), "mfa-code-invalid")
    clock.go_on()
    assert await login(clock.code(enrolment.secret)) == ("otp",)
    clock.go_on(10 * totp.STEP_S)
    await _refused(login(clock.code(enrolment.secret, ahead)), "mfa-code-invalid")


async def test_two_codes_that_do_not_follow_one_another_set_no_clock(login, enabled, clock, metadata_store, principal):
    secret, _ = enabled
    for pause, ahead in ((1, 1), (totp.RESYNC_STEPS_MAX + 1, 1), (1, -1), (1, totp.OFFSET_STEPS_MAX + 1)):
        clock.go_on(pause * totp.STEP_S)
        await _forgive(metadata_store, principal)
        await _refused(login(clock.code(secret, ahead)), "mfa-code-invalid")


async def test_one_code_sent_twice_at_once_is_accepted_once(login, enabled, metadata_store, principal, clock):
    secret, codes = enabled
    for code in (clock.code(secret), codes[4]):
        await _forgive(metadata_store, principal)
        answers = await asyncio.gather(*(login(code) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(answer, tuple) for answer in answers) == 1, answers
        assert {answer.code for answer in answers if isinstance(answer, DuoscopeError)} == {"mfa-code-invalid"}


async def test_a_backup_code_works_once_in_any_spelling(factors, principal, login, enabled, metadata_store):
    _, codes = enabled
    assert await login(f" {codes[3].upper().replace('-', ' ')} ") == ("backup-code",)
    await _refused(login(codes[3]), "mfa-code-invalid")
    swapped = ("4" if codes[5][0] != "4" else "6") + codes[5][1:]
    await _refused(login(swapped), "mfa-code-invalid")
    assert await login(codes[5]) == ("backup-code",)
    assert (await factors.status(principal)).backup_codes_left == 8
    await _refused(factors.renew_backup_codes(principal, codes[3]), "mfa-code-invalid")
    fresh = await factors.renew_backup_codes(principal, codes[9])
    await _refused(login(codes[0]), "mfa-code-invalid")
    assert await login(fresh[0]) == ("backup-code",)
    async with metadata_store.open_platform(_PLATFORM, "test.read") as tx:
        used = await tx.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'mfa.backup-code-used'")
    assert used == 4


async def test_guessing_slows_down_and_the_right_code_waits_too(login, enabled, metadata_store, principal, clock):
    secret, codes = enabled
    wrong = "000000" if clock.code(secret) != "000000" else "000001"
    answers = await asyncio.gather(*(login(wrong) for _ in range(12)), return_exceptions=True)
    codes_seen = [answer.code for answer in answers if isinstance(answer, DuoscopeError)]
    assert codes_seen.count("mfa-code-invalid") == mfa_secrets.ATTEMPTS_FREE
    assert codes_seen.count("mfa-throttled") == 12 - mfa_secrets.ATTEMPTS_FREE
    for code in (clock.code(secret), codes[0]):
        refused = await _refused(login(code), "mfa-throttled")
        assert refused.kind is ErrorKind.RATE_LIMITED
        assert 20 < refused.retry_after_s <= mfa_secrets.LOCK_S
    async with metadata_store.open_platform(_PLATFORM, "test.later") as tx:
        await tx.execute("UPDATE mfa_secrets SET locked_until = now()")
        failures = await tx.fetchval("SELECT count(*) FROM audit_logs WHERE result = 'failure'")
    assert failures == mfa_secrets.ATTEMPTS_FREE
    await _refused(login("no code"), "mfa-code-invalid")
    refused = await _refused(login(wrong), "mfa-throttled")
    assert mfa_secrets.LOCK_S < refused.retry_after_s <= 2 * mfa_secrets.LOCK_S
    await _forgive(metadata_store, principal)
    assert await login(clock.code(secret)) == ("otp",)
    for _ in range(mfa_secrets.ATTEMPTS_FREE - 1):
        await _refused(login(wrong), "mfa-code-invalid")
    assert await login(codes[0]) == ("backup-code",)


async def test_disabling_wants_the_password_and_a_code(factors, principal, login, enabled, metadata_store, clock):  # noqa: PLR0917 - fixtures
    secret, codes = enabled
    await _refused(factors.disable(principal, "wrong", codes[0]), "password-wrong")
    await _refused(factors.disable(principal, PASSWORD, clock.code(secret, -1)), "mfa-code-invalid")
    async with metadata_store.open_platform(_PLATFORM, "test.policy") as tx:
        await tx.execute("UPDATE organizations SET settings = settings || '{\"mfa_required\": true}'")
    assert (await factors.status(principal)).is_required
    await _refused(factors.disable(principal, PASSWORD, codes[0]), "mfa-required-by-organization")
    async with metadata_store.open_platform(_PLATFORM, "test.policy") as tx:
        await tx.execute("UPDATE organizations SET settings = '{}'")
    await factors.disable(principal, PASSWORD, codes[0])
    assert await login(None) == ()
    refused = await _refused(login(codes[1]), "mfa-not-enabled")
    assert refused.kind is ErrorKind.INVALID
    await _refused(factors.disable(principal, PASSWORD, codes[1]), "mfa-not-enabled")


async def test_an_operators_reset_takes_it_away_and_tells(metadata_store, mailer, principal, login, enabled):
    await reset_by_operator(metadata_store, mailer, operator(), principal.actor.email.upper())
    assert await login(None) == ()
    await _refused(reset_by_operator(metadata_store, mailer, operator(), principal.actor.email), "mfa-not-enabled")
    await _refused(reset_by_operator(metadata_store, mailer, operator(), "nobody@example.com"), "not-found")
    async with metadata_store.open_platform(_PLATFORM, "test.read") as tx:
        actors = await tx.fetch("SELECT actor_kind FROM audit_logs WHERE action = 'mfa.reset'")
        mails = await tx.fetchval("SELECT count(*) FROM mail_outbox")
    assert [row["actor_kind"] for row in actors] == ["operator"]
    assert mails == 2, "one for the enrolment, one for the reset"


async def test_a_trusted_device_stands_in_for_a_while(login, enabled, principal, metadata_store):
    async with metadata_store.open_platform(_PLATFORM, "test.read") as tx:
        enabled_at = await tx.fetchval("SELECT enabled_at FROM mfa_secrets")

    def device(shown_at):
        times = {"mfa_at": shown_at, "expires_at": now(), "last_used_at": now(), "created_at": now()}
        return TrustedDevice(principal.scope.organization_id, new_id(), principal.user_id, "laptop", **times)

    assert await login(None, device(now())) == ("device",)
    for shown_at in (None, enabled_at - timedelta(seconds=1), now() - DEVICE_TRUSTED_FOR):
        await _refused(login(None, device(shown_at)), "mfa-required")
    await _refused(login("000000", device(now())), "mfa-code-invalid")


async def test_a_tenant_reaches_no_foreign_second_factor(metadata_store, inhabit, principal, enabled):
    other = await inhabit(metadata_store, "two")
    theirs = Scope(other.tenant.organization_id, other.tenant.workspace_id, other.tenant.tenant_id)
    async with metadata_store.open(theirs, "test.foreign") as tx:
        assert await tx.fetchval("SELECT count(*) FROM mfa_secrets") == 0
        assert not await mfa_secrets.delete(tx, principal.user)
    async with metadata_store.open(principal.scope, "test.own") as tx:
        assert await tx.fetchval("SELECT count(*) FROM mfa_secrets") == 1


def test_a_code_matches_its_step_unless_that_is_over_or_far():
    secret = totp.new_secret()
    now_s = 1_000_000_000.0
    present = int(now_s) // totp.STEP_S
    for steps in range(-totp.OFFSET_STEPS_MAX - 1, totp.OFFSET_STEPS_MAX + 2):
        code = TOTP(secret).generate_otp(present + steps)
        found = totp.match(secret, code, after=0, offset_steps=0, now_s=now_s)
        is_near = abs(steps) <= totp.OFFSET_STEPS_MAX
        assert found == (totp.Match(present + steps, steps) if is_near else None)
        assert totp.match(secret, code, after=present + steps, offset_steps=0, now_s=now_s) is None
    # RFC 6238, appendix B, of eight digits the last six.
    rfc = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert totp.match(rfc, "287082", after=0, offset_steps=0, now_s=59) == totp.Match(1, 0)
    assert totp.match(rfc, "081804", after=0, offset_steps=0, now_s=1111111109) == totp.Match(37037036, 0)

"""Limits on guessing: a growing delay after failures that a stranger cannot turn against a user.

Failures are counted by account and client network, by network, and by account over all unknown clients. An attempt
counts as a failure before it is verified, so that many at once do not all pass; a success undoes the count.

* account and network: a few are free, then the delay doubles up to a quarter of an hour. A stranger elsewhere has no
  effect on it.
* network: many are free, since offices share an address; then a short delay. This slows one client that tries many
  accounts. Accounts that recently logged in from the network are counted separately from the others: a flood of guesses
  at the latter does not slow the former, whose own counters limit the guesses at each.
* account: 100 failures in a row from unknown clients (NIST SP 800-63B, section 3.2.2), then a delay for unknown clients
  only. A network from which the account recently logged in is known, and so is a device with its token: these never
  wait for others' failures. Anyone without either can always request a link for a forgotten password.

A device that sends its token, or a client that sends the mark of an earlier login (known_clients.py), has its own count
and no other: the correct password from there always passes, even from the same network.

Addresses are stored as keyed hashes only, and nothing depends on whether an account exists.
"""

import hmac
import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.metadata import login_attempts
from duoscope.metadata.login_attempts import Counter
from duoscope.net.addresses import parse_address
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import Transaction

FORGET_S: Final = 24 * 3600.0
"""A failure is forgotten when no other has followed it for this long."""
KNOWN_FOR_S: Final = 90 * 24 * 3600.0
"""How long a client stays known after a login from it."""
IPV6_CLIENT_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many failures are free; after that a second, doubled after each, up to `delay_max_s`."""

    free: int
    delay_max_s: float

    def delay_s(self, failures: int) -> float:
        """How many seconds the next attempt has to wait."""
        return 0.0 if failures < self.free else min(2.0 ** min(failures - self.free, 30), self.delay_max_s)


PAIR: Final = Allowance(free=5, delay_max_s=900.0)
DEVICE: Final = Allowance(free=5, delay_max_s=900.0)
NETWORK: Final = Allowance(free=50, delay_max_s=30.0)
ACCOUNT: Final = Allowance(free=100, delay_max_s=60.0)
MAIL_TO_ADDRESS: Final = Allowance(free=3, delay_max_s=3600.0)
"""Mail that anyone can have sent to an address."""
MAIL_BY_NETWORK: Final = Allowance(free=20, delay_max_s=900.0)


@dataclass(frozen=True, slots=True)
class Charge:
    """An attempt that was let through: its counters, and the blocks it set."""

    counters: dict[bytes, datetime | None] = field(repr=False)
    pair: bytes = field(repr=False)
    account: bytes = field(repr=False)
    is_known: bool = False
    """Whether the account has logged in from there before."""


class Throttle:
    """Counts attempts in PostgreSQL, for all processes together. All methods need a platform transaction."""

    def __init__(self, keys: SecretKeys) -> None:
        self._key = keys.derive("login-throttle")[0]

    async def charge(
        self,
        tx: Transaction,
        *,
        account: str,
        address: str | None,
        device_id: UUID | None,
        client_id: str | None = None,
    ) -> Charge:
        """Let an attempt through, counted as a failure until `succeeded` or `take_back`.

        Args:
            tx: commits before the attempt is verified.
            account: as presented, such as an e-mail address; whether it exists makes no difference.
            address: the client's IP address.
            device_id: of the account's device that sent its token.
            client_id: of a client from which the account has logged in, which sent its mark.

        Raises:
            DuoscopeError: RATE_LIMITED `too-many-attempts`.
        """
        network = network_of(address)
        pair, everywhere = self._counter("pair", account, network), self._counter("account", account, rank=1)
        if device_id is not None:
            known = {self._counter("device", account, str(device_id)): DEVICE}
            return Charge(await self._add(tx, known), pair, everywhere, is_known=True)
        if client_id is not None:
            known = {self._counter("client", account, client_id): DEVICE}
            return Charge(await self._add(tx, known), pair, everywhere, is_known=True)
        found = await self._count(tx, [pair])
        if found[pair].is_known:
            further = {self._counter("network-known", network, rank=1): NETWORK}
        else:
            further = {self._counter("network", network, rank=1): NETWORK, everywhere: ACCOUNT}
        found |= await self._count(tx, list(further))
        allowances = {pair: PAIR, **further}
        return Charge(await self._block(tx, allowances, found), pair, everywhere, is_known=found[pair].is_known)

    async def charge_mail(self, tx: Transaction, *, recipient: str, address: str | None) -> bool:
        """Whether an address may get another mail that no signed-in user has requested.

        Raises:
            DuoscopeError: RATE_LIMITED `too-many-attempts` for a client that requests too many.
        """
        await self._add(tx, {self._counter("mail-by", network_of(address)): MAIL_BY_NETWORK})
        to = self._counter("mail-to", recipient, rank=1)
        found = await login_attempts.add(tx, [to], forget_s=FORGET_S, known_for_s=KNOWN_FOR_S)
        if found[to].blocked_s > 0:
            await login_attempts.take_back(tx, {to: None})
            return False
        await self._block(tx, {to: MAIL_TO_ADDRESS}, found)
        return True

    async def succeeded(self, tx: Transaction, charge: Charge) -> None:
        """Record a success: the client is known, and this account's failures no longer cause delays."""
        await login_attempts.take_back(tx, charge.counters)
        own = [name for name in charge.counters if name in (charge.pair, charge.account)]
        await login_attempts.forgive(tx, sorted({charge.pair, *own}))

    async def take_back(self, tx: Transaction, charge: Charge) -> None:
        """Undo the count of an attempt that was not checked, or that needs a further step."""
        await login_attempts.take_back(tx, charge.counters)

    async def vouch(self, tx: Transaction, *, account: str, address: str | None) -> None:
        """Make the client known: it has shown by other means, such as a link sent by mail, that it belongs to the
        user.
        """
        counters = self._counter("pair", account, network_of(address)), self._counter("account", account)
        await login_attempts.forgive(tx, sorted(counters))

    async def _add(self, tx: Transaction, allowances: dict[bytes, Allowance]) -> dict[bytes, datetime | None]:
        return await self._block(tx, allowances, await self._count(tx, list(allowances)))

    async def _count(self, tx: Transaction, counters: list[bytes]) -> dict[bytes, Counter]:
        found = await login_attempts.add(tx, counters, forget_s=FORGET_S, known_for_s=KNOWN_FOR_S)
        blocked_s = max(row.blocked_s for row in found.values())
        if blocked_s > 0:
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED,
                "too-many-attempts",
                "There were too many attempts; wait for the seconds in Retry-After.",
                retry_after_s=blocked_s,
            )
        return found

    async def _block(
        self, tx: Transaction, allowances: dict[bytes, Allowance], found: dict[bytes, Counter]
    ) -> dict[bytes, datetime | None]:
        delays = {name: allowances[name].delay_s(found[name].failures) for name in sorted(allowances)}
        blocks = await login_attempts.block(tx, {name: delay for name, delay in delays.items() if delay})
        return {name: blocks.get(name) for name in allowances}

    def _counter(self, *parts: str, rank: int = 0) -> bytes:
        """The counter's hash. Rows are locked in the order of these, so what is counted later ranks higher: no
        deadlock.
        """
        # PostgreSQL finds an address with "i" by one with "İ", which Python folds to something else.
        text = "\x00".join(parts).replace("İ", "i").casefold()
        return bytes([rank]) + hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")[1:]


def network_of(address: str | None) -> str:
    """The part of an address that identifies one client: all of IPv4, 64 bits of IPv6."""
    parsed = parse_address(address)
    if parsed is None:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, IPV6_CLIENT_BITS), strict=False).network_address)
    return str(parsed)

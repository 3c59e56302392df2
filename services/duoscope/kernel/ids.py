"""Identifiers: UUIDv7 (RFC 9562, section 5.7), so that ids of new rows sort by time of creation.

The 12 bits after the milliseconds are their fraction (section 6.2, method 3). So ids that one process makes within a
millisecond, such as those of audit entries in one transaction, also sort in order.
"""

import os
import time
from uuid import UUID

_MS_NS = 1_000_000


def new_id() -> UUID:
    """Make a UUIDv7: 48 bits of Unix milliseconds, 12 bits of their fraction (quarters of a microsecond), 62 random
    bits.
    """
    unix_ms, rest_ns = divmod(time.time_ns(), _MS_NS)
    fraction = (rest_ns << 12) // _MS_NS
    random_bits = int.from_bytes(os.urandom(8)) >> 2
    value = (unix_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random_bits
    return UUID(int=value)

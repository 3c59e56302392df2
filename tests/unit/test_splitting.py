"""Refused rows are found, whoever sent them, in few tries; and nobody's for those of another."""

import random

import pytest

from duoscope.receiver.durability.splitting import refused_rows


class Store:
    """Takes rows unless one of them is poison."""

    def __init__(self, poison):
        self._poison = poison
        self.tries = 0

    async def takes(self, rows):
        self.tries += 1
        return not any(start <= bad < end for start, end in rows for bad in self._poison)


def requests(chance, count):
    sizes = [chance.randint(1, 40) for _ in range(count)]
    return [(sum(sizes[:n]), sum(sizes[: n + 1])) for n in range(count)]


@pytest.mark.parametrize("seed", range(50))
async def test_just_the_poison_is_found(seed):
    chance = random.Random(seed)
    rows = requests(chance, chance.randint(1, 60))
    poison = chance.sample(range(rows[-1][1]), min(rows[-1][1], chance.choice((0, 1, 1, 2, 5))))
    store = Store(poison)
    found = await refused_rows(rows, store.takes, splits_max=1000)
    assert sorted(found) == [(bad, bad + 1) for bad in sorted(poison)]
    assert store.tries <= 1 + len(poison) * 2 * (len(rows).bit_length() + 7)


async def test_a_request_full_of_poison_takes_its_own_rows_with_it_and_no_other():
    rows = [(0, 5), (5, 10_005), (10_005, 10_010)]
    store = Store(range(5, 10_005, 2))
    found = await refused_rows(rows, store.takes, splits_max=20)
    assert all(start >= 5 and end <= 10_005 for start, end in found)
    assert {bad for start, end in found for bad in range(start, end)} >= set(range(5, 10_005, 2))
    assert store.tries < 40


async def test_what_is_taken_by_itself_is_not_blamed():
    """Rows that are refused together are not blamed if every part of them is accepted."""

    async def takes(rows):
        return sum(end - start for start, end in rows) < 10

    assert await refused_rows([(0, 9), (9, 18)], takes, splits_max=100) == []
    assert await refused_rows([(0, 18)], takes, splits_max=100) == []

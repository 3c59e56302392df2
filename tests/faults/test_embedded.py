"""`duoscope up` with its embedded engines is killed, engine and all: everything acknowledged is there, once."""

import random
import time

import harness

FLOW = 15


def test_duoscope_up_is_killed(start_up, load, audit, rounds):
    with start_up() as up:
        known = up.known
        tenant = harness.Tenant(up, "embedded", up.key, "", known["admin_email"], known["admin_password"])
        with load(tenant, [up], duplicates=0.1) as sending:
            for _ in range(rounds):
                sending.wait_for(3)
                time.sleep(random.random() * 0.5)
                up.kill()
                up.start()
            sending.wait_for(FLOW)
        audit(f"kill -9 of `duoscope up`, embedded engines and all, {rounds} rounds", tenant, sending.books)
        assert sending.books.rejected == set(), sending.books.unexpected
        up.stop()

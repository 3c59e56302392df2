"""`duoscope up` with its embedded engines is killed, engine and all: everything acknowledged is there, once."""

import random
import time

import harness

FLOW = 15


def test_duoscope_up_is_killed(start_up, load, audit, rounds, say):
    with start_up() as up:
        known = up.known
        tenant = harness.Tenant(up, "embedded", up.key, "", known["admin_email"], known["admin_password"])
        with load(tenant, [up], duplicates=0.1) as sending:
            for number in range(rounds):
                if number % 10 == 0:
                    say(f"kill -9 of `duoscope up`: round {number} of {rounds}")
                sending.wait_for(3)
                time.sleep(random.random() * 0.5)
                up.kill()
                up.start()
            sending.wait_for(FLOW)
        audit("`kill -9` of `duoscope up`, embedded engines and all", tenant, sending.books, rounds)
        assert sending.books.rejected == set(), sending.books.unexpected
        up.stop()

"""Which connection is admitted, and which gives way."""

import ipaddress

from duoscope.net.peers import IDLE_SPARED_S, Peers


class Wire:
    """A connection that knows whether it was ended."""

    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


def admitted(peers, address, now=0.0):
    wire = Wire()
    wire.peer = peers.admit(address, wire.close, now)
    return wire


def test_a_flood_of_silent_connections_shuts_nobody_out():
    peers = Peers(8, 4)
    asking = admitted(peers, "192.0.2.1")
    peers.busy(asking.peer)
    flood = [admitted(peers, "192.0.2.1") for _ in range(1000)]
    assert peers.count == 4
    assert [wire.closed for wire in flood] == [True] * 997 + [False] * 3
    assert not asking.closed
    assert not any(wire.peer.crowded for wire in flood)


def test_the_oldest_silent_connection_of_the_fullest_address_gives_way():
    peers = Peers(6, 4)
    mine, theirs = admitted(peers, "192.0.2.1"), [admitted(peers, "192.0.2.2") for _ in range(4)]
    others = [admitted(peers, f"192.0.2.{n}") for n in (3, 4, 5)]
    assert [wire.closed for wire in theirs] == [True, True, False, False]
    assert not mine.closed
    assert not any(wire.closed for wire in others)


def test_who_asks_is_never_cut_off_for_others():
    peers = Peers(4, 4)
    wires = [admitted(peers, f"192.0.2.{n}") for n in range(4)]
    for wire in wires:
        peers.busy(wire.peer)
    fifth = admitted(peers, "192.0.2.9")
    assert fifth.peer.crowded
    peers.busy(fifth.peer)
    assert admitted(peers, "192.0.2.9").peer is None
    assert not any(wire.closed for wire in wires)
    # Who was answered is spared for a moment, and gives way after it.
    peers.idle(wires[0].peer, 10.0)
    peers.leave(fifth.peer)
    assert admitted(peers, "192.0.2.9", 10.0 + IDLE_SPARED_S / 2).peer.crowded
    assert not wires[0].closed
    later = admitted(peers, "192.0.2.9", 10.0 + 2 * IDLE_SPARED_S)
    assert not later.peer.crowded


def test_addresses_of_one_customer_are_one():
    peers = Peers(100, 2)
    for address in ("2001:db8:1:2::1", "2001:db8:1:2::2", "::ffff:192.0.2.1", "192.0.2.1"):
        peers.busy(admitted(peers, address).peer)
    assert admitted(peers, "2001:db8:1:2::3").peer.crowded
    assert admitted(peers, "192.0.2.1").peer.crowded
    assert not admitted(peers, "2001:db8:1:3::1").peer.crowded


def test_proxies_have_no_limit_by_address():
    peers = Peers(100, 2, [ipaddress.ip_network("10.0.0.0/8")])
    wires = [admitted(peers, "10.1.2.3") for _ in range(50)]
    assert not any(wire.closed or wire.peer.crowded for wire in wires)


def test_nothing_is_left_of_who_went():
    peers = Peers(2, 2)
    wires = [admitted(peers, "192.0.2.1") for _ in range(5)]
    for wire in wires:
        peers.leave(wire.peer)
        peers.leave(wire.peer)
    assert (peers.count, peers._origins) == (0, {})

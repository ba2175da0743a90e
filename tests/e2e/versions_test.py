"""Other versions: of a peer's protocol, and of an index on the disk. Said in words, and nothing is harmed."""
import os
import shutil
import socket
import sqlite3
import struct
import threading
import time

import tree
from cases import check, check_equal, eventually, main
from lan import FAST, Lan, settled


def version_of(node):
    return node.cli("version", "--json").json["protocol"]


class OtherVersion:
    """A node of another protocol version, as far as its beacons go: each half second, from a host of its own."""

    def __init__(self, net, name, model, version):
        # Up to the boot id all versions agree (docs/protocol.md, 1).
        beacon = bytearray(model)
        beacon[4] = version
        beacon[14:38] = os.urandom(24)
        self._beacon = bytes(beacon)
        self._socket = net.socket(name, socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.bind((net.address(name), 27800))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._end.is_set():
            self._socket.sendto(self._beacon, ("10.77.0.255", 27800))
            self._end.wait(0.5)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self._socket.close()


def a_beacon(net):
    """One that was seen on the LAN."""
    with net.tap() as tap:
        tap.settimeout(10)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            frame = tap.recv(70_000)
            at = frame.find(b"LSYN")
            if at > 0 and frame[12:14] == b"\x08\x00" and struct.unpack("!H", frame[36:38])[0] == 27800:
                return frame[at:]
    raise AssertionError("no beacon was seen in 10 s")


def test_peer_of_another_protocol():
    """A peer of protocol + 1 stands in `peers` with its number and what to do, and `status` does not hide it."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        model = a_beacon(net)
        newer = version_of(a) + 1
        with OtherVersion(net, "future", model, newer):
            row = eventually(lambda: [p for p in a.cli("peers", "--json").json if p["state"] == "refused"], 10,
                             "the peer of another version in `peers`")[0]
            check_equal(row["protocol"], newer, "protocol")
            check_equal(row["address"], net.address("future"), "address")
            check(f"protocol {newer}" in row["reason"] and "install" in row["reason"], f"reason: {row['reason']!r}")
            check(row["reason"] in a.cli("peers").stdout, f"`peers` for people: {a.cli('peers').stdout}")
            status = a.status()
            check(f"protocol {newer}" in status["reason"] and net.address("future") in status["reason"],
                  f"state {status['state']} with reason {status['reason']!r}")
            check(f"protocol {newer}" in a.log(), f"the log does not say it: {a.log()}")
            # Among themselves those of one version go on.
            b = net.node("b").start(*FAST)
            a.write("x.txt", "x")
            settled([a, b])
            # b has to hear it first, and in sync it may be sooner.
            eventually(lambda: f"protocol {newer}" in b.status()["reason"], 10, lambda: f"b: {b.status()['reason']!r}")
            check(a.log().count(f"protocol {newer}") == 1, "the log repeats it")


def index_database(node):
    return sqlite3.connect(node.at(".lansync/index.db"))


def test_index_of_a_newer_program():
    """A newer index is refused in one line that says what to do, exit 1; the file keeps every byte."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        a.write("x.txt", "x")
        a.wait(peers=0)
        a.stop()
        with index_database(a) as database:
            database.execute("UPDATE header SET schema = 99")
            database.execute("PRAGMA user_version = 99")
        database.close()
        before = tree.digest(a.at(".lansync/index.db"))
        a.start(wait_ready=False)
        check_equal(a.process.wait(20), 1, "exit code")
        line = a.log().splitlines()[-1]
        check("newer" in line and "99" in line and "index.db" in line, f"it says: {line!r}")
        check_equal(tree.digest(a.at(".lansync/index.db")), before, "the index")
        check(not [n for n in os.listdir(a.at(".lansync")) if "broken" in n], "it was set aside")
        check_equal(a.read("x.txt"), b"x", "the folder")
        a.process = None


def test_index_from_before():
    """An index from before nodes were keys is refused in one line: remove .lansync; the files stay."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        a.write("x.txt", "x")
        a.wait(peers=0)
        a.stop()
        with index_database(a) as database:
            database.executescript("ALTER TABLE header DROP COLUMN era; UPDATE header SET schema = 3; PRAGMA user_version = 3;")
        database.close()
        before = tree.digest(a.at(".lansync/index.db"))
        a.start(wait_ready=False)
        check_equal(a.process.wait(20), 1, "exit code")
        line = a.log().splitlines()[-1]
        check(f"remove {a.at('.lansync')}" in line and "files stay" in line, f"it says: {line!r}")
        check_equal(tree.digest(a.at(".lansync/index.db")), before, "the index")
        a.process = None
        shutil.rmtree(a.at(".lansync"))
        a.start()
        a.wait(peers=0)
        check_equal(a.read("x.txt"), b"x", "the file")


if __name__ == "__main__":
    main(__name__)

"""kill -9 at the worst moments: no part of a file under its real name, nothing sent twice, nothing lost."""
import os
import random
import re
import sqlite3
import subprocess
import time

import tree
from cases import check, check_equal, eventually, main, timeout
from lan import FAST, Lan, program, same_trees, settled

SIZE = 60_000_000
KILLS = 10


def hub_and_client(net):
    nodes = [net.node(name) for name in "ab"]
    for node in nodes:
        node.start(*FAST)
    for node in nodes:
        node.wait(peers=1)
    hub = next(node for node in nodes if node.status()["role"] == "server")
    return hub, next(node for node in nodes if node is not hub)


def received(node):
    return node.counter("payload_received")


def kill_during_transfer(victim_is_receiver):
    """Kills one end ten times at random points of one transfer; checks bytes, names and the bound."""
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    with Lan() as net:
        sender, receiver = hub_and_client(net)
        data = tree.payload(SIZE, "crash")
        net.rate("160mbit")  # 3 s for all of it, so that each kill falls into the transfer
        sender.write("big.bin", data)
        total = 0
        for _ in range(KILLS):
            victim = receiver if victim_is_receiver else sender
            began = received(receiver)
            end = time.monotonic() + draw.uniform(0.2, 0.9)
            last = began
            while time.monotonic() < end:
                seen = receiver.read("big.bin")
                check(seen is None or seen == data, f"{len(seen or b'')} bytes under the real name (seed {seed})")
                last = received(receiver)
            if victim_is_receiver:
                # What it received in its last moments is not counted: 20 MB/s for the 50 ms that a look takes.
                total += last
            victim.kill()
            seen = receiver.read("big.bin")
            check(seen is None or seen == data, f"{len(seen or b'')} bytes after a kill (seed {seed})")
            victim.start()
        settled([sender, receiver], 60)
        check(receiver.read("big.bin") == data, f"the content differs (seed {seed})")
        total += received(receiver)
        bound = SIZE * 1.05 + KILLS * (1 << 20)
        check(total <= bound, f"{total} bytes were received in all, {bound:.0f} at most (seed {seed})")
        check(total >= SIZE * 0.5, f"only {total} bytes were counted: the test measured nothing (seed {seed})")
        eventually(lambda: not os.listdir(receiver.at(".lansync/tmp")), 10,
                   lambda: f"left in tmp: {os.listdir(receiver.at('.lansync/tmp'))}")


@timeout(240)
def test_receiver_killed_ten_times():
    """The receiver killed ten times during a transfer: never a part, and size + 5 % + 1 MiB a kill in all."""
    kill_during_transfer(victim_is_receiver=True)


@timeout(240)
def test_sender_killed_ten_times():
    """The sender killed ten times during a transfer: never a part, and size + 5 % + 1 MiB a kill in all."""
    kill_during_transfer(victim_is_receiver=False)


def test_hub_killed_during_push():
    """A hub killed with a push half done: the pusher pushes to the next hub, and nothing is lost."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abc"]
        for node in nodes:
            node.start(*FAST)
        for node in nodes:
            node.wait(peers=2)
        hub = next(node for node in nodes if node.status()["role"] == "server")
        pusher, other = [node for node in nodes if node is not hub]
        net.rate("100mbit")
        data = tree.payload(20_000_000, "push")
        pusher.write("big.bin", data)
        for n in range(50):
            pusher.write(f"small/{n}.txt", str(n))
        eventually(lambda: received(hub) > 2_000_000, 20, "the push under way", 0.01)
        hub.kill()
        check(other.read("big.bin") in (None, data), "a part of it is shown")
        eventually(lambda: other.read("big.bin") == data, 30, "the file on the third node")
        settled([pusher, other])
        hub.start()
        found = settled(nodes, 60)
        check_equal(len([e for e in found.values() if e[0] == "file"]), 51, "files")


def test_killed_while_editing():
    """A node killed again and again while its folder is edited: every edit arrives, none is undone."""
    with Lan() as net:
        hub, client = hub_and_client(net)
        for n in range(20):
            client.write(f"{n}.txt", "old")
        settled([hub, client])
        draw = random.Random(7)
        for turn in range(6):
            for n in range(20):
                client.write(f"{n}.txt", f"turn {turn} file {n}")
            client.write(f"new-{turn}.txt", "new")
            hub.write(f"of-hub-{turn}.txt", str(turn))
            time.sleep(draw.uniform(0.0, 0.5))
            client.kill()
            if turn == 2:
                hub.kill()
                hub.start()
            client.start()
        found = settled([hub, client], 60)
        check_equal([p for p in found if "conflict" in p], [], "conflict copies of files that one node edited")
        for n in range(20):
            check_equal(hub.read(f"{n}.txt"), f"turn 5 file {n}".encode(), f"{n}.txt")
        check_equal(len(found), 20 + 6 + 6, "files")


def test_killed_during_many_small_files():
    """A receiver killed in the middle of thousands of small files goes on where it was."""
    with Lan() as net:
        hub, client = hub_and_client(net)
        net.rate("100mbit")
        for n in range(3000):
            hub.write(f"d{n % 40}/{n}.txt", tree.payload(4096, n))
        want = hub.snapshot()
        for _ in range(4):
            time.sleep(0.6)
            seen = client.snapshot()
            wrong = [p for p, entry in seen.items() if entry[0] == "file" and entry != want[p]]
            check_equal(wrong, [], "files that are not as they were saved")
            client.kill()
            client.start()
        settled([hub, client], 60)
        check_equal(tree.differences(want, client.snapshot()), [], "the tree")


def test_killed_during_delete():
    """A node killed while a delete of a large directory is being carried out finishes it, and brings nothing back."""
    with Lan() as net:
        hub, client = hub_and_client(net)
        for n in range(400):
            hub.write(f"dir/{n % 10}/{n}.txt", str(n))
            hub.write(f"keep/{n}.txt", str(n))
            hub.write(f"keep2/{n}.txt", str(n))
        settled([hub, client])
        hub.remove("dir")
        time.sleep(0.45)
        client.kill()
        client.start()
        found = settled([hub, client], 60)
        check_equal([p for p in found if p.startswith("dir")], [], "what came back")
        check_equal(len([e for e in found.values() if e[0] == "file"]), 800, "files that are left")


def trash_of(node):
    """(what lies in the node's trash, what the node lists of it), by name, without the folder of its time."""
    top = node.at(".lansync/trash")
    there = {re.sub(r"^\d{4}-\d\d-\d\d_[^/]*/", "", os.path.relpath(os.path.join(at, name), top))
             for at, _, names in os.walk(top) for name in names}
    rows = node.cli("trash", "--json").json
    return there, {row["name"] for row in rows if row["node"] == node.name}


@timeout(240)
def test_killed_while_fourteen_hundred_deletes_are_applied():
    """kill -9 in the middle of 1,400 deletes: what lies in the trash is what is listed, and none of it is held."""
    with Lan() as net:
        hub, client = hub_and_client(net)
        hub.stop(), client.stop()
        for node in (hub, client):
            node.start(*FAST, "--max-deletes", "100%")
        for n in range(1400):
            hub.write(f"dir/{n % 10}/{n}.txt", f"file {n}")
        hub.write("keep.txt", "kept")
        settled([hub, client], 60)
        moved = 0
        for killed in range(6):
            # Each a part of it: a kill falls between the moves and their rows if it comes at the right moment.
            hub.remove(f"dir/{killed}")
            eventually(lambda: len(client.files()) < 1401 - 140 * killed, 20, "deletes under way", 0.001)
            client.kill()
            moved = sum(len(names) for _, _, names in os.walk(client.at(".lansync/trash")))
            client.start(*FAST, "--max-deletes", "100%")
            settled([hub, client], 60)
            there, listed = trash_of(client)
            check(len(there) >= moved, f"{len(there)} in the trash, {moved} when it was killed")
            check_equal(sorted(there ^ listed)[:3], [], f"not both there and listed ({len(there)}, {len(listed)})")
            check_equal(client.status()["held_deletes"], 0, "deletes held")
        check_equal(client.cli("trash", "--restore", "dir/0/0.txt").code, 0, "restore of one of them")
        eventually(lambda: hub.read("dir/0/0.txt") == b"file 0", 20, "what was brought back")


def test_killed_while_it_restores():
    """kill -9 in the midst of `trash --restore` of a directory: trash and list are the same, and asked once more all is back."""
    draw = random.Random(random.randrange(1 << 32))
    with Lan() as net:
        a, b = nodes = hub_and_client(net)
        for node in nodes:
            node.stop()
            node.start(*FAST, "--max-deletes", "100%")
        want = {f"dir/{n % 5}/{n}.txt": f"text {n}".encode() for n in range(300)}
        for name, text in want.items():
            a.write(name, text)
        settled(nodes, 60)
        for turn in range(5):
            b.remove("dir")
            settled(nodes, 60)
            asked = subprocess.Popen([program(), "-C", a.path, "trash", "--restore", "dir"], env=a.environment(),
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if turn % 2:
                eventually(a.files, 5, "what comes back", 0.001)
            time.sleep(draw.uniform(0, 0.1))
            a.kill()
            asked.wait()
            a.start(*FAST, "--max-deletes", "100%")
            settled(nodes, 60)
            there, listed = trash_of(a)
            check_equal(sorted(there ^ listed)[:3], [], f"not both there and listed ({len(there)}, {len(listed)})")
            a.cli("trash", "--restore", "dir")
            settled(nodes, 60)
            check_equal({name: b.read(name) for name in b.files()}, want, "what is back")


def test_what_a_crash_left_stays_listed():
    """What a crash left of an exchange is in the trash and listed, after the first start and every later one."""
    with Lan() as net:
        node = net.node("a")
        node.start(*FAST)
        node.stop()
        node.write(".lansync/tmp/x-c-1234", "the only copy")
        os.symlink("what only this link knows", node.at(".lansync/tmp/x-c-77"))
        for starts in range(3):
            node.start(*FAST)
            node.wait()
            there, listed = trash_of(node)
            check_equal((len(there), listed), (2, there), f"the trash after start {starts + 1}")
            node.stop()


def test_index_is_sound():
    """After twenty kills the index opens, is whole, and the node starts warm: no content is fetched again."""
    with Lan() as net:
        hub, client = hub_and_client(net)
        for n in range(300):
            hub.write(f"{n}.bin", tree.payload(5_000, n))
        settled([hub, client])
        draw = random.Random(3)
        for _ in range(20):
            client.kill()
            client.start(wait_ready=False)
            time.sleep(draw.uniform(0.01, 0.3))
        client.kill()
        database = sqlite3.connect(f"file:{client.at('.lansync/index.db')}", uri=True)
        check_equal(database.execute("pragma integrity_check").fetchone(), ("ok",), "integrity")
        database.close()
        client.start()
        settled([hub, client])
        check_equal(received(client), 0, "content bytes after a warm start")
        same_trees([hub, client])


if __name__ == "__main__":
    main(__name__)

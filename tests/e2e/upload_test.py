"""upload: one node offers a file, the other allows or denies it, and it arrives whole beside what was there."""
import hashlib
import os
import subprocess

from cases import check, check_equal, eventually, main
from lan import Lan, Outcome, program, settled

FAST = ("--settle", "200ms")


def three(net, policy):
    a, b, c = (net.node(name) for name in "abc")
    a.start("--role", "server", *FAST, "--uploads", policy)
    for node in (b, c):
        node.start(*FAST, "--uploads", policy)
    for node in (a, b, c):
        node.wait(peers=2)
    return a, b, c


def outside(node, name, data, mtime=1_600_000_000):
    path = os.path.join(node.home, name)
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (mtime, mtime))
    return path


def start_upload(node, path, to):
    return subprocess.Popen([program(), "-C", node.path, "upload", path, "--to", to, "--json"], env=node.environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=node.home)


def end_of(process):
    out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out.decode(), err.decode())


def test_everybody():
    """With five nodes, hub and clients, each uploads to each; all of it is everywhere in the end."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abcde"]
        nodes[0].start("--role", "server", *FAST, "--uploads", "allow")
        for node in nodes[1:]:
            node.start(*FAST, "--uploads", "allow")
        for node in nodes:
            node.wait(peers=4)
        for giver in nodes:
            for taker in nodes:
                name = f"from {giver.name} to {taker.name}.txt"
                if giver is taker:
                    continue
                done = giver.cli("upload", outside(giver, name, name.encode()), "--to", taker.name, "--json")
                check_equal((done.code, done.stderr), (0, ""), f"{name}: {done}")
                check_equal(taker.read(name), name.encode(), name)
        settled(nodes)
        check_equal(len(os.listdir(nodes[0].path)), 20 + 1, "files, and .lansync")


def test_allow():
    """A small, an empty and a large file arrive with MD5 and time, in the group from then on; others' bytes are kept."""
    with Lan() as net:
        a, b, c = three(net, "allow")
        for name, data in (("small.txt", b"small words"), ("empty", b""), ("large.bin", os.urandom(3_000_000)),
                           ("with 'quote' Ü.txt", b"quoted")):
            path = outside(b, name, data)
            done = b.cli("upload", path, "--to", "c", "--json")
            check_equal(done.code, 0, f"upload {name}: {done}")
            said = done.json
            check_equal((said["name"], said["size"], said["md5"], said["peer"], said["mtime"]),
                        (name, len(data), hashlib.md5(data).hexdigest(), "c", "2020-09-13T12:26:40Z"), "upload --json")
            check(said["carrier"] in ("enet", "lane", "tcp") and said["seconds"] >= 0, f"{said}")
            check_equal(c.read(name), data, f"{name} there")
            check_equal(int(os.stat(c.at(name)).st_mtime), 1_600_000_000, "its time")
        settled([a, b, c])
        check_equal(a.read("small.txt"), b"small words", "it is the group's")
        other = b.cli("FileUpload", outside(b, "small.txt", b"other words"), "--to", "c", "--json")
        check_equal((other.code, other.json["name"]), (0, "small (from b).txt"), f"other bytes of that name: {other}")
        check_equal((c.read("small.txt"), c.read("small (from b).txt")), (b"small words", b"other words"), "both")
        settled([a, b, c])
        same = b.cli("upload", os.path.join(b.home, "small.txt"), "--to", "c", "--json")
        check_equal((same.code, same.json["name"]), (0, "small (from b).txt"), f"the same once more: {same}")
        for wrong, word in (("/nowhere/x", "nowhere"), (b.home, "regular file")):
            done = b.cli("upload", wrong, "--to", "c")
            check(done.code == 1 and word in done.stderr, f"upload {wrong}: {done}")
        check_equal(b.cli("upload", "x").code, 2, "upload without --to")


def test_ask_and_deny():
    """ask lists the offer and logs the command that answers it; allow brings it, deny is exit 1; --uploads deny too."""
    with Lan() as net:
        a, b, c = three(net, "ask")
        first = start_upload(b, outside(b, "one.txt", b"one"), "c")
        offers = eventually(lambda: c.cli("uploads", "--json").json, 20, "the offer is listed")
        check_equal([(o["name"], o["size"], o["from"]) for o in offers], [("one.txt", 3, "b")], "uploads")
        check(offers[0]["expires"].endswith("Z"), f"{offers}")
        check(f"lansync uploads allow {offers[0]['id']}" in c.log(), "the log does not say how to answer")
        check(not c.exists("one.txt"), "it came before anybody allowed it")
        check_equal(c.cli("uploads", "allow", str(offers[0]["id"])).code, 0, "allow")
        done = end_of(first)
        check_equal((done.code, done.json["name"], c.read("one.txt")), (0, "one.txt", b"one"), f"{done}")
        second = start_upload(b, outside(b, "two.txt", b"two"), "c")
        offers = eventually(lambda: c.cli("uploads", "--json").json, 20, "the second offer is listed")
        check_equal(c.cli("uploads", "deny", str(offers[0]["id"])).code, 0, "deny")
        done = end_of(second)
        check_equal((done.code, done.json["error"]["code"]), (1, 1), f"a denied upload: {done}")
        check("c does not take it" in done.stderr, f"{done}")
        check_equal((c.cli("uploads", "--json").json, c.exists("two.txt")), ([], False), "after deny")
        check_equal(c.cli("uploads", "allow", "99").code, 1, "an offer that is none")
        third = start_upload(b, outside(b, "three.txt", b"three"), "c")
        eventually(lambda: c.cli("uploads", "--json").json, 20, "the third offer is listed")
        third.kill()
        third.communicate()
        eventually(lambda: not c.cli("uploads", "--json").json, 20, "an offer is taken back when its command ends")
        rows = [(r["direction"], r["command"], r["arguments"]) for r in c.cli("history", "--json").json]
        check_equal(rows, [("in", "upload", n) for n in ("one.txt", "two.txt", "three.txt")], "history there")
        c.stop()
        c.start(*FAST, "--uploads", "deny")
        c.wait(peers=2)
        done = b.cli("upload", os.path.join(b.home, "two.txt"), "--to", "c")
        check(done.code == 1 and "takes no uploads" in done.stderr, f"{done}")


def test_peer_dies():
    """The receiver dies in the middle, the sender dies in the middle: an error at once, nothing half there."""
    with Lan() as net:
        a, b, c = three(net, "ask")
        path = outside(b, "big.bin", os.urandom(1_000_000))
        sending = start_upload(b, path, "c")
        eventually(lambda: c.cli("uploads", "--json").json, 20, "the offer is listed")
        c.kill()
        done = end_of(sending)
        check(done.code == 1 and "c " in done.stderr and "went away" in done.stderr, f"{done}")
        c.start()
        c.wait(peers=2)
        sending = start_upload(b, path, "c")
        eventually(lambda: c.cli("uploads", "--json").json, 20, "the offer is listed")
        b.kill()
        sending.communicate()
        eventually(lambda: not c.cli("uploads", "--json").json, 20, "the offer of a dead node is gone")
        check(not c.exists("big.bin"), "something of it is there")


if __name__ == "__main__":
    main(__name__)

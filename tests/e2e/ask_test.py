"""Asking other nodes: index, hash, search, history; every role asks every role; peers that die in the middle."""
import hashlib
import json
import os
import signal
import subprocess
import time

from cases import check, check_equal, eventually, main, timeout
from lan import Lan, Outcome, program, settled

FAST = ("--settle", "200ms")
NAMES = {
    "plain.txt": b"some plain words\n",
    "with space.txt": b"space\n",
    "Grüße/日本語.txt": "Grüße\n".encode(),
    "quotes 'single' \"double\".txt": b"quotes\n",
    "deep/er/picture.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00",
    "empty": b"",
    "-dash.txt": b"dash\n",
}
TYPES = {"plain.txt": "text/plain", "deep/er/picture.png": "image/png", "empty": "inode/x-empty"}


def five(net):
    """Five nodes in sync: a server's group with four clients."""
    nodes = [net.node(name) for name in "abcde"]
    nodes[0].start("--role", "server", *FAST)
    for name, data in NAMES.items():
        nodes[0].write(name, data)
    for node in nodes[1:]:
        node.start(*FAST)
    settled(nodes, 60)
    return nodes


def hub_of(nodes):
    return next(n for n in nodes if n.status()["role"] == "server")


def pair(net, *options):
    a, b = net.node("a"), net.node("b")
    a.start("--role", "server", *FAST, *options)
    b.start(*FAST, *options)
    for node in (a, b):
        node.wait(peers=1)
    return a, b


def check_failed(outcome, *words, code=1):
    check_equal(outcome.code, code, f"exit code of {outcome}")
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    check_equal(len(lines), 1, f"lines on stderr: {outcome.stderr!r}")
    for word in words:
        check(word.lower() in outcome.stderr.lower(), f"{word!r} is not in {outcome.stderr!r}")


def names_of(outcome):
    check_equal(outcome.code, 0, f"exit code of {outcome}")
    return [row["name"] for row in outcome.json]


def test_everybody_asks_everybody():
    """Every node, hub or client, asks every other for its index, a hash and the history; all say the same."""
    with Lan() as net:
        nodes = five(net)
        hub = hub_of(nodes)
        digest = hashlib.md5(NAMES["with space.txt"]).hexdigest()
        for asker in nodes:
            for asked in nodes:
                if asker is asked:
                    continue
                rows = asker.cli("index", "longlist", "--peer", asked.name, "--json")
                check_equal(sorted(names_of(rows)), sorted(NAMES), f"index of {asked.name} for {asker.name}")
                for row in rows.json:
                    check_equal(row["size"], len(NAMES[row["name"]]), f"size of {row}")
                    check_equal(row["type"], TYPES.get(row["name"], row["type"]), f"type of {row}")
                    check(row["mtime"].endswith("Z"), f"mtime of {row}")
                said = asker.cli("hash", "verify", "with space.txt", "--peer", asked.name, "--json")
                check_equal(said.code, 0, f"hash verify: {said}")
                check_equal((said.json["name"], said.json["md5"], said.json["same"]),
                            ("with space.txt", digest, True), "hash verify")
        for asker in nodes:
            if asker is hub:
                check_failed(asker.cli("index", "longlist"), "--peer", "b, c, d, e")
            else:
                check_equal(sorted(names_of(asker.cli("index", "longlist", "--json"))), sorted(NAMES),
                            "index of the hub without --peer")
            check_failed(asker.cli("index", "longlist", "--peer", "nobody"), "nobody", "known are")
            found = asker.cli("search", "日本語.txt", "--json")
            check_equal(found.code, 0, f"search: {found}")
            check_equal([r["name"] for r in found.json], ["Grüße/日本語.txt"] * 5, "records")
            check_equal(sorted(r["node"] for r in found.json), list("abcde"), "holders")
            for record in found.json:
                check_equal(record["address"], net.address(record["node"]), f"address of {record}")
                check(record["port"] > 0 and record["type"] and record["size"] == 8, f"{record}")
        # Sessions between two clients end when nothing goes over them any more.
        clients = [n for n in nodes if n is not hub]
        eventually(lambda: all(p["name"] == hub.name for c in clients for p in c.status()["peers"]
                               if p["state"] == "connected"), 20, "clients keep sessions among themselves")


def test_lists():
    """longlist, shortlist with both ends included, regex, directories; aliases; what is wrong usage."""
    with Lan() as net:
        a, b = pair(net)
        for number, name in enumerate(["one.txt", "two.txt", "sub/three.md"]):
            a.write(name, name)
            os.utime(a.at(name), (1_700_000_000 + number * 10,) * 2)
        os.symlink("one.txt", a.at("link"))
        settled([a, b])
        everything = names_of(b.cli("index", "longlist", "--json"))
        check_equal(everything, sorted(["one.txt", "two.txt", "sub/three.md", "link"]), "longlist, by name")
        check_equal(names_of(b.cli("IndexGet", "longlist", "--json")), everything, "IndexGet")
        check_equal(names_of(b.cli("index", "longlist", "--directories", "--json")), sorted(everything + ["sub"]),
                    "with directories")
        check_equal(names_of(b.cli("index", "shortlist", "1700000000", "1700000010", "--json")),
                    ["one.txt", "two.txt"], "shortlist by epoch")
        check_equal(names_of(b.cli("index", "shortlist", "2023-11-14T22:13:30Z", "2023-11-14T22:13:40Z", "--json")),
                    ["sub/three.md", "two.txt"], "shortlist by ISO 8601")
        for start, end in (("0", "99999999999"), ("0001-01-01", "9999-12-31")):
            check_equal(names_of(b.cli("index", "shortlist", start, end, "--json")), everything, f"{start} to {end}")
        check_equal(names_of(b.cli("index", "regex", r"\.txt$", "--json")), ["one.txt", "two.txt"], "regex")
        check_equal(names_of(b.cli("index", "regex", "nothing", "--json")), [], "an empty list")
        text = b.cli("index", "longlist")
        check("one.txt" in text.stdout and "text/plain" in text.stdout, f"the list for people: {text}")
        for wrong in (["index"], ["index", "shortlist", "x", "y"], ["index", "shortlist", "1"], ["index", "regex"],
                      ["index", "everything"], ["index", "shortlist", "2", "1"], ["index", "regex", "("],
                      ["hash"], ["hash", "verify"], ["search"], ["search", "--regex", "["]):
            check_failed(b.cli(*wrong), code=2)
        # A pattern that makes a backtracking matcher try for years.
        a.write("a" * 200, b"x")
        settled([a, b])
        started = time.monotonic()
        check_equal(names_of(b.cli("index", "regex", "(a*)*z", "--json")), [], "a hostile pattern")
        check(time.monotonic() - started < 5, "the hostile pattern took its time")
        check_failed(b.cli("index", "regex", "((a{1,30}){1,30}){1,30}"), code=2)


def test_hashes():
    """hash tells MD5 and mtime from the disk there, and whether ours is the same; checkall lists every file."""
    with Lan() as net:
        a, b = pair(net)
        a.write("x.bin", b"first")
        a.write("sub/y.bin", b"second")
        settled([a, b])
        b.cli("pause")
        b.write("x.bin", b"other")
        said = b.cli("FileHash", "verify", "x.bin", "--json")
        check_equal(said.code, 1, "exit code of a file that differs")
        check_equal((said.json["md5"], said.json["same"]), (hashlib.md5(b"first").hexdigest(), False), "hash verify")
        everything = b.cli("hash", "checkall", "--json")
        check_equal(everything.code, 1, "exit code of checkall with a difference")
        check_equal([(r["name"], r["same"]) for r in everything.json], [("sub/y.bin", True), ("x.bin", False)],
                    "checkall")
        only_there = a.cli("hash", "verify", "x.bin", "--json")
        check_equal(only_there.code, 1, f"the other way round: {only_there}")
        b.write("new.bin", b"mine")
        eventually(lambda: a.cli("hash", "verify", "new.bin").code == 1, 5, "a file that is not there")
        check_failed(a.cli("hash", "verify", "gone.bin"), "b", "gone.bin")
        check_failed(a.cli("hash", "verify", "sub"), "no regular file")


def map_block(path):
    """Where the first block of a file is on its device."""
    import fcntl
    import struct
    with open(path, "rb") as file:
        block = struct.unpack("i", fcntl.ioctl(file, 1, struct.pack("i", 0)))[0]  # FIBMAP
    return block * os.statvfs(path).f_bsize


@timeout(120)
def test_rot():
    """Bytes that rot under an unchanged file are found, shown, and healed from another node; the bad copy is kept."""
    with Lan() as net:
        image, place = os.path.join(net.root, "disk.img"), os.path.join(net.root, "disk")
        with open(image, "wb") as file:
            file.truncate(48 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        os.mkdir(place)
        subprocess.run(["mount", "-o", "loop", image, place], check=True)
        try:
            a, b = net.node("a"), net.node("b", os.path.join(place, "folder"))
            a.start("--role", "server", *FAST)
            b.start(*FAST)
            a.write("precious.txt", b"precious words " * 600)
            a.write("other.txt", b"other words")
            settled([a, b])
            os.sync()
            before = os.stat(b.at("precious.txt"))
            offset = map_block(b.at("precious.txt"))
            with open(image, "r+b") as file:
                file.seek(offset)
                check_equal(file.read(8), b"precious", "what is on the disk")
                file.seek(offset)
                file.write(b"ROTTEN!!")
            said = a.cli("hash", "verify", "precious.txt", "--peer", "b", "--json")
            check_equal(os.stat(b.at("precious.txt")).st_ctime_ns, before.st_ctime_ns, "ctime")
            check_equal((said.code, said.json["same"], said.json["state"]), (1, False, "rotten"), f"{said}")
            everything = a.cli("hash", "checkall", "--peer", "b", "--json")
            check_equal({r["name"]: r["state"] for r in everything.json},
                        {"precious.txt": "rotten", "other.txt": "good"}, "checkall")
            check("silent corruption" in b.log() and "precious.txt" in b.log(), "the log there says nothing")
            healed = a.cli("hash", "checkall", "--repair", "--peer", "b", "--json")
            check_equal({r["name"]: (r["state"], r["same"]) for r in healed.json},
                        {"precious.txt": ("repaired", True), "other.txt": ("good", True)}, f"repair: {healed}")
            check_equal(healed.code, 0, "exit code of a repair")
            check_equal(b.read("precious.txt"), b"precious words " * 600, "the file afterwards")
            trash = [t["name"] for t in b.cli("trash", "--json").json]
            check_equal(trash, ["precious.txt"], "the trash there")
            settled([a, b])
            check_equal(a.read("precious.txt"), b"precious words " * 600, "the good copy")
        finally:
            net.close()
            for _ in range(50):
                if subprocess.run(["umount", place], capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)


def test_search():
    """search finds by last name, path and pattern; says who; who leaves or dies is out within 5 s; none: exit 1."""
    with Lan() as net:
        nodes = five(net)
        hub = hub_of(nodes)
        asker = next(n for n in nodes if n is not hub)
        others = [n for n in nodes if n not in (hub, asker)]
        check_equal({r["name"] for r in asker.cli("search", "deep/er/picture.png", "--json").json},
                    {"deep/er/picture.png"}, "by path")
        check_equal({r["name"] for r in asker.cli("search", "--regex", "er/.*png|dash", "--json").json},
                    {"deep/er/picture.png", "-dash.txt"}, "by pattern")
        none = asker.cli("search", "no such file", "--json")
        check_equal((none.code, none.json), (1, []), f"nobody has it: {none}")
        check_failed(asker.cli("search", "no such file"), "nobody", "no such file")
        check_failed(hub.cli("search", "er/picture.png"), "nobody")

        def holders():
            return {r["node"] for r in asker.cli("search", "plain.txt", "--json").json}

        check_equal(holders(), set("abcde"), "holders")
        others[0].stop()
        eventually(lambda: others[0].name not in holders(), 5, "a node that said goodbye is still shown")
        others[1].kill()
        eventually(lambda: others[1].name not in holders(), 5, "a node that died is still shown")
        asker.write("mine.txt", b"just here")
        eventually(lambda: {r["node"] for r in hub.cli("search", "mine.txt", "--json").json if r} ==
                   {n.name for n in (hub, asker, others[2])}, 20, "all that are left hold the new file")


@timeout(120)
def test_peer_dies():
    """A peer that is killed or frozen in the middle of an answer: a clear error at once, exit 1, no document."""
    with Lan() as net:
        a, b, c = (net.node(name) for name in "abc")
        for number in range(30):
            a.write(f"big{number:02}", os.urandom(64) + bytes(8_000_000))
        a.start("--role", "server", *FAST)
        for node in (b, c):
            node.start(*FAST)
        settled([a, b, c], 100)
        for how, limit in ((signal.SIGSTOP, 8), (signal.SIGKILL, 8)):
            asking = subprocess.Popen([program(), "-C", b.path, "hash", "checkall", "--peer", "c"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=b.environment())
            # Its first rows are here: it is in the middle.
            os.read(asking.stdout.fileno(), 1)
            c.process.send_signal(how)
            started = time.monotonic()
            out, err = asking.communicate(timeout=30)
            took = time.monotonic() - started
            check_failed(Outcome(asking.returncode, out.decode(), err.decode()), "c")
            check(took < limit, f"it took {took:.1f} s to say so")
            if how == signal.SIGSTOP:
                c.process.send_signal(signal.SIGCONT)
                eventually(lambda: b.cli("index", "longlist", "--peer", "c", "--json").code == 0, 20,
                           "it answers again", every=0.5)
        check_failed(b.cli("index", "longlist", "--peer", "c"), "c")


@timeout(300)
def test_many_files():
    """100,000 names: the first rows within 2 s, all of them, both ends in bounded memory, also if nobody reads."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        for d in range(100):
            os.makedirs(a.at(f"d{d:03}"))
            for f in range(1000):
                open(a.at(f"d{d:03}/file number {f:04}.txt"), "wb").close()
        a.start("--role", "server", "--settle", "200ms")
        eventually(lambda: a.status()["state"] == "in-sync", 120, "the first scan", every=0.5)
        b.start("--settle", "200ms", "--on-demand")
        b.wait(peers=1, seconds=120)

        def memory(node):
            with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
                return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))

        before = memory(a), memory(b)
        started = time.monotonic()
        asking = subprocess.Popen([program(), "-C", b.path, "index", "longlist"], stdout=subprocess.PIPE,
                                  env=b.environment())
        asking.stdout.readline()
        first = time.monotonic() - started
        # A reader that stops reading stops the whole chain, and nothing piles up.
        time.sleep(1)
        after = memory(a), memory(b)
        rest = sum(1 for _ in asking.stdout)
        check_equal((asking.wait(), rest + 1), (0, 100_000), "exit code and rows")
        check(first < 2, f"the first row came after {first:.1f} s")
        for node, one, two in zip("ab", before, after):
            check(two - one < 20, f"memory of {node} grew from {one} to {two} MB")
        regex = b.cli("index", "regex", "d042/file number 00[0-4]", "--json")
        check_equal(len(names_of(regex)), 50, "rows of a pattern")


def test_own_files_are_compared():
    """`hash verify NAME --peer SELF` reads one's own file anew and compares it, on the hub and on a client."""
    with Lan() as net:
        a, b = pair(net)
        a.write("x.txt", "some text")
        settled([a, b])
        for node in (a, b):
            for name in ("x.txt", "all"):
                args = ("verify", name) if name != "all" else ("checkall",)
                said = node.cli("hash", *args, "--peer", node.name, "--json")
                check_equal(said.code, 0, f"exit code of {said}")
                rows = said.json if isinstance(said.json, list) else [said.json]
                check_equal([(row["name"], row["same"]) for row in rows], [("x.txt", True)], f"{node.name} about itself")


def test_the_dead_are_not_here():
    """A node that died without a word is not among those that may be asked."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abcd"]
        nodes[0].start("--role", "server", *FAST)
        for node in nodes[1:]:
            node.start(*FAST)
        settled(nodes)
        hub, dead = nodes[0], nodes[2]
        check_failed(hub.cli("index", "longlist"), "here are: b, c, d")
        dead.kill()
        time.sleep(4)
        said = hub.cli("index", "longlist")
        check_failed(said, "here are: b, d")
        # With one left nobody needs to be named.
        nodes[1].kill()
        time.sleep(4)
        check_equal(hub.cli("index", "longlist").code, 0, "exit code with one node left")


if __name__ == "__main__":
    main(__name__)

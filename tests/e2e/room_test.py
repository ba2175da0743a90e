"""Disks that are too small, and disks that fill: what does not fit waits, everything else goes on."""
import contextlib
import os
import subprocess
import time

import tree
from cases import check, check_equal, eventually, main
from lan import FAST, Lan, settled

MB = 1 << 20


@contextlib.contextmanager
def disk(node, size):
    """The node's folder on a disk of its own, of that size."""
    os.makedirs(node.path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", node.path], check=True)
    try:
        yield
    finally:
        node.kill()
        subprocess.run(["umount", "-l", node.path], capture_output=True)


def free(node):
    info = os.statvfs(node.path)
    return info.f_bavail * info.f_frsize


def fill(node, leave):
    """A file that sync does not take (a rule says so) and that leaves `leave` bytes free."""
    with open(node.at("ballast.bin"), "ab") as file:
        block = b"b" * MB
        while free(node) > leave + MB:
            file.write(block)
            file.flush()
        file.write(b"b" * max(0, free(node) - leave))


def temp_bytes(node):
    folder = node.at(".lansync/tmp")
    return sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for name in os.listdir(folder))


def test_first_pull_does_not_begin():
    """A first pull that would not fit is held with both figures; it begins by itself when there is room."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        with disk(b, "48m"):
            b.write("own.txt", "b's own")
            fill(b, 20 * MB)
            for n in range(12):
                a.write(f"d/{n}.bin", tree.payload(3 * MB, n))
            a.write("small.txt", "small")
            b.write(".lansyncignore", "ballast.bin\n")
            a.write(".lansyncignore", "ballast.bin\n")
            os.utime(a.at(".lansyncignore"), (1, 1))
            os.utime(b.at(".lansyncignore"), (1, 1))
            a.start(*FAST)
            a.wait()
            b.start(*FAST)
            said = eventually(lambda: b.status()["state"] == "held" and b.status(), 10,
                              lambda: f"held: {b.status()['state']} {b.status()['reason']!r}")
            for word in ("36", "free", "--on-demand"):
                check(word in said["reason"], f"{word!r} is not in the reason: {said['reason']!r}")
            time.sleep(1.5)
            check(not b.exists("d/0.bin") and not b.exists("small.txt"), "the pull began")
            check(free(b) > 19 * MB, f"{free(b)} bytes are free on b")
            # What b has goes out meanwhile, and deletes come in.
            eventually(lambda: a.read("own.txt") == b"b's own", 10, "b's own file on a")
            check(b.cli("wait", "--timeout", "1s").code == 1, "a held node says that it is in sync")
            os.remove(b.at("ballast.bin"))
            eventually(lambda: b.exists("d/11.bin") and b.exists("small.txt"), 15, "the pull once there is room")
            settled([a, b])


def test_first_pull_confirmed():
    """`confirm` takes what fits of a first pull that was held; a smaller wish (an ignore rule) lets it begin, too."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        with disk(b, "16m"):
            for n in range(8):
                a.write(f"large/{n}.bin", tree.payload(4 * MB, n))
            for n in range(20):
                a.write(f"notes/{n}.txt", f"note {n}")
            a.start(*FAST)
            a.wait()
            b.start(*FAST)
            eventually(lambda: b.status()["state"] == "held", 10, "held")
            check(not b.exists("notes/0.txt"), "the pull began")
            outcome = b.cli("confirm")
            check_equal(outcome.code, 0, f"confirm ({outcome})")
            eventually(lambda: all(b.exists(f"notes/{n}.txt") for n in range(20)), 15, "the small files")
            eventually(lambda: b.status()["state"] == "syncing" and "room" in b.status()["reason"] + " " or
                       "space" in b.status()["reason"], 10, lambda: f"the reason: {b.status()['reason']!r}")
            a.write(".lansyncignore", "large/\n")
            eventually(lambda: b.status()["state"] == "in-sync", 15,
                       lambda: f"in sync without them: {b.status()['state']} {b.status()['reason']!r}")


def test_disk_fills_midway():
    """A full disk: syncing with the reason, no partial file, targets untouched; the rest goes on; room is used at once."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        with disk(b, "64m"):
            for node in (a, b):
                node.write(".lansyncignore", "ballast.bin\n")
                os.utime(node.at(".lansyncignore"), (1, 1))
            a.write("grows.bin", tree.payload(2 * MB, "old"))
            a.write("gone.txt", "gone")
            a.write("moves.txt", "moves")
            a.start(*FAST)
            a.wait()
            b.start(*FAST)
            settled([a, b])
            old = b.read("grows.bin")
            fill(b, 4 * MB)
            a.write("grows.bin", tree.payload(10 * MB, "new"))
            for n in range(40):
                a.write(f"many/{n}.bin", tree.payload(256 * 1024, n))
            said = eventually(lambda: ("space" in b.status()["reason"] or "room" in b.status()["reason"]) and b.status(), 15,
                              lambda: f"the reason: {b.status()['reason']!r}")
            check_equal(said["state"], "syncing", "state")
            check(b.read("grows.bin") == old, "the target was touched")
            # Everything else goes on: deletes, renames, this node's pushes, files that fit.
            a.remove("gone.txt")
            os.rename(a.at("moves.txt"), a.at("moved.txt"))
            b.write("from-b.txt", "b")
            a.write("tiny.txt", "tiny")
            eventually(lambda: not b.exists("gone.txt"), 10, "a delete")
            eventually(lambda: b.exists("moved.txt") and not b.exists("moves.txt"), 10, "a rename")
            eventually(lambda: a.read("from-b.txt") == b"b", 10, "b's own file on a")
            # What was left over is anything between nothing and one file's size, and bookkeeping takes of it: room is
            # made bit by bit, and the small file comes before there is enough for one of the others.
            steps = iter(range(1, 5))
            while b.read("tiny.txt") != b"tiny":
                check(next(steps, None), f"a file that fits is not there with {free(b)} bytes free")
                os.truncate(b.at("ballast.bin"), os.path.getsize(b.at("ballast.bin")) - 64 * 1024)
                end = time.monotonic() + 4
                while time.monotonic() < end and b.read("tiny.txt") != b"tiny":
                    time.sleep(0.1)
            for name in b.files():
                if name.startswith("many/"):
                    check_equal(b.read(name), a.read(name), name)
            check(temp_bytes(b) < 4 * MB, f"{temp_bytes(b)} bytes in tmp")
            # Content leaves the reserve alone; index.db and its journal grow into it, by some ten pages a file.
            check(free(b) >= 64 * MB // 100 - 160 * 1024, f"{free(b)} bytes free: the reserve was used")
            os.remove(b.at("ballast.bin"))
            started = time.monotonic()
            eventually(lambda: b.read("grows.bin") == a.read("grows.bin") and b.exists("many/39.bin"), 15, "the rest")
            print(f"        went on {time.monotonic() - started:.1f} s after there was room")
            settled([a, b])
            left = [name for name in os.listdir(b.at(".lansync/tmp"))]
            check_equal(left, [], "left in tmp")


def test_full_hub_hands_over():
    """A hub whose disk is full gives the group to a member that has room; pushes go on; the hub does not flap."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        with disk(a, "32m"):
            a.write(".lansyncignore", "ballast.bin\n")
            a.start(*FAST)
            a.wait()
            for node in (b, c):
                node.start(*FAST)
            settled([a, b, c])
            check_equal(a.status()["role"], "server", "a's role")
            fill(a, 2 * MB)
            b.write("large.bin", tree.payload(8 * MB, 1))
            eventually(lambda: c.exists("large.bin") and c.read("large.bin") == b.read("large.bin"), 30,
                       lambda: f"c has what a has no room for; a {a.status()['role']} {a.status()['reason']!r}, "
                               f"b {b.status()['reason']!r}")
            hubs = [node.name for node in (a, b, c) if node.status()["role"] == "server"]
            check(hubs in (["b"], ["c"]), f"hubs are {hubs}")
            for node in (a, b, c):
                check_equal(node.status()["hub"]["name"], hubs[0], f"{node.name}'s hub")
            check("space" in a.status()["reason"] or "room" in a.status()["reason"], f"a's reason {a.status()['reason']!r}")
            c.write("more.txt", "m")
            eventually(lambda: a.exists("more.txt") and b.exists("more.txt"), 10, "what fits goes everywhere")
            term = b.status()["term"]
            time.sleep(8)
            check_equal((b.status()["term"], b.status()["hub"]["name"]), (term, hubs[0]), "term and hub later")
            os.remove(a.at("ballast.bin"))
            settled([a, b, c])


def test_full_hub_of_two():
    """The same with two nodes, where only the pusher has room: it takes over, and its file is safe there."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        with disk(a, "16m"):
            a.write("here.txt", "h")
            a.start(*FAST)
            a.wait()
            b.start(*FAST)
            settled([a, b])
            b.write("large.bin", tree.payload(30 * MB, 1))
            eventually(lambda: b.status()["role"] == "server" and a.status()["role"] == "client", 30,
                       lambda: f"roles {a.status()['role']}, {b.status()['role']}; b: {b.status()['reason']!r}")
            b.write("small.txt", "s")
            eventually(lambda: a.read("small.txt") == b"s", 10, "a small file")
            a.write("back.txt", "b")
            eventually(lambda: b.read("back.txt") == b"b", 10, "a small file back")
            check_equal(a.status()["state"], "syncing", "a's state")
            check("space" in a.status()["reason"] or "room" in a.status()["reason"], f"a's reason {a.status()['reason']!r}")
            b.remove("large.bin")
            settled([a, b])


def test_renames_need_no_second_copy():
    """A rename on a disk without room for a second copy, at hub and member: a file, a directory, one over another."""
    for hub_is_small in (False, True):
        with Lan() as net:
            a, b, c = net.node("a"), net.node("b"), net.node("c")
            with disk(b, "64m"):
                for node in (a, b, c):
                    node.write(".lansyncignore", "ballast.bin\n")
                    os.utime(node.at(".lansyncignore"), (1, 1))
                a.write("large.bin", tree.payload(16 * MB, "large"))
                a.write("other.bin", tree.payload(MB, "other"))
                for n in range(8):
                    a.write(f"d/{n}.bin", tree.payload(MB, n))
                for n in range(10):
                    a.write(f"stays/{n}.txt", f"stays {n}")
                first, *others = (b, a, c) if hub_is_small else (a, b, c)
                first.start(*FAST)
                eventually(lambda: first.status()["role"] == "server", 10, "a server")
                for node in others:
                    node.start(*FAST)
                settled([a, b, c])
                fill(b, 3 * MB)
                os.rename(a.at("large.bin"), a.at("renamed.bin"))
                os.rename(a.at("d"), a.at("e"))
                for node in (a, b, c, a, b, c):
                    node.wait(seconds=40)
                check(b.read("renamed.bin") == a.read("renamed.bin") and not b.exists("large.bin"), "the file on b")
                check(all(b.exists(f"e/{n}.bin") for n in range(8)) and not b.exists("d"), "the directory on b")
                os.rename(a.at("renamed.bin"), a.at("other.bin"))
                for node in (a, b, c, a, b, c):
                    node.wait(seconds=40)
                check(b.read("other.bin") == a.read("other.bin"), "what was renamed over another file on b")
                for node in (b, c):
                    rows = node.cli("trash", "--json").json
                    check_equal({row["name"] for row in rows}, {"other.bin"}, f"the trash as {node.name} lists it")
                    check(not any("conflict" in name for name in node.files()), f"a conflict on {node.name}")


def test_many_renames_fill_no_trash():
    """Six renames of one file leave nothing in anybody's trash, also where the old name goes seconds before."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        a.write("f0.bin", tree.payload(8 * MB, "f"))
        for n in range(10):
            a.write(f"stays/{n}.txt", f"stays {n}")
        a.start(*FAST)
        b.start(*FAST)
        c.start(*FAST)
        settled([a, b, c])
        for n in range(6):
            old, new = a.at(f"f{n}.bin"), a.at(f"f{n + 1}.bin")
            if n % 2:
                aside = net.root + "/aside"
                os.rename(old, aside)
                time.sleep(2)
                os.rename(aside, new)
            else:
                os.rename(old, new)
            settled([a, b, c])
        for node in (b, c):
            check_equal(node.cli("trash", "--json").json, [], f"the trash of {node.name}")


if __name__ == "__main__":
    main(__name__)

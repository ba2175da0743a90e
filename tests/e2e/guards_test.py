"""What keeps a mistake from becoming everybody's: names, vanished roots, mass deletes."""
import os
import shutil
import socket
import stat
import time

from cases import check, check_equal, eventually, main
from lan import FAST, Lan, filled, group, settled


def test_mass_delete_held_and_confirmed():
    """Deleting most of the files holds the deletes where they were found; `confirm` lets them go everywhere."""
    with Lan() as net:
        nodes = group(net, "abc")
        filled(nodes, 200)
        author = next(node for node in nodes if node.status()["role"] == "client")
        others = [node for node in nodes if node is not author]
        for n in range(5):
            author.remove(f"d{n}")
        eventually(lambda: author.status()["state"] == "held", 10, lambda: f"held: {author.status()['state']}")
        check(author.status()["held_deletes"] >= 200, f"{author.status()['held_deletes']} deletes are held")
        time.sleep(1.5)
        for node in others:
            check_equal(len(node.files()), 200, f"files on {node.name}")
        check("confirm" in author.status()["reason"], f"the reason names confirm: {author.status()['reason']!r}")
        check_equal(author.cli("wait", "--timeout", "500ms").code, 1, "exit code of wait while deletes are held")
        author.write("other.txt", "goes on")
        eventually(lambda: all(node.exists("other.txt") for node in others), 10, "other changes go on meanwhile")
        check_equal(author.cli("confirm").code, 0, "exit code of confirm")
        found = settled(nodes)
        check_equal(sorted(found), ["other.txt"], "what is left")
        trashed = {row["name"] for row in others[0].cli("trash", "--json").json}
        check("d0/0.txt" in trashed, f"{len(trashed)} files are in the trash")


def test_mass_delete_rejected():
    """`reject` brings the files back where they are missing; the others never missed them."""
    with Lan() as net:
        nodes = group(net)
        want = filled(nodes, 200)
        for author in nodes:
            for n in range(4):
                author.remove(f"d{n}")
            eventually(lambda: author.status()["state"] == "held", 10, f"{author.name} holds its deletes")
            check_equal(author.cli("reject").code, 0, "exit code of reject")
            check_equal(settled(nodes), want, f"the tree after {author.name}'s reject")


def test_few_deletes_pass():
    """Deletes below the limit, and renames of everything, are not held."""
    with Lan() as net:
        nodes = group(net)
        filled(nodes, 200)
        nodes[0].remove("d0")
        settled(nodes)
        for n in range(1, 5):
            os.rename(nodes[0].at(f"d{n}"), nodes[0].at(f"moved{n}"))
        found = settled(nodes)
        check_equal(len([p for p in found if p.startswith("moved")]), 4 + 160, "moved entries")


def test_max_deletes_option():
    """--max-deletes 10 holds the eleventh; --max-deletes 100% holds none."""
    with Lan() as net:
        a, b = nodes = [net.node("a"), net.node("b")]
        a.start(*FAST, "--max-deletes", "10")
        b.start(*FAST, "--max-deletes", "100%")
        filled(nodes, 100)
        for n in range(0, 100, 5):
            a.remove(f"d0/{n}.txt")
        eventually(lambda: a.status()["state"] == "held", 10, "a holds its deletes")
        check_equal(a.cli("confirm").code, 0, "exit code of confirm")
        settled(nodes)
        b.remove("d1")
        b.remove("d2")
        eventually(lambda: a.status()["state"] == "held" or len(b.files()) == 40, 10, "b's deletes are not held by b")
        check(b.status()["state"] != "held", "b holds deletes, though its limit is 100%")


def test_a_limit_of_nothing():
    """`--max-deletes 0`, and `0%`: a single delete is held, and three of three; confirm lets them go."""
    for limit in ("0", "0%"):
        with Lan() as net:
            a, b = nodes = group(net, "ab", "--max-deletes", limit)
            filled(nodes, 3)
            a.remove("d0/0.txt")
            eventually(lambda: a.status()["held_deletes"] == 1, 10, lambda: f"one is held: {a.status()['held_deletes']}")
            time.sleep(1)
            check_equal(len(b.files()), 3, f"files on b at a limit of {limit}")
            for name in list(a.files()):
                a.remove(name)
            eventually(lambda: a.status()["held_deletes"] == 3, 10, lambda: f"three are held: {a.status()['held_deletes']}")
            check_equal(len(b.files()), 3, f"files on b at a limit of {limit}")
            check_equal(a.cli("confirm").code, 0, "exit code of confirm")
            settled(nodes)
            check_equal(len(b.files()), 0, "files on b")


def test_confirm_names_what():
    """`confirm` takes a kind and a run; what is not held, or cannot be, is refused in one line; `reject` undoes the whole run."""
    with Lan() as net:
        nodes = group(net, "ab", "--max-deletes", "10")
        filled(nodes, 60)
        author = nodes[0]
        # In one step: on a slow machine the first of twelve would go out before the eleventh is heard of.
        os.rename(author.at("d0"), os.path.join(net.root, "taken out"))
        eventually(lambda: author.status()["held_deletes"] == 12, 10, lambda: f"twelve are held: {author.status()['held_deletes']}")
        held = author.status()["held"]
        check_equal([(row["kind"], row["number"], row["author"]) for row in held], [("deletes", 12, "a")], "held")
        check(held[0]["since"] and len(held[0]["names"]) > 2, f"since when, and first names: {held}")
        for word in ("network", "room", "absence", "strays", "some/name.txt", "abcdef12"):
            outcome = author.cli("confirm", word)
            check_equal((outcome.code, outcome.stderr.count("\n")), (1, 1), f"confirm {word} ({outcome})")
        check_equal(author.cli("confirm", "deletes", "ffff0000").code, 1, "a run that is not")
        check_equal(author.status()["held_deletes"], 12, "still held")
        # What joins after status has shown it is not what a person let go.
        author.remove("d1/51.txt")
        author.remove("d2/52.txt")
        time.sleep(1)
        check_equal(author.cli("confirm", "deletes", held[0]["run"]).code, 0, "confirm")
        eventually(lambda: len(nodes[1].files()) == 48, 10, lambda: f"{len(nodes[1].files())} files on b")
        time.sleep(1)
        check_equal(len(nodes[1].files()), 48, "files on b")
        check_equal(author.status()["held_deletes"], 2, "held that joined later")
        check_equal(author.cli("reject").code, 0, "reject")
        settled(nodes)
        # What had gone out, too.
        check_equal(len(nodes[1].files()), 60, "files on b")


def test_held_by_the_receiver():
    """A run of deletes within the sender's limit but over the receiver's own is held there."""
    with Lan() as net:
        a, b = nodes = [net.node("a"), net.node("b")]
        a.start(*FAST, "--max-deletes", "100%")
        b.start(*FAST, "--max-deletes", "20")
        filled(nodes, 100)
        a.remove("d0")
        a.remove("d1")
        eventually(lambda: b.status()["state"] == "held", 10, lambda: f"b holds: {b.status()['state']}")
        time.sleep(1)
        check_equal(len(b.files()), 100, "files on b")
        check_equal(b.cli("confirm").code, 0, "exit code of confirm")
        check_equal(len([e for e in settled(nodes).values() if e[0] == "file"]), 60, "files")


def test_root_vanishes():
    """A folder that goes away under a node: state error with a reason, and no delete goes anywhere."""
    with Lan() as net:
        nodes = group(net)
        filled(nodes, 60)
        client = next(node for node in nodes if node.status()["role"] == "client")
        other = next(node for node in nodes if node is not client)
        os.rename(client.path, client.path + "-away")
        os.makedirs(client.path)
        # The socket went with the folder: it is asked there.
        def state():
            path, client.path = client.path, client.path + "-away"
            try:
                return client.status()
            finally:
                client.path = path
        eventually(lambda: state()["state"] == "error", 15, lambda: f"error: {state()['state']}", 0.1)
        check(state()["reason"], "no reason is given")
        time.sleep(1)
        check_equal(len(other.files()), 60, "files on the other node")


def test_lansync_directory_vanishes():
    """.lansync removed under a node: state error or the end, never a delete."""
    with Lan() as net:
        nodes = group(net)
        filled(nodes, 60)
        client = next(node for node in nodes if node.status()["role"] == "client")
        other = next(node for node in nodes if node is not client)
        shutil.rmtree(client.at(".lansync"))
        for n in range(5):
            client.remove(f"d{n}")
        time.sleep(4)
        check_equal(len(other.files()), 60, "files on the other node")


def test_emptied_while_away():
    """A node that starts with all its files gone holds the deletes."""
    with Lan() as net:
        nodes = group(net)
        want = filled(nodes, 120)
        client = next(node for node in nodes if node.status()["role"] == "client")
        client.stop()
        for n in range(5):
            client.remove(f"d{n}")
        client.start()
        eventually(lambda: client.status()["state"] == "held", 10, lambda: f"held: {client.status()['state']}")
        other = next(node for node in nodes if node is not client)
        check_equal(len(other.files()), 120, "files on the other node")
        check_equal(client.cli("reject").code, 0, "exit code of reject")
        check_equal(settled(nodes), want, "the tree")


def test_unreadable_is_not_deleted():
    """A directory whose device is not there (an empty mount point) deletes nothing below it."""
    with Lan() as net:
        nodes = group(net)
        filled(nodes, 20)
        nodes[0].stop()
        nodes[0].start()
        settled(nodes)
        # A file that cannot be opened is unknown, not gone. Root reads all, so a bad type stands in for it.
        os.rename(nodes[0].at("d0/0.txt"), nodes[0].at("d0/0.txt.away"))
        os.mkfifo(nodes[0].at("d0/0.txt"))
        time.sleep(2)
        os.remove(nodes[0].at("d0/0.txt"))
        os.rename(nodes[0].at("d0/0.txt.away"), nodes[0].at("d0/0.txt"))
        found = settled(nodes)
        check_equal(nodes[1].read("d0/0.txt"), b"file 0", "d0/0.txt")
        check_equal(len([e for e in found.values() if e[0] == "file"]), 20, "files")


def test_names_that_do_not_travel():
    """Control bytes and invalid UTF-8 in names, pipes and sockets are skipped and reported; the rest goes on."""
    with Lan() as net:
        a, b = nodes = group(net)
        os.mkfifo(a.at("pipe"))
        server = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(a.path)
        server.bind("socket")
        os.chdir(here)
        for name in (b"bad-\xff-utf8", b"new\nline", b"esc\x1b[31m", b"tab\tin"):
            with open(os.path.join(a.path.encode(), name), "wb") as file:
                file.write(b"x")
        os.mkdir(os.path.join(a.path.encode(), b"dir-\xfe"))
        with open(os.path.join(a.path.encode(), b"dir-\xfe/inside"), "wb") as file:
            file.write(b"x")
        a.write("good.txt", "good")
        eventually(lambda: b.read("good.txt") == b"good", 10, "the good file")
        a.wait()
        check_equal(sorted(b.snapshot()), ["good.txt"], "b's folder")
        log = a.log()
        check("\x1b" not in log and "bad-" in log, "the log names what it skips, escaped")
        check(stat.S_ISFIFO(os.lstat(a.at("pipe")).st_mode), "the pipe was touched")
        server.close()


def test_symlinks_are_not_followed():
    """A link that points out of the folder is synced as a link; what it points to is never written."""
    with Lan() as net:
        a, b = nodes = group(net)
        outside = os.path.join(net.root, "outside")
        os.makedirs(outside)
        with open(os.path.join(outside, "precious"), "w", encoding="ascii") as file:
            file.write("precious")
        os.symlink(outside, a.at("out"))
        settled(nodes)
        check_equal(os.readlink(b.at("out")), outside, "the link on b")
        # On a the link becomes a directory with a file of that name; on b that must not pass through the link.
        os.remove(a.at("out"))
        a.write("out/precious", "overwritten")
        settled(nodes)
        with open(os.path.join(outside, "precious"), encoding="ascii") as file:
            check_equal(file.read(), "precious", "the file outside")
        check_equal(b.read("out/precious"), b"overwritten", "the file inside")


def test_lansync_below_does_not_travel():
    """A directory called .lansync anywhere is not synced."""
    with Lan() as net:
        a, b = nodes = group(net)
        a.write("sub/.lansync/index.db", "evil")
        a.write("sub/fine.txt", "fine")
        eventually(lambda: b.read("sub/fine.txt") == b"fine", 10, "the fine file")
        a.wait()
        check(not b.exists("sub/.lansync"), ".lansync travelled")


def test_max_file_size():
    """A file over --max-file-size is reported and not taken; smaller ones go on."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        a.start(*FAST)
        b.start(*FAST, "--max-file-size", "100k")
        a.write("large.bin", b"x" * 200_000)
        a.write("small.bin", b"x" * 50_000)
        eventually(lambda: b.exists("small.bin"), 10, "the small file")
        time.sleep(1)
        check(not b.exists("large.bin"), "the large file was taken")
        check("large.bin" in b.log() + b.status()["reason"], "it is not reported")


if __name__ == "__main__":
    main(__name__)

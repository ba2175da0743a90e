"""What a person can take back: mass deletes held, confirmed and rejected over changes of hub; the trash of all."""
import os
import time

from cases import check, check_equal, eventually, main
from lan import FAST, Lan, filled, group, settled


def hub_of(nodes):
    return eventually(lambda: next((n for n in nodes if n.running and n.status()["role"] == "server"), None), 15, "a hub")


def held(node):
    eventually(lambda: node.status()["state"] == "held", 15, lambda: f"{node.name} is held: {node.status()['state']}")


def most_deleted(author):
    for n in range(9):
        author.remove(f"d{n}")
    held(author)


def test_rm_rf_confirmed_over_a_hub_change():
    """`rm -rf` of 90 %: held, the hub dies, `confirm`: goes everywhere and is held nowhere again, not by a late node."""
    with Lan() as net:
        nodes = group(net, "abcd")
        filled(nodes, 300, 10)
        hub = hub_of(nodes)
        author, other, late = [node for node in nodes if node is not hub]
        late.stop()
        most_deleted(author)
        check(author.status()["held_deletes"] >= 270, f"held {author.status()['held_deletes']}")
        hub.kill()
        hub_of([author, other])
        time.sleep(1)
        check_equal(len(other.files()), 300, "files on the other node")
        check_equal(author.cli("confirm").code, 0, "confirm")
        settled([author, other])
        # Another hub yet, and nodes that were away: the confirmation is part of the tombstones.
        second = hub_of([author, other])
        late.start()
        hub.start()
        for _ in range(3):
            for node in nodes:
                check_equal(node.status()["state"] == "held", False, f"{node.name} holds confirmed deletes")
            time.sleep(0.3)
        found = settled(nodes)
        check_equal(len([e for e in found.values() if e[0] == "file"]), 30, "files at the end")
        second.kill()
        rest = [node for node in nodes if node is not second]
        hub_of(rest)
        settled(rest)
        for node in rest:
            check_equal(node.status()["held_deletes"], 0, f"held on {node.name}")


def test_rm_rf_rejected_over_a_hub_change():
    """The same with `reject`: all files are back on every node, the dead hub's included."""
    with Lan() as net:
        nodes = group(net, "abc")
        want = filled(nodes, 300, 10)
        hub = hub_of(nodes)
        author, other = [node for node in nodes if node is not hub]
        most_deleted(author)
        hub.kill()
        hub_of([author, other])
        check_equal(author.cli("reject").code, 0, "reject")
        check_equal(settled([author, other]), want, "the tree after reject")
        hub.start()
        check_equal(settled(nodes), want, "the tree with the old hub back")


def test_rm_rf_on_the_hub():
    """`rm -rf` on the hub itself: held there, also when it dies and comes back; `reject`, then again and `confirm`."""
    with Lan() as net:
        nodes = group(net, "ab")
        want = filled(nodes, 200, 10)
        hub = hub_of(nodes)
        other = next(node for node in nodes if node is not hub)
        most_deleted(hub)
        hub.kill()
        hub_of([other])
        hub.start()
        held(hub)
        check_equal(len(other.files()), 200, "files on the other node")
        check_equal(hub.cli("reject").code, 0, "reject")
        check_equal(settled(nodes), want, "the tree after reject")
        most_deleted(hub)
        check_equal(hub.cli("confirm").code, 0, "confirm")
        check_equal(len([e for e in settled(nodes).values() if e[0] == "file"]), 20, "files after confirm")


def test_trash_of_others():
    """What was deleted by hand here is listed from, and brought back out of, the other members' trash."""
    with Lan() as net:
        nodes = group(net, "abc")
        for n in range(8):
            nodes[0].write(f"work/deep/{n}.txt", f"file {n}")
        nodes[0].write("work/top.txt", "top")
        settled(nodes)
        hub = hub_of(nodes)
        author, other = [node for node in nodes if node is not hub]
        for asker, deleter in ((author, author), (hub, hub), (other, author)):
            want = settled(nodes)
            deleter.remove("work")
            settled(nodes)
            check(not any(node.exists("work/top.txt") for node in nodes), "it is still there")
            rows = asker.cli("trash", "--json").json
            check({"work/top.txt", "work/deep/0.txt"} <= {row["name"] for row in rows}, f"{asker.name} lists {rows}")
            for row in rows:
                check({"name", "kept_as", "time", "size", "node"} <= set(row), f"fields {sorted(row)}")
            outcome = asker.cli("trash", "--restore", "work", "--json")
            check_equal(outcome.code, 0, f"restore at {asker.name} of what {deleter.name} deleted ({outcome})")
            eventually(lambda: asker.read("work/top.txt") == b"top" and asker.read("work/deep/7.txt") == b"file 7", 15,
                       "what was brought back")
            found = settled(nodes)
            check_equal({p: e for p, e in found.items() if e[0] == "file"}, {p: e for p, e in want.items() if e[0] == "file"},
                        "files")
        outcome = author.cli("trash", "--restore", "nothing/such")
        check_equal((outcome.code, outcome.stderr.count("\n")), (1, 1), f"restore of what is nowhere ({outcome})")


def test_trash_by_time():
    """`--restore NAME@TIME` brings back the version that was there then, also over a newer one, which is kept."""
    with Lan() as net:
        a, b = nodes = group(net)
        times = []
        for n in range(4):
            a.write("doc.txt", f"version {n}\n")
            settled(nodes)
            times.append(time.time())
            time.sleep(1.1)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(times[2]))
        rows = [row for row in b.cli("trash", "--json").json if row["name"] == "doc.txt" and row["node"] == "b"]
        check_equal(len(rows), 3, f"versions in b's trash ({rows})")
        check(len([r for r in b.cli("trash", "--since", stamp, "--json").json if r["node"] == "b"]) < 3, "--since")
        # In the trash since before the stamp: 0 and 1 (2 went there when 3 came, later).
        check_equal(b.cli("trash", "--restore", f"doc.txt@{stamp}").code, 0, "restore")
        settled(nodes)
        check_equal((a.read("doc.txt"), b.read("doc.txt")), (b"version 1\n", b"version 1\n"), "the version at that time")
        # Without a time it would be a repeat, which is refused: it would go to and fro.
        check_equal(b.cli("trash", "--restore", "doc.txt").code, 1, "a repeat without a time")
        time.sleep(1.1)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        check_equal(b.cli("trash", "--restore", f"doc.txt@{now}").code, 0, "restore of the latest")
        settled(nodes)
        check_equal(a.read("doc.txt"), b"version 3\n", "what the first restore had replaced")


def test_reject_after_others_applied():
    """Held only by a receiver, while the others have deleted already: `reject` there brings the files back everywhere."""
    with Lan() as net:
        a, b, c = nodes = [net.node(name) for name in "abc"]
        a.start(*FAST, "--max-deletes", "100%")
        a.wait()
        b.start(*FAST, "--max-deletes", "100%")
        c.start(*FAST, "--max-deletes", "20")
        want = filled(nodes, 100, 10)
        for n in range(5):
            b.remove(f"d{n}")
        held(c)
        eventually(lambda: len(a.files()) == 50, 10, "a applied the deletes")
        check_equal(len(c.files()), 100, "files on c")
        check_equal(c.cli("reject").code, 0, "reject")
        found = settled(nodes)
        check_equal({p: e for p, e in found.items() if e[0] == "file"}, {p: e for p, e in want.items() if e[0] == "file"},
                    "files")


def test_the_same_run_twice():
    """A receiver that rejected a run of deletes holds the same deletes again when they are made again."""
    with Lan() as net:
        a, b = nodes = [net.node(name) for name in "ab"]
        a.start(*FAST, "--max-deletes", "100%")
        b.start(*FAST)
        want = filled(nodes, 200, 10)
        for _ in range(2):
            for n in range(10):
                a.remove(f"d{n}")
            held(b)
            eventually(lambda: b.status()["held_deletes"] == 200, 15, lambda: f"held: {b.status()['held_deletes']}")
            time.sleep(1)
            check_equal(len(b.files()), 200, "files on b")
            check_equal(b.cli("reject").code, 0, "reject")
            found = settled(nodes)
            check_equal({p: e for p, e in found.items() if e[0] == "file"},
                        {p: e for p, e in want.items() if e[0] == "file"}, "files")


def test_reject_of_what_had_gone_out():
    """200 of 220 files deleted at ten a second, with the timers of every day: `reject` brings back all, elsewhere too."""
    for at_author in (True, False):
        with Lan() as net:
            nodes = [net.node(name) for name in "abc"]
            for node in nodes:
                node.start()
            want = filled(nodes, 220, 10)
            hub = hub_of(nodes)
            author, third = [node for node in nodes if node is not hub]
            for n in range(200):
                author.remove(f"d{n % 10}/{n}.txt")
                time.sleep(0.1)
            eventually(lambda: author.status()["state"] == "held", 15, "held")
            run = author.status()["held"][0]["run"]
            eventually(lambda: len(third.files()) < 200, 15, lambda: f"some went out: {len(third.files())} are left")
            check(len(third.files()) > 100, f"{len(third.files())} files are left")
            outcome = (author if at_author else third).cli("reject", run)
            check_equal(outcome.code, 0, f"reject ({outcome})")
            check_equal(settled(nodes), want, "the tree")


def test_a_rename_beside_a_held_run():
    """`mv` of a file and of a directory while deletes are held: both go through, and `reject` leaves them where they are."""
    with Lan() as net:
        a, b = nodes = group(net)
        filled(nodes, 120, 10)
        a.write("k2", "k2")
        a.write("k/sub/one", "one")
        settled(nodes)
        for n in range(9):
            a.remove(f"d{n}")
        held(a)
        eventually(lambda: a.status()["held_deletes"] == 108, 15, lambda: f"held: {a.status()['held_deletes']}")
        os.rename(a.at("k2"), a.at("renamed"))
        os.rename(a.at("k"), a.at("moved"))
        eventually(lambda: b.exists("renamed") and not b.exists("k2") and b.exists("moved/sub/one") and not b.exists("k"), 15,
                   lambda: f"renamed on b: {sorted(b.snapshot())[-8:]}")
        check_equal(a.status()["held_deletes"], 108, "held")
        check_equal(a.cli("reject").code, 0, "reject")
        found = settled(nodes)
        check_equal(len([e for e in found.values() if e[0] == "file"]), 122, "files")
        check(not {"k", "k2"} & set(found), "an old name is back")


def test_made_again_while_held():
    """As npm does: 60 files and 60 links removed, held at the other side, and made again: nothing is held any more."""
    with Lan() as net:
        a, b = nodes = [net.node(name) for name in "ab"]
        a.start(*FAST, "--max-deletes", "100%")
        b.start(*FAST)

        def install():
            for n in range(60):
                a.write(f"node_modules/p{n}/index.js", f"module {n}")
                os.makedirs(a.at("node_modules/.bin"), exist_ok=True)
                os.symlink(f"../p{n}/index.js", a.at(f"node_modules/.bin/p{n}"))
        install()
        settled(nodes)
        a.remove("node_modules")
        held(b)
        install()
        settled(nodes)
        status = b.status()
        check_equal((status["state"], status["held_deletes"], status["held"]), ("in-sync", 0, []), "b")


def test_branches_of_a_repository():
    """`git checkout` between two branches of 200 files each, back and forth: nothing is held, no file is lost."""
    with Lan() as net:
        a, b = nodes = group(net)
        filled(nodes, 300, 10)
        for branch in ("main", "topic", "main", "topic"):
            for n in range(200):
                other = "topic" if branch == "main" else "main"
                if a.exists(f"src/{other}-{n}.c"):
                    os.remove(a.at(f"src/{other}-{n}.c"))
                a.write(f"src/{branch}-{n}.c", f"int {branch}_{n};")
            for node in nodes:
                check(node.status()["state"] != "held", f"{node.name} holds: {node.status()['reason']}")
            time.sleep(0.5)
        found = settled(nodes)
        check_equal(len([p for p in found if p.startswith("src/topic-")]), 200, "files of the branch")


def test_restore_of_a_held_delete():
    """`trash --restore` of what is held says that no trash has it, and which word brings it back."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path, exist_ok=True)
        for i in range(20):
            a.write(f"f{i}", b"%d" % i)
        a.start(*FAST)
        b.start(*FAST, "--max-deletes", "3")
        settled([a, b])
        for i in range(10):
            os.unlink(b.at(f"f{i}"))
        eventually(lambda: b.status()["held_deletes"] == 10, 10, "held")
        said = b.cli("trash", "--restore", "f1")
        check(said.code == 1 and "held" in said.stderr and "lansync reject" in said.stderr, f"{said}")


if __name__ == "__main__":
    main(__name__)

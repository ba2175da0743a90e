"""What a person meets: no state that says "all is well" while he would not agree, and words that are true."""
import os
import re
import shutil
import signal
import subprocess
import time

import netns
from cases import check, check_equal, eventually, main
from lan import FAST, Lan, filled, group, program, settled


def ordered(net, names="abc"):
    nodes = [net.node(name) for name in names]
    nodes[0].start(*FAST, "--role", "server")
    for node in nodes[1:]:
        node.start(*FAST, "--role", "client")
    for node in nodes:
        node.wait(peers=len(nodes) - 1)
    return nodes


def row_of(node, name):
    return next((p for p in node.status()["peers"] if p["name"] == name), None)


def test_who_lacks_a_file_is_named():
    """A file that cannot stand on a member's disk: the hub and `wait --all`, also elsewhere, say who lacks it."""
    with Lan() as net:
        hub, bert, cora = ordered(net)
        os.mkfifo(bert.at("x"))
        time.sleep(0.5)
        hub.write("x", "a file that has no place there")
        eventually(lambda: cora.exists("x"), 15, "the other member has it")
        eventually(lambda: "cannot hold" in row_of(hub, "b")["reason"], 30, lambda: f"{row_of(hub, 'b')}")
        check_equal(row_of(hub, "b")["behind"]["files"], 1, "files that it lacks")
        check("b is behind by 1 file" in hub.status()["reason"], f"{hub.status()['reason']!r}")
        said = hub.cli("wait", "--all", "--timeout", "2s")
        check(said.code == 1 and "b is behind by 1 file" in said.stderr, f"`wait --all` on the hub: {said}")
        check_equal(hub.cli("wait", "--timeout", "20s").code, 0, "`wait` while one member has it")
        said = cora.cli("wait", "--all", "--timeout", "5s")
        check(said.code == 1 and "b is behind by 1 file" in said.stderr, f"`wait --all` on a member: {said}")
        os.remove(bert.at("x"))
        eventually(lambda: bert.exists("x") and row_of(hub, "b")["behind"]["files"] == 0, 30, "it comes in the end")
        check_equal(cora.cli("wait", "--all", "--timeout", "20s").code, 0, "`wait --all` in the end")


def test_a_member_without_its_folder():
    """A member whose folder is moved away: its node says so by the folder's name, the hub says it; back it goes on."""
    with Lan() as net:
        hub, bert = ordered(net, "ab")
        hub.write("x.txt", "x")
        settled([hub, bert])
        away = bert.path + "-moved"
        os.rename(bert.path, away)
        said = eventually(lambda: (s := bert.cli("status", "--json")).code == 0 and s.json["state"] == "error" and s.json,
                          20, lambda: f"status of a node whose folder is gone: {bert.cli('status')}", 0.2)
        check("put it back" in said["reason"] and "stop" in said["reason"], f"{said['reason']!r}")
        eventually(lambda: "stands still" in row_of(hub, "b")["reason"], 10, lambda: f"the hub: {row_of(hub, 'b')}")
        check_equal(hub.cli("wait", "--all", "--timeout", "1s").code, 1, "`wait --all` while a folder is gone")
        # Another node of that name is not begun beside it.
        again = subprocess.run([program(), "run", bert.path, "--interface", "lo"], capture_output=True, text=True,
                               timeout=20, env=bert.environment(), cwd=bert.home, check=False)
        check(again.returncode == 1 and "still runs" in again.stderr, f"a second node: {again}")
        shutil.rmtree(bert.path, ignore_errors=True)
        os.rename(away, bert.path)
        hub.write("y.txt", "y")
        eventually(lambda: bert.exists("y.txt"), 20, "it goes on when the folder is back")
        check_equal(bert.cli("wait", "--timeout", "20s").code, 0, "`wait` when it is back")
        shutil.rmtree(bert.path)
        eventually(lambda: bert.cli("status", "--json").code == 0, 20, "status after rm -rf", 0.2)
        check_equal(bert.cli("stop").code, 0, "`stop` by the folder's name")
        bert.process.wait(5)
        check(hub.exists("x.txt") and hub.exists("y.txt"), "nothing was deleted anywhere")
        bert.process = None


def test_private_directories_come_again():
    """`.lansync/tmp` and `.lansync/trash` that somebody removed are made again; files go on coming."""
    with Lan() as net:
        hub, bert = ordered(net, "ab")
        hub.write("x.txt", "one")
        settled([hub, bert])
        shutil.rmtree(bert.at(".lansync/tmp"))
        shutil.rmtree(bert.at(".lansync/trash"))
        hub.write("x.txt", "two!")
        hub.write("y.txt", "y")
        settled([hub, bert])
        check_equal((bert.read("x.txt"), bert.exists("y.txt")), (b"two!", True), "what came")
        check(any(row["name"] == "x.txt" for row in bert.cli("trash", "--json").json), "the trash has the old version")


def test_an_early_signal():
    """SIGTERM, SIGINT and SIGHUP in the first moments of a node end it with exit 0."""
    with Lan() as net:
        a = net.node("a")
        for turn in range(12):
            shutil.rmtree(a.path, ignore_errors=True)
            process = netns.popen(a.namespace, [program(), "run", a.path], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=a.home, env=a.environment())
            # It has taken its folder, and is far from its loop.
            end = time.monotonic() + 5
            while not os.path.exists(a.at(".lansync/lock")) and time.monotonic() < end:
                time.sleep(0.0002)
            process.send_signal((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[turn % 3])
            check_equal(process.wait(5), 0, f"exit code, try {turn}")


def test_names_from_where_one_stands():
    """From within the folder names may be as seen from there, `./` and absolute ones too."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        a.write("notes/todo.txt", "t")
        a.write("notes/plan.txt", "p")
        a.write("plan.txt", "P")
        a.wait(peers=0)

        def here(*args):
            done = subprocess.run([program(), *args], capture_output=True, text=True, timeout=20, check=False,
                                  cwd=a.at("notes"), env=a.environment(), stdin=subprocess.DEVNULL)
            check_equal(done.stderr, "", f"{args}")
            return done.stdout
        for name, meant in (("todo.txt", "notes/todo.txt"), ("./todo.txt", "notes/todo.txt"),
                            ("notes/todo.txt", "notes/todo.txt"), (a.at("notes/todo.txt"), "notes/todo.txt"),
                            ("plan.txt", "plan.txt"), ("./plan.txt", "notes/plan.txt"), ("../plan.txt", "plan.txt")):
            said = here("why", name)
            check(re.search(rf"^name +{meant}$", said, re.MULTILINE), f"{name}: {said}")
            check("in-sync" in said, f"{name}: {said}")


def test_an_offer_in_status():
    """An upload that waits stands in `status` with the command that takes it."""
    with Lan() as net:
        a, b = ordered(net, "ab")
        path = os.path.join(a.home, "film.mkv")
        with open(path, "wb") as file:
            file.write(b"f" * 1000)
        asked = subprocess.Popen([program(), "-C", a.path, "upload", path, "--to", "b"], env=a.environment(),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        offers = eventually(lambda: b.status()["offers"], 10, "the offer in status --json")
        check_equal((offers[0]["name"], offers[0]["from"]), ("film.mkv", "a"), "offer")
        check(f"lansync uploads allow {offers[0]['id']}" in b.cli("status").stdout, f"{b.cli('status')}")
        check_equal(b.cli("uploads", "allow", str(offers[0]["id"])).code, 0, "allow")
        check_equal(asked.wait(20), 0, "upload")
        check_equal(b.status()["offers"], [], "offers afterwards")


def test_edits_made_alone():
    """Edits made while nobody else is there are counted in `status`, also after a restart, and no more when they went."""
    with Lan() as net:
        hub, bert = ordered(net, "ab")
        hub.write("x.txt", "x")
        settled([hub, bert])
        check_equal((hub.status()["only_here"], bert.status()["only_here"]), (0, 0), "only here while both are there")
        time.sleep(1.5)
        hub.stop()
        bert.start_options = bert.options
        bert.stop()
        bert.start(*FAST)
        eventually(lambda: bert.status()["role"] == "server", 10, "it is alone")
        for number in range(3):
            bert.write(f"alone{number}.txt", "a")
        said = eventually(lambda: (s := bert.status())["only_here"] == 3 and s, 10, lambda: f"{bert.status()}")
        check("3 files are on no other machine yet" in said["reason"] + bert.cli("status").stdout, f"{said['reason']!r}")
        bert.stop()
        bert.start()
        eventually(lambda: bert.status()["only_here"] == 3, 10, lambda: f"after a restart: {bert.status()['only_here']}")
        hub.start()
        for node in (hub, bert):
            node.wait(peers=1)
        eventually(lambda: bert.status()["only_here"] == 0, 10, lambda: f"in the end: {bert.status()['only_here']}")


def with_held_deletes(nodes, files):
    """A client that has deleted all of them."""
    filled(nodes, files)
    author = next(node for node in nodes if node.status()["role"] == "client")
    for n in range(5):
        author.remove(f"d{n}")
    eventually(lambda: author.status()["state"] == "held", 15, "held")
    return author


def test_the_way_back():
    """`confirm` says how the files come back; a second `reject` says that it was done before."""
    with Lan() as net:
        nodes = group(net)
        author = with_held_deletes(nodes, 120)
        run = author.status()["held"][0]["run"]
        said = author.cli("confirm", "deletes")
        check(said.code == 0 and f"lansync reject {run}" in said.stdout, f"confirm: {said}")
        check_equal(len(settled(nodes)), 0, "files after confirm")
        # Whoever has the number no more, on any node, is told it.
        for node in nodes:
            said = node.cli("reject")
            check(said.code == 1 and f"run {run} (" in said.stderr, f"reject without a run: {said}")
        said = author.cli("reject", run)
        check(said.code == 0 and "are back" in said.stdout, f"reject after confirm: {said}")
        check_equal(len([name for name in settled(nodes) if "/" in name]), 120, "files after reject")
        said = author.cli("reject", run)
        check(said.code == 1 and "rejected before" in said.stderr, f"second reject: {said}")


def test_why_of_many():
    """`why` with hundreds of held deletes answers at once, and leaves no questions of its own in the history."""
    with Lan() as net:
        nodes = group(net)
        author = with_held_deletes(nodes, 900)
        eventually(lambda: len(author.cli("plan", "--json").json) >= 900, 20, "all of them are planned")
        started = time.monotonic()
        said = author.cli("why", "--json")
        took = time.monotonic() - started
        check(len(said.json) >= 900, f"rows: {len(said.json)}")
        check(took < 4, f"`why` of {len(said.json)} took {took:.1f} s")
        author.cli("why", "d0/0.txt")
        check_equal([row for row in author.cli("history", "--json").json if row["direction"] == "out"], [], "history")


def test_kept_out_of_a_strange_network():
    """Who is kept out by a node on a network that is new to it is told who, and which command frees it."""
    with Lan() as net:
        mine, other = net.node("mine"), net.node("other")

        def gateway(node, mac):
            netns.run("ip", "-n", node.namespace, "neigh", "replace", "10.77.0.254", "lladdr", mac, "dev", "lan0")
            netns.run("ip", "-n", node.namespace, "route", "replace", "default", "via", "10.77.0.254", "dev", "lan0")
        gateway(mine, "02:00:00:00:00:01")
        net.partition([mine], [other])
        mine.start(*FAST)
        mine.write("mine.txt", "from home")
        mine.wait(peers=0)
        mine.stop()
        gateway(other, "02:00:00:00:00:02")
        other.start(*FAST)
        other.write("theirs.txt", "x")
        other.wait(peers=0)
        gateway(mine, "02:00:00:00:00:02")
        net.heal()
        mine.start()
        eventually(lambda: mine.status()["state"] == "held", 10, "held")
        said = eventually(lambda: (s := other.status())["state"] == "seeking" and s, 40,
                          lambda: f"who is kept out: {other.status()['state']}, {other.status()['reason']!r}")
        check("mine" in said["reason"] and "lansync confirm network" in said["reason"], f"{said['reason']!r}")
        check_equal(other.cli("wait", "--timeout", "500ms").code, 1, "`wait` of who is kept out")
        check_equal(mine.cli("confirm", "network").code, 0, "confirm network")
        settled([mine, other])
        check_equal(other.status()["state"], "in-sync", "state in the end")


if __name__ == "__main__":
    main(__name__)

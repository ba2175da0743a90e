"""Guards and commands at their edges: held deletes over restarts and hub changes, roots that return, long names."""
import os
import signal
import shutil
import subprocess
import time

from cases import check, check_equal, eventually, main, timeout
from lan import FAST, Lan, filled, group, program, settled
import netns


def client_of(nodes):
    return next(node for node in nodes if node.status()["role"] == "client")


def held(node):
    eventually(lambda: node.status()["state"] == "held", 10, lambda: f"{node.name} held: {node.status()['state']}")


def files_of(node):
    return len(node.files())


def test_held_survives_restart():
    """Held deletes are still held after a restart and after a kill; `reject` then brings the files back."""
    with Lan() as net:
        nodes = group(net)
        want = filled(nodes, 200)
        author = client_of(nodes)
        other = next(node for node in nodes if node is not author)
        for n in range(1, 5):
            author.remove(f"d{n}")
        held(author)
        count = author.status()["held_deletes"]
        for end in (author.stop, author.kill):
            end()
            author.start()
            held(author)
            check_equal(author.status()["held_deletes"], count, "held deletes")
            time.sleep(1)
            check_equal(files_of(other), 200, "files on the other node")
        check_equal(author.cli("reject").code, 0, "exit code of reject")
        check_equal(settled(nodes), want, "the tree")


def test_held_over_a_hub_change():
    """Deletes held while the hub is killed stay held under the next hub; once confirmed they go everywhere."""
    with Lan() as net:
        nodes = group(net, "abc")
        filled(nodes, 200)
        hub = next(node for node in nodes if node.status()["role"] == "server")
        author, other = [node for node in nodes if node is not hub]
        for n in range(5):
            author.remove(f"d{n}")
        held(author)
        hub.kill()
        eventually(lambda: "server" in (author.status()["role"], other.status()["role"]), 10, "a new hub")
        time.sleep(2)
        check_equal(author.status()["state"], "held", "state")
        check_equal(files_of(other), 200, "files on the other node")
        check_equal(author.cli("confirm").code, 0, "exit code of confirm")
        settled([author, other])
        check_equal(files_of(other), 0, "files on the other node after confirm")
        hub.start()
        settled(nodes)
        check_equal(files_of(hub), 0, "files on the old hub after its return")
        trashed = {row["name"] for row in hub.cli("trash", "--json").json}
        check_equal(len(trashed & {f"d{n % 5}/{n}.txt" for n in range(200)}), 200, "files in the old hub's trash")


def test_forty_of_a_hundred():
    """40 files of 100 are not held, and neither is a rename of a directory with 200 files."""
    with Lan() as net:
        nodes = group(net)
        filled(nodes, 100)
        author = client_of(nodes)
        author.remove("d0")
        author.remove("d1")
        settled(nodes)
        for n in range(200):
            author.write(f"big/{n}.txt", f"big {n}")
        settled(nodes)
        os.rename(author.at("big"), author.at("renamed"))
        found = settled(nodes)
        check_equal(len([p for p in found if p.startswith("renamed/")]), 200, "renamed files")
        check("big" not in found, "the old name is still there")


def test_exactly_ten():
    """--max-deletes 10: ten pass, the eleventh within the minute holds."""
    with Lan() as net:
        nodes = group(net, "ab", "--max-deletes", "10")
        filled(nodes, 100)
        author = client_of(nodes)
        other = next(node for node in nodes if node is not author)
        for n in range(0, 50, 5):
            author.remove(f"d0/{n}.txt")
        settled(nodes)
        check_equal(files_of(other), 90, "files after ten deletes")
        author.remove("d0/50.txt")
        held(author)
        check_equal(files_of(other), 90, "files after the eleventh")


def test_unmounted_root():
    """A folder on a file system that is unmounted under the node: no delete; all is well once it is back."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", a.path], check=True)
        mounts = 1
        try:
            for node in (a, b):
                node.start(*FAST)
            filled([b, a], 60)
            # Lazily, for the node has it open; a bind keeps the content to come back with.
            keep = os.path.join(net.root, "keep")
            os.makedirs(keep)
            subprocess.run(["mount", "--bind", a.path, keep], check=True)
            mounts = 2
            subprocess.run(["umount", "-l", a.path], check=True)
            # Nothing tells of a lazy unmount while something has the folder open: the scan does.
            a.path, real = keep, a.path
            check_equal(a.cli("rescan").code, 0, "exit code of rescan")
            a.path = real
            time.sleep(2)
            check_equal(files_of(b), 60, "files on the other node")
            real, a.path = a.path, keep
            said = a.status() if a.running else {"state": "ended", "reason": a.log()[-300:]}
            a.path = real
            check_equal(said["state"], "error", f"state ({said['reason']!r})")
            check(said["reason"], "no reason")
            subprocess.run(["mount", "--bind", keep, a.path], check=True)
            mounts = 3
            a.kill()
            a.start()
            found = settled([a, b])
            check_equal(len([e for e in found.values() if e[0] == "file"]), 60, "files at the end")
        finally:
            a.kill()
            for path in (a.path, os.path.join(net.root, "keep")):
                for _ in range(mounts):
                    subprocess.run(["umount", "-l", path], capture_output=True)


def share_of_a_core(node, seconds):
    before = node.processor_seconds()
    time.sleep(seconds)
    return (node.processor_seconds() - before) / seconds


@timeout(120)
def test_folder_gone():
    """A folder that goes under its node, in whatever way: it says so, looks each few seconds, deletes nothing, goes on when it is back"""
    def away(node):
        os.rename(node.path, node.path + "-away")
        return lambda: os.rename(node.path + "-away", node.path)

    def away_with_another_there(node):
        back = away(node)
        os.mkdir(node.path)

        def put_back():
            os.rmdir(node.path)
            back()
        return put_back

    def away_for_a_file(node):
        back = away(node)
        open(node.path, "wb").close()

        def put_back():
            os.remove(node.path)
            back()
        return put_back

    def covered(node):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", node.path], check=True)
        return lambda: subprocess.run(["umount", "-l", node.path], check=True)

    with Lan() as net:
        nodes = group(net)
        # Enough that their types are still being found out when the folder goes: in sync, and yet not at rest.
        filled(nodes, 1500)
        for turn, go in enumerate((away, away_with_another_there, away_for_a_file, covered)):
            one, other = nodes[turn % 2], nodes[1 - turn % 2]
            lines = len(one.log().splitlines())
            back = go(one)
            time.sleep(1)
            share = share_of_a_core(one, 4)
            said = [line for line in one.log().splitlines()[lines:] if " error " in line]
            print(f"    {go.__name__}: {100 * share:.1f} % of a core; {(said or ['nothing was said'])[0]}")
            check(share <= 0.05, f"{go.__name__}: {100 * share:.1f} % of a core")
            check_equal(files_of(other), 1500 + turn, f"{go.__name__}: files on the other node")
            back()
            if go is not covered:  # of which nothing tells, and nothing else is wrong with it
                check(said, f"{go.__name__}: nothing was said: {one.log().splitlines()[lines:]}")
            one.write(f"{go.__name__}.txt", "back")
            eventually(lambda other=other, go=go: other.read(f"{go.__name__}.txt") == b"back", 20,
                       f"what was written when it was back ({go.__name__}) on {other.name}")
            settled(nodes)
        # And for good: no command reaches it then, but a signal does.
        one, other = nodes
        lines = len(one.log().splitlines())
        shutil.rmtree(one.path)
        time.sleep(1)
        share = share_of_a_core(one, 5)
        said = one.log().splitlines()[lines:]
        print(f"    removed: {100 * share:.1f} % of a core")
        check(share <= 0.05, f"removed: {100 * share:.1f} % of a core")
        check(any("is gone" in line for line in said) and len(said) < 10, f"its words: {said}")
        check_equal(files_of(other), 1504, "files on the other node")
        one.stop()


def test_lansync_moved_away_and_back():
    """.lansync moved away: state error, no delete; moved back, the node goes on, at the latest after a restart."""
    with Lan() as net:
        nodes = group(net)
        filled(nodes, 60)
        author = client_of(nodes)
        other = next(node for node in nodes if node is not author)
        away = author.path + "-lansync-away"
        os.rename(author.at(".lansync"), away)
        for n in range(5):
            shutil.rmtree(author.at(f"d{n}"))
        time.sleep(4)
        check_equal(files_of(other), 60, "files on the other node")
        os.rename(away, author.at(".lansync"))
        eventually(lambda: author.status()["state"] in ("held", "error", "in-sync"), 10, "an answer")
        seen = []
        for _ in range(40):
            seen.append(author.status()["state"])
            if seen[-1] == "held":
                break
            time.sleep(0.2)
        live = seen[-1]
        check_equal(files_of(other), 60, f"files on the other node after .lansync came back (states {set(seen)})")
        author.kill()
        author.start()
        held(author)
        check_equal(files_of(other), 60, f"files on the other node after a restart (live state was {live})")
        check_equal(author.cli("reject").code, 0, "reject")
        found = settled(nodes)
        check_equal(len([e for e in found.values() if e[0] == "file"]), 60, "files at the end")


def test_unreadable_file():
    """A file that the node may not read is unknown, not gone: named in status, plan or doctor; the rest syncs."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path, exist_ok=True)
        for path in (a.path, a.home):
            os.chown(path, 65534, 65534)
        os.chmod(net.root, 0o755)
        b.start(*FAST)
        process = netns.popen(
            a.namespace,
            ["setpriv", "--pdeathsig", "keep", "--reuid=65534", "--regid=65534", "--clear-groups", program(), "run", a.path, "--name", "a", *FAST],
            stdin=subprocess.DEVNULL, stdout=open(a.log_path, "ab"), stderr=subprocess.STDOUT, cwd="/",
            env=a.environment())
        a.process = process
        a.wait_ready()
        def own(path, data):
            a.write(path, data)
            os.chown(a.at(path), 65534, 65534)
        own("read.txt", "one")
        own("other.txt", "o")
        settled([a, b])
        os.chmod(a.at("read.txt"), 0)
        own("dark.txt", "dark")
        os.chmod(a.at("dark.txt"), 0)
        own("after.txt", "after")
        eventually(lambda: b.read("after.txt") == b"after", 10, "the rest")
        a.cli("rescan")
        time.sleep(1.5)
        check(b.exists("read.txt"), "what cannot be read was deleted elsewhere")
        said = a.cli("doctor").stdout + a.cli("plan").stdout + a.status()["reason"] + a.log()
        check("dark.txt" in said, "nothing names the unreadable file")


def test_device_and_doctor():
    """Pipes, sockets, devices and bad names are named, escaped, by `doctor`; the scan does not hang."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path)
        os.mkfifo(a.at("pipe"))
        os.mknod(a.at("null-device"), 0o600 | 0o020000, os.makedev(1, 3))
        for name in (b"bad-\xff", b"new\nline"):
            with open(os.path.join(a.path.encode(), name), "wb"):
                pass
        a.write("good.txt", "g")
        for node in (a, b):
            node.start(*FAST)
        eventually(lambda: b.read("good.txt") == b"g", 10, "the good file")
        a.wait(peers=1)
        check_equal(sorted(b.snapshot()), ["good.txt"], "b's folder")
        text = a.cli("doctor").stdout
        for word in ("pipe", "null-device", "bad-", "new"):
            check(word in text, f"doctor does not name {word!r}: {text!r}")
        check("not synced" in a.status()["reason"], f"reason {a.status()['reason']!r}")


def test_two_of_one_name():
    """Two nodes of one name are shown as name~1a2b, each with the first digits of its own id."""
    with Lan() as net:
        a, b, c = [net.node(name) for name in "abc"]
        a.start(*FAST, wait_ready=True)
        for node in (b, c):
            node.start(*FAST, "--name", "twin")
        for node in (a, b, c):
            node.wait(peers=2)
        eventually(lambda: len(a.status()["peers"]) == 2, 5, "two peers")
        rows = a.cli("peers", "--json").json
        check_equal(sorted(r["name"] for r in rows), sorted("twin~" + r["id"][:4] for r in rows), "names")
        seen = {r["name"] for r in b.cli("peers", "--json").json}
        check(any(name.startswith("twin~") for name in seen), f"b sees {seen}")


def test_long_folder():
    """A folder whose path has more than 200 characters works, commands included."""
    with Lan() as net:
        long = os.path.join(net.root, "x" * 120, "y" * 120)
        a, b = net.node("a", folder=long), net.node("b")
        for node in (a, b):
            node.start(*FAST)
        a.write("f.txt", "f")
        settled([a, b])
        check_equal(b.read("f.txt"), b"f", "f.txt")
        check_equal(a.cli("stop").code, 0, "exit code of stop")


def test_plan_while_paused():
    """`plan` on a paused node shows what would be pushed, fetched and deleted; nothing of it is done."""
    with Lan() as net:
        nodes = group(net)
        author = client_of(nodes)
        other = next(node for node in nodes if node is not author)
        author.write("gone.txt", "g")
        author.write("edited.txt", "1")
        settled(nodes)
        check_equal(author.cli("pause").code, 0, "pause")
        author.write("new.txt", "n")
        author.write("edited.txt", "22")
        author.remove("gone.txt")
        other.write("theirs.txt", "t")
        def rows():
            return {r["name"]: r["action"] for r in author.cli("plan", "--json").json}
        want = {"new.txt": "push", "edited.txt": "push", "gone.txt": "delete-there", "theirs.txt": "fetch"}
        eventually(lambda: rows() == want, 5, lambda: f"plan says {rows()}")
        check_equal(author.cli("plan").code, 0, "exit code of plan")
        check(not other.exists("new.txt") and other.exists("gone.txt"), "plan did something")
        author.cli("resume")
        check_equal(sorted(settled(nodes)), ["edited.txt", "new.txt", "theirs.txt"], "files")
        check_equal(author.cli("plan", "--json").json, [], "plan when in sync")


def test_stop_in_two_seconds():
    """`lansync stop`, SIGTERM, SIGINT and SIGHUP end a node with 0 within 2 s; confirm with nothing held is 1."""
    with Lan() as net:
        a, b = nodes = group(net)
        for command in ("confirm", "reject"):
            outcome = a.cli(command)
            check_equal((outcome.code, outcome.stdout, outcome.stderr.count("\n")), (1, "", 1), f"{command} ({outcome})")
        for end in ("stop", signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            started = time.monotonic()
            if end == "stop":
                check_equal(a.cli("stop").code, 0, "exit code of stop")
                check_equal(a.process.wait(2), 0, "exit code of the node")
                a.process = None
            else:
                a.stop(end)
            check(time.monotonic() - started <= 2, f"{end} took {time.monotonic() - started:.2f} s")
            check_equal(a.cli("status").code, 3, "status afterwards")
            a.start()


if __name__ == "__main__":
    main(__name__)

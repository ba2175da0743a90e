"""Indexes that are lost, copied or old: the node takes a new id, says so, and no edit is lost."""
import contextlib
import os
import shutil
import subprocess
import time

import tree
from cases import check, check_equal, eventually, main
from exfat import exfat_device
from lan import FAST, Lan, group, settled


def node_id(node):
    return node.status()["node"]["id"]


def forget_index(node):
    for name in os.listdir(node.at(".lansync")):
        if name.startswith("index.db"):
            os.remove(node.at(".lansync/" + name))


def test_same_id_after_restart():
    """A node keeps its id over a clean restart and over a kill."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        first = node_id(a)
        a.stop()
        check_equal(node_id(a.start()), first, "id after a stop")
        a.kill()
        check_equal(node_id(a.start()), first, "id after a kill")


def test_index_deleted():
    """A lost index is a first join: a new id, equal files cost nothing, edited ones are kept twice."""
    with Lan() as net:
        a, b = nodes = group(net)
        for n in range(50):
            a.write(f"{n}.txt", tree.payload(2_000, n))
        settled(nodes)
        old = node_id(b)
        b.stop()
        forget_index(b)
        b.write("0.txt", "edited while the index was lost")
        b.write("new.txt", "new")
        b.remove("1.txt")
        a.write("2.txt", "edited by a")
        b.start()
        found = settled(nodes)
        check(node_id(b) != old, "the id stayed, though its counts are lost")
        kept = {a.read(path) for path in found if path.startswith("0")}
        check(b"edited while the index was lost" in kept and tree.payload(2_000, 0) in kept, "0.txt is not kept twice")
        check_equal(a.read("new.txt"), b"new", "new.txt")
        check_equal(b.read("1.txt"), tree.payload(2_000, 1), "1.txt, of which nobody knows that it was deleted")
        check_equal(b.read("2.txt"), b"edited by a", "2.txt")


def test_hub_index_deleted():
    """A hub whose index is lost joins the group that went on; no file is lost or comes back from the dead."""
    with Lan() as net:
        a, b, c = nodes = group(net, "abc")
        for n in range(20):
            a.write(f"{n}.txt", str(n))
        settled(nodes)
        hub = next(node for node in nodes if node.status()["role"] == "server")
        rest = [node for node in nodes if node is not hub]
        hub.kill()
        forget_index(hub)
        eventually(lambda: "server" in [node.status()["role"] for node in rest], 6, "a new hub")
        rest[0].write("later.txt", "later")
        settled(rest)
        hub.start()
        found = settled(nodes)
        check_equal(len(found), 21, f"files {sorted(found)}")


def test_folder_copied_to_another_machine():
    """A folder copied with its .lansync: both go on under ids of their own, and edits of both arrive."""
    with Lan() as net:
        a, b = nodes = group(net)
        for n in range(10):
            a.write(f"{n}.txt", str(n))
        settled(nodes)
        client = next(node for node in nodes if node.status()["role"] == "client")
        client.stop()
        c = net.node("c")
        shutil.copytree(client.path, c.path, symlinks=True)
        client.start()
        c.start(*FAST)
        nodes.append(c)
        settled(nodes)
        check_equal(len({node_id(node) for node in nodes}), 3, "different ids")
        check("id" in c.log() or "identity" in c.log(), "the log does not say so")
        for turn in range(3):
            for node in nodes:
                node.write(f"by-{node.name}-{turn}.txt", f"{node.name} {turn}")
            c.write("0.txt", f"edited by the copy {turn}")
            found = settled(nodes)
        check_equal(len(found), 10 + 9, f"files {sorted(found)}")
        check_equal(a.read("0.txt"), b"edited by the copy 2", "0.txt")


def test_backup_of_lansync_restored():
    """.lansync put back from an older backup: the files stay as they are, and later edits still win."""
    with Lan() as net:
        a, b, c = nodes = group(net, "abc")
        victim = next(node for node in nodes if node.status()["role"] == "client")
        other = next(node for node in nodes if node is not victim)
        victim.write("doc.txt", "version 1")
        victim.write("dead.txt", "to be deleted")
        settled(nodes)
        victim.stop()
        backup = victim.path + "-backup"
        shutil.copytree(victim.at(".lansync"), backup)
        victim.start()
        for turn in range(2, 6):
            victim.write("doc.txt", f"version {turn}")
            settled(nodes)
        other.remove("dead.txt")
        settled(nodes)
        victim.stop()
        # As a restore does it: into the directory that is there, so that its inode does not tell.
        for name in os.listdir(victim.at(".lansync")):
            path = victim.at(".lansync/" + name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        shutil.copytree(backup, victim.at(".lansync"), dirs_exist_ok=True)
        victim.write("doc.txt", "version 6, after the restore")
        # Long enough that the first scan takes it at once: its version is made before the node hears of the group,
        # with a count that it has used before.
        time.sleep(0.5)
        victim.start()
        found = settled(nodes)
        held = {other.read(path) for path in found if path.startswith("doc")}
        check(b"version 6, after the restore" in held, f"the edit after the restore is lost: {held}")
        check("dead.txt" not in found, "a delete was undone")
        for turn in range(7, 10):
            victim.write("doc.txt", f"version {turn}")
            settled(nodes)
            check_equal(other.read("doc.txt"), f"version {turn}".encode(), "doc.txt")


def test_whole_folder_restored():
    """A folder restored whole from an older backup: what others did since arrives, nothing old wins."""
    with Lan() as net:
        a, b = nodes = group(net)
        client = next(node for node in nodes if node.status()["role"] == "client")
        hub = next(node for node in nodes if node is not client)
        hub.write("doc.txt", "version 1")
        hub.write("gone.txt", "x")
        settled(nodes)
        client.stop()
        backup = client.path + "-backup"
        shutil.copytree(client.path, backup, symlinks=True)
        client.start()
        hub.write("doc.txt", "version 2")
        hub.remove("gone.txt")
        client.write("mine.txt", "made after the backup")
        settled(nodes)
        client.stop()
        shutil.rmtree(client.path)
        shutil.copytree(backup, client.path, symlinks=True)
        client.start()
        found = settled(nodes)
        check_equal(sorted(found), ["doc.txt", "mine.txt"], "files")
        check_equal(client.read("doc.txt"), b"version 2", "doc.txt")


def test_same_id_twice_at_once():
    """A clone of a killed node that starts before its original: both go on, under ids of their own."""
    with Lan() as net:
        a, b = nodes = group(net)
        a.write("x.txt", "x")
        settled(nodes)
        client = next(node for node in nodes if node.status()["role"] == "client")
        c = net.node("c")
        client.kill()
        shutil.copytree(client.path, c.path, symlinks=True, ignore=shutil.ignore_patterns("control.sock"))
        c.start(*FAST)
        client.start()
        nodes.append(c)
        time.sleep(1)
        c.write("by-clone.txt", "c")
        client.write("by-original.txt", "o")
        found = settled(nodes)
        check_equal(sorted(found), ["by-clone.txt", "by-original.txt", "x.txt"], "files")
        check_equal(len({node_id(node) for node in nodes}), 3, "different ids")


def test_two_of_one_name():
    """Two nodes of one name are told apart as name~1a2b, to others and to themselves, in every list."""
    with Lan() as net:
        a, b, c = nodes = [net.node(name) for name in "abc"]
        for node, name in ((a, "pc"), (b, "pc"), (c, "other")):
            node.start(*FAST, "--name", name)
        for node in nodes:
            node.wait(peers=2)
        settled(nodes)
        shown = {f"pc~{node_id(node)[:4]}" for node in (a, b)}
        check_equal(len(shown), 2, "shown names")
        for command in (("status", "--json"), ("peers", "--json")):
            said = c.cli(*command).json
            names = {p["name"] for p in (said["peers"] if isinstance(said, dict) else said)}
            check_equal(names, shown, f"{command[0]} on c")
        for node in (a, b):
            check_equal(node.status()["node"]["name"], f"pc~{node_id(node)[:4]}", "its own name")
            names = {p["name"] for p in node.status()["peers"]}
            check("other" in names and len(names & shown) == 1, f"names on {node.name}: {names}")
        hub = c.status()["hub"]
        check(hub["name"] in shown | {"other"}, f"the hub is called {hub['name']}")
        # Alone again, the name is its own.
        (a if hub["id"] != node_id(a) else b).stop()
        rest = b if a.process is None else a
        eventually(lambda: rest.status()["node"]["name"] == "pc", 10, lambda: rest.status()["node"]["name"])


def test_two_nodes_of_one_machine():
    """Two nodes of one machine in one group: both are told that their folders become one."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        second = a.path + "-second"
        b = net.second_node("b", "a", second).start(*FAST)
        nodes = [a, b]
        a.write("x.txt", "x")
        settled(nodes)
        for node, other in ((a, "b"), (b, "a")):
            check(f"{other} (" in node.log() and "become one" in node.log(), f"the log of {node.name}: {node.log()}")
            reason = node.status()["reason"]
            check("become one" in reason and other in reason, f"the reason of {node.name}: {reason!r}")


def test_quick_restarts():
    """A node that is killed and started again, again and again in the midst of edits, keeps its id."""
    with Lan() as net:
        nodes = group(net, "abc")
        client = next(node for node in nodes if node.status()["role"] == "client")
        first = node_id(client)
        for turn in range(8):
            client.write(f"k{turn}.txt", f"before kill {turn}")
            time.sleep(0.15 + 0.05 * turn)  # about when it is pushed
            client.kill()
            client.start()
            check_equal(node_id(client), first, f"id after kill {turn}")
        found = settled(nodes)
        check_equal(node_id(client), first, "id in the end")
        check_equal(len(found), 8, f"files {sorted(found)}")
        check("has a new id" not in client.log(), f"it took a new id: {client.log()}")


def test_one_new_key_an_hour():
    """A folder that moves to another machine twice within the hour stays out the second time, and says why."""
    with Lan() as net:
        a, b = nodes = group(net)
        a.write("f.txt", "f")
        settled(nodes)
        client = next(node for node in nodes if node.status()["role"] == "client")
        other = next(node for node in nodes if node is not client)
        ids = {node_id(client)}
        for turn in range(2):
            client.stop()
            # Another directory with the same contents: as after a restore.
            moved = client.at(".lansync-moved")
            shutil.copytree(client.at(".lansync"), moved)
            shutil.rmtree(client.at(".lansync"))
            os.rename(moved, client.at(".lansync"))
            client.start()
            if turn == 0:
                settled(nodes)
                check(node_id(client) not in ids, "no new id")
                ids.add(node_id(client))
        check_equal(client.status()["state"], "error", "state")
        reason = client.status()["reason"]
        check("new key" in reason and "by itself" in reason, f"reason: {reason!r}")
        check(node_id(client) in ids, "a second new id within the hour")
        other.write("later.txt", "later")
        time.sleep(2)
        check(not client.exists("later.txt"), "it is in the group all the same")


@contextlib.contextmanager
def a_file_system(net, kind):
    """A place on such a file system and what mounts it anew; None where this machine cannot."""
    base = os.path.join(net.root, kind)
    place = os.path.join(base, "mnt")
    os.makedirs(place)
    image = os.path.join(base, "image")
    lower = os.path.join(base, "lower")
    ways = {"ext4": ["mount", "-o", "loop", image, place], "exfat": ["mount.exfat-fuse", None, place],
            "tmpfs": ["mount", "--bind", lower, place],
            "overlay": ["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={lower}/low,upperdir={lower}/up,workdir={lower}/work", place]}

    devices = contextlib.ExitStack()

    def mount():
        return subprocess.run(ways[kind], capture_output=True).returncode == 0

    def unmount():
        subprocess.run(["umount", place], check=True)

    try:
        if kind == "exfat":
            if not shutil.which("mkfs.exfat"):
                yield None
                return
            ways[kind][1] = devices.enter_context(exfat_device(image))
        elif kind == "ext4":
            with open(image, "wb") as file:
                file.truncate(64 << 20)
            subprocess.run(["mkfs.ext4", image], check=True, capture_output=True)
        else:
            os.makedirs(lower)
            if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", lower]).returncode != 0:
                yield None
                return
            for name in ("low", "up", "work"):
                os.makedirs(f"{lower}/{name}")
        yield (place, mount, unmount) if mount() else None
    finally:
        for path in (place, lower):
            subprocess.run(["umount", "-l", path], capture_output=True)
        devices.close()


def test_same_id_after_remount():
    """Unmounted and mounted again, a folder on ext4, exFAT, tmpfs or overlay keeps its id."""
    with Lan() as net:
        for kind in ("ext4", "exfat", "tmpfs", "overlay"):
            with a_file_system(net, kind) as found:
                if not found:
                    print(f"    {kind}: not tried, this machine cannot mount it")
                    continue
                place, mount, unmount = found
                node = net.node(kind, os.path.join(place, "folder"))
                # exFAT has no sockets: the control socket goes there.
                runtime = os.path.join(net.root, kind, "run")
                os.makedirs(runtime, mode=0o700)
                plain = node.environment
                node.environment = lambda **more: plain(**{"XDG_RUNTIME_DIR": runtime, **more})
                node.start(*FAST)
                node.write("f.txt", "f")
                node.wait(peers=0)
                first = node_id(node)
                for turn in range(3):
                    node.stop()
                    unmount()
                    # Something else takes the device number meanwhile.
                    other = os.path.join(net.root, f"{kind}-other-{turn}")
                    os.makedirs(other)
                    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", other], check=True)
                    try:
                        check(mount(), f"{kind} does not mount again")
                        node.start()
                        check_equal(node_id(node), first, f"id on {kind} after mount {turn}")
                        node.wait(peers=0)
                    finally:
                        subprocess.run(["umount", "-l", other], check=True)
                node.stop()
                check("new id" not in node.log(), f"the log of {kind}: {node.log()}")


def with_forty(net):
    a, b = nodes = group(net, "ab")
    for n in range(40):
        a.write(f"d/{n}.txt", f"text {n}")
    settled(nodes)
    return nodes


def all_there(*nodes):
    for node in nodes:
        check_equal(len([name for name in node.files() if name.startswith("d/")]), 40, f"files on {node.name}")
        check_equal(node.status()["held_deletes"], 0, f"held deletes on {node.name}")


def test_moved_private_directory():
    """`.lansync` moved into an empty folder: what is missing there comes, and is deleted nowhere."""
    with Lan() as net:
        a, b = nodes = with_forty(net)
        b.stop()
        elsewhere = b.path + "-new"
        os.mkdir(elsewhere, 0o700)
        os.rename(b.at(".lansync"), elsewhere + "/.lansync")
        b.path = elsewhere
        b.start()
        settled(nodes)
        all_there(a, b)


def test_partial_copy():
    """A folder that was copied without a part of it deletes that part nowhere, also when it runs alone first."""
    for alone in (False, True):
        with Lan() as net:
            a, b = nodes = with_forty(net)
            b.stop()
            c = net.node("c")
            shutil.rmtree(c.path, ignore_errors=True)
            shutil.copytree(b.path, c.path, ignore=shutil.ignore_patterns("d", "lock", "control*"))
            if alone:
                a.stop()
            c.start(*FAST)
            if alone:
                time.sleep(4)
                a.start()
            b.start()
            settled([a, b, c])
            all_there(a, b, c)


def test_old_index_put_back():
    """An older index put back: what it has and the disk lacks by now is deleted nowhere."""
    with Lan() as net:
        a, b = nodes = with_forty(net)
        b.stop()
        kept = {name: open(b.at(".lansync/" + name), "rb").read()
                for name in os.listdir(b.at(".lansync")) if name.startswith("index.db")}
        b.start()
        b.write("later.txt", "later")
        settled(nodes)
        b.stop()
        forget_index(b)
        for name, content in kept.items():
            with open(b.at(".lansync/" + name), "wb") as file:
                file.write(content)
        shutil.rmtree(b.at("d"))
        b.start()
        settled(nodes)
        all_there(a, b)
        check_equal(a.read("later.txt"), b"later", "what was made after the old index")


if __name__ == "__main__":
    main(__name__)

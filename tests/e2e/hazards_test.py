"""Folders that should not be shared, files that cannot be, mounts that come and go."""
import contextlib
import os
import shutil
import stat
import subprocess
import time

import netns
from cases import check, check_equal, eventually, main
from exfat import exfat_device
from lan import FAST, Lan, group, program, settled


@contextlib.contextmanager
def mounted(where, *arguments):
    """A mount for a while; taken away lazily, because a node may still have it open."""
    os.makedirs(where, exist_ok=True)
    subprocess.run(["mount", *arguments, where], check=True, capture_output=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], capture_output=True)


@contextlib.contextmanager
def mounted_exfat(device, node):
    """The node's folder is on that device; the node is killed before that ends."""
    subprocess.run(["mount.exfat-fuse", device, node.path], check=True, capture_output=True)
    try:
        yield
    finally:
        if node.running:
            node.kill()
        subprocess.run(["umount", node.path], capture_output=True)


def refusal(node, folder, *options, **environment):
    """What `lansync run FOLDER` says that refuses it; fails if it runs."""
    process = netns.popen(node.namespace, [program(), "run", folder, *FAST, *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=node.home,
                          env=node.environment(**environment))
    try:
        said = process.communicate(timeout=10)[1].decode(errors="replace")
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{folder} was taken") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    check_equal(process.returncode, 1, f"exit code for {folder} ({said!r})")
    check_equal(said.count("\n"), 1, f"lines about {folder} ({said!r})")
    check("--force-dir" in said, f"no way out is named for {folder}: {said!r}")
    check(not os.path.exists(os.path.join(folder, ".lansync", "index.db")), f"{folder} got an index")
    return said


def test_folders_that_are_refused():
    """`/`, a home, system directories and folders within or around a node's are refused, by any name; --force-dir."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(b.home + "/inner")
        for folder, word in (("/", "whole system"), ("/etc", "system"), ("/usr/share/x", "system"), ("/home", "system"),
                             ("/var/lib", "system"), (b.home, "home directory")):
            check(word in refusal(b, folder), f"{folder}: {refusal(b, folder)!r}")
        link = net.root + "/link-to-home"
        os.symlink(b.home, link)
        check("home directory" in refusal(b, link), "a link to the home directory")
        with mounted(net.root + "/bound-home", "--bind", b.home) as bound:
            check("home directory" in refusal(b, bound), "a bind mount of the home directory")
        with mounted(net.root + "/bound-etc", "--bind", "/etc") as bound:
            check("system" in refusal(b, bound + "/opt"), "below a bind mount of /etc")

        a.start(*FAST)
        a.write("sub/deep/x.txt", "x")
        a.wait()
        for folder in (a.path + "/sub", a.path + "/sub/deep", a.path + "/new/one"):
            check("within" in refusal(b, folder), f"{folder}: {refusal(b, folder)!r}")
        os.symlink(a.path + "/sub", net.root + "/link-into")
        check("within" in refusal(b, net.root + "/link-into"), "a link into another node's folder")
        with mounted(net.root + "/bound-sub", "--bind", a.path + "/sub") as bound:
            check("within" in refusal(b, bound), "a bind mount of a part of another node's folder")
            check("within" in refusal(b, bound + "/deep"), "below a bind mount of a part of another node's folder")
        os.makedirs(net.root + "/around/one/two")
        with mounted(net.root + "/around/one/two/bound", "--bind", a.path):
            check("around" in refusal(b, net.root + "/around"), "around a bind mount of another node's folder")
        around = net.root + "/really/around"
        shutil.copytree(a.path, around + "/p/q", ignore=lambda *_: ["control.sock", "index.db"])
        check("around" in refusal(b, around), "around another node's folder")

        c = net.node("c", folder=around)
        c.start(*FAST, "--force-dir")
        check_equal(c.status()["folder"]["path"], around, "the folder that was forced")
        c.stop()
        # One's own folder is not "around" itself at the second start, and stays taken.
        c.start(*FAST)
        check_equal(a.status()["state"] != "error", True, "a's state")


def start_as_nobody(node):
    """Root reads everything."""
    node.process = netns.popen(
        node.namespace, ["setpriv", "--pdeathsig", "keep", "--reuid=65534", "--regid=65534", "--clear-groups", program(), "run", node.path,
                         "--name", node.name, *FAST],
        stdin=subprocess.DEVNULL, stdout=open(node.log_path, "ab"), stderr=subprocess.STDOUT, cwd="/", env=node.environment())
    node.wait_ready()


def test_unreadable_at_start():
    """A directory that cannot be read when the node starts is there once it can be, and what changes in it later."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        a.write("dark/deep/old.txt", "old")
        a.write("light.txt", "l")
        os.chmod(net.root, 0o755)
        for at, directories, files in os.walk(a.path):
            for name in [at, *(os.path.join(at, name) for name in files)]:
                os.chown(name, 65534, 65534)
        os.chown(a.home, 65534, 65534)
        os.chmod(a.at("dark"), 0)
        b.start(*FAST)
        start_as_nobody(a)
        eventually(lambda: b.read("light.txt") == b"l", 10, "the rest")
        check("dark" in a.status()["reason"], f"the directory is not named: {a.status()['reason']!r}")
        os.chmod(a.at("dark"), 0o755)
        check_equal(a.cli("wait", "--timeout", "20s").code, 0, "wait after the directory could be read")
        check_equal(b.read("dark/deep/old.txt"), b"old", "what was in it")
        with open(a.at("dark/deep/new.txt"), "w", encoding="utf-8") as file:
            file.write("new")
        os.chown(a.at("dark/deep/new.txt"), 65534, 65534)
        eventually(lambda: b.read("dark/deep/new.txt") == b"new", 10, "what was made in it later")


def test_unreadable_directory():
    """A directory of mode 0 deletes nothing below it anywhere; it is named; all is well once it can be read again."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path)
        os.chmod(net.root, 0o755)
        for path in (a.path, a.home):
            os.chown(path, 65534, 65534)
        b.start(*FAST)
        start_as_nobody(a)
        for n in range(80):
            b.write(f"dark/d{n % 4}/{n}.txt", f"{n}")
        b.write("light/l.txt", "l")
        want = settled([b, a])
        os.chmod(a.at("dark"), 0)
        check_equal(a.cli("rescan").code, 0, "rescan")
        a.write("light/new.txt", "n")
        os.chown(a.at("light/new.txt"), 65534, 65534)
        eventually(lambda: b.read("light/new.txt") == b"n", 10, "the rest goes on")
        a.cli("rescan")
        time.sleep(1.5)
        check_equal(len(b.files()), 82, "files on b")
        said = a.status()
        check(said["state"] != "error" and said["held_deletes"] == 0, f"{said['state']}, held {said['held_deletes']}")
        check("dark" in said["reason"], f"the directory is not named: {said['reason']!r}")
        # What the others do below it waits, and is not lost.
        b.write("dark/d0/0.txt", "edited")
        time.sleep(1)
        # No rescan: that it can be read again is noticed, and `wait` keeps its promise.
        os.chmod(a.at("dark"), 0o755)
        check_equal(a.cli("wait", "--timeout", "20s").code, 0, "wait after the directory could be read again")
        check("dark" not in a.status()["reason"], f"still named: {a.status()['reason']!r}")
        found = settled([a, b])
        check_equal(a.read("dark/d0/0.txt"), b"edited", "what was edited meanwhile")
        check_equal(set(found), set(want) | {"light/new.txt"}, "names")
        check_equal(a.cli("trash", "--json").json and
                    {row["name"] for row in a.cli("trash", "--json").json} - {"dark/d0/0.txt"}, set(), "a's trash")


def mount_inside(net, arguments):
    a, b = group(net)
    for n in range(30):
        a.write(f"box/{n}.txt", f"{n}")
    a.write("plain.txt", "p")
    settled([a, b])
    with mounted(a.at("box"), *arguments):
        with open(a.at("box/foreign.txt"), "w", encoding="ascii") as file:
            file.write("from the other file system")
        a.write("during.txt", "d")
        a.cli("rescan")
        eventually(lambda: b.read("during.txt") == b"d", 10, "the rest goes on")
        eventually(lambda: "box" in a.status()["reason"], 10, lambda: f"not reported: {a.status()['reason']!r}")
        time.sleep(1)
        check_equal(len([p for p in b.files() if p.startswith("box/")]), 30, "files of box on b while it is covered")
        check(not b.exists("box/foreign.txt"), "what is on the other file system was taken")
        # What others do there is not done to the other file system.
        b.write("box/new.txt", "n")
        b.write("box/sub/new.txt", "n")
        b.remove("box/7.txt")
        time.sleep(2)
        check_equal(sorted(os.listdir(a.at("box")))[-1], "foreign.txt", "what is on the other file system")
        check(not os.path.exists(a.at("box/sub")) and not os.path.exists(a.at("box/new.txt")),
              "something was written to the other file system")
        check_equal(a.cli("stop").code, 0, "stop")
        a.process.wait(5)
        a.start()
        time.sleep(1)
        check_equal(len([p for p in b.files() if p.startswith("box/")]), 31, "files of box on b after a restart")
    a.cli("rescan")
    found = settled([a, b])
    boxed = {p for p in found if p.startswith("box/")}
    check_equal(boxed, {f"box/{n}.txt" for n in range(30) if n != 7} | {"box/new.txt", "box/sub", "box/sub/new.txt"},
                "box when it is uncovered again")


def test_mount_inside():
    """A file system mounted inside the folder is reported and not entered; when it goes, nothing is deleted."""
    with Lan() as net:
        mount_inside(net, ["-t", "tmpfs", "tmpfs"])


def test_bind_mount_inside():
    """The same for a bind mount, whose device is the folder's own."""
    with Lan() as net:
        other = os.path.join(net.root, "other")
        os.makedirs(other)
        mount_inside(net, ["--bind", other])


def test_unmounted_inside():
    """A directory that was always on another file system, and is unmounted, deletes nothing elsewhere."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path)
        with mounted(a.at("disk"), "-t", "tmpfs", "tmpfs"):
            a.write("disk/on-it.txt", "x")
            b.write("disk/of-b.txt", "b")
            for node in (a, b):
                node.start(*FAST)
            a.write("y.txt", "y")
            eventually(lambda: b.exists("y.txt"), 10, "y.txt")
            time.sleep(1)
            check(not b.exists("disk/on-it.txt"), "the mount was entered")
        a.cli("rescan")
        settled([a, b])
        check_equal(b.read("disk/of-b.txt"), b"b", "b's own file there")


def test_new_ignore_rule():
    """A new ignore rule deletes nothing anywhere, whoever wrote it; taken back, the files are synced again."""
    with Lan() as net:
        nodes = a, b, c = group(net, "abc")
        for n in range(120):
            a.write(f"cache/{n}.txt", f"{n}")
        a.write("notes.txt", "n")
        want = settled(nodes)
        c.write(".lansyncignore", "cache/\n")
        settled(nodes)
        for node in nodes:
            node.cli("rescan")
            node.wait()
        time.sleep(1)
        for node in nodes:
            check_equal(len([p for p in node.files() if p.startswith("cache/")]), 120, f"files of cache on {node.name}")
            check_equal(node.status()["held_deletes"], 0, f"held deletes on {node.name}")
        # While it is ignored, a delete there is the disk's own affair.
        b.remove("cache/3.txt")
        b.cli("rescan")
        b.wait()
        time.sleep(1)
        check(a.exists("cache/3.txt") and c.exists("cache/3.txt"), "an ignored file's delete travelled")
        c.write(".lansyncignore", "")
        found = settled(nodes)
        check_equal(set(found), set(want) | {".lansyncignore"}, "files once the rule is taken back")


def test_hostile_files():
    """Mode 0, 0444, pipes, case twins, odd names, a directory without write permission: the rest syncs."""
    with Lan() as net:
        a, b = nodes = group(net)
        a.write("Twin.txt", "upper")
        a.write("twin.txt", "lower")
        a.write("DIR/x", "1")
        a.write("dir/x", "2")
        a.write("cafe\u0301.txt", "decomposed")
        a.write("caf\u00e9.txt", "composed")
        a.write("zero.txt", "mode zero", mode=0)
        a.write("readonly.txt", "one", mode=0o444)
        a.write("x" * 255, "long")
        a.write("locked/in.txt", "in")
        os.mkfifo(a.at("pipe"))
        with open(os.path.join(a.path.encode(), b"bad-\xff"), "wb"):
            pass
        with open(os.path.join(a.path.encode(), b"new\nline"), "wb"):
            pass
        for node in nodes:
            node.wait()
        def seen():
            return {k: v for k, v in a.snapshot().items() if v[0] != "special" and "\udcff" not in k and "\n" not in k}
        eventually(lambda: b.snapshot() == seen(), 15, "b has what travels")
        check_equal((b.read("Twin.txt"), b.read("twin.txt")), (b"upper", b"lower"), "case twins")
        check_equal(stat.S_IMODE(os.lstat(b.at("zero.txt")).st_mode), 0, "mode of zero.txt")
        # A 0444 target is replaced and keeps its mode.
        b.write("tmp-ro", "two", mode=0o444)
        os.rename(b.at("tmp-ro"), b.at("readonly.txt"))
        eventually(lambda: a.read("readonly.txt") == b"two", 10, "a 0444 target is replaced")
        check_equal(stat.S_IMODE(os.lstat(a.at("readonly.txt")).st_mode), 0o444, "its mode")
        os.chmod(b.at("locked"), 0o555)
        eventually(lambda: stat.S_IMODE(os.lstat(a.at("locked")).st_mode) == 0o555, 10, "the directory's mode")
        os.chmod(b.at("locked"), 0o755)
        b.write("locked/in.txt", "changed")
        os.chmod(b.at("locked"), 0o555)
        b.wait()
        eventually(lambda: a.read("locked/in.txt") == b"changed", 10, "a file in a directory of mode 0555")
        a.wait()
        check_equal(stat.S_IMODE(os.lstat(a.at("locked")).st_mode), 0o555, "the directory's mode afterwards")


def test_read_only_target():
    """A target directory that this user may not write to: said, tried again, the rest goes on; then it arrives."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path)
        os.chmod(net.root, 0o755)
        for path in (a.path, a.home):
            os.chown(path, 65534, 65534)
        os.makedirs(a.at("theirs"))  # root's, 0755: nobody may not write here
        b.start(*FAST)
        a.process = netns.popen(
            a.namespace, ["setpriv", "--pdeathsig", "keep", "--reuid=65534", "--regid=65534", "--clear-groups", program(), "run", a.path, "--name",
                          "a", *FAST],
            stdin=subprocess.DEVNULL, stdout=open(a.log_path, "ab"), stderr=subprocess.STDOUT, cwd="/", env=a.environment())
        a.wait_ready()
        b.write("theirs/new.txt", "new")
        b.write("free.txt", "free")
        eventually(lambda: a.read("free.txt") == b"free", 10, "the rest")
        eventually(lambda: "theirs/new.txt" in a.status()["reason"], 10, lambda: f"not named: {a.status()['reason']!r}")
        check_equal(a.status()["state"], "syncing", "state")
        os.chown(a.at("theirs"), 65534, 65534)
        a.cli("rescan")
        eventually(lambda: a.read("theirs/new.txt") == b"new", 20, "the file once the directory may be written to")
        settled([a, b])


def test_exfat_by_fuse():
    """On exFAT by FUSE, where each name has an inode of its own: names that change case, and twins, cost nobody a file"""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(b.path)
        with exfat_device(os.path.join(net.root, "exfat.img")) as device, mounted_exfat(device, b):
            a.start(*FAST)
            a.wait(peers=0)
            b.start(*FAST)
            a.write("Readme", "read me")
            a.write("dir/x", "x")
            a.write("Dog", "upper")
            eventually(lambda: b.read("Dog") == b"upper" and b.read("dir/x") == b"x" and b.exists("Readme"), 10, "the files")
            b.wait()
            os.rename(a.at("Readme"), a.at("README"))
            os.rename(a.at("dir"), a.at("DIR"))
            a.write("dog", "lower")
            wanted = {"README": b"read me", "DIR/x": b"x", "Dog": b"upper", "dog": b"lower"}
            eventually(lambda: {"README", "DIR"} <= set(os.listdir(b.path)), 10, "the new names on exFAT")
            eventually(lambda: "dog" in b.status()["reason"], 10, lambda: f"the twin is not named: {b.status()['reason']!r}")
            for word in ("rescan", "rescan"):
                b.cli(word)
                b.wait()
                check_equal({name: a.read(name) for name in wanted}, wanted, "where names differ by case")
                check_equal({name: b.read(name) for name in ("README", "DIR/x", "Dog")},
                            {name: wanted[name] for name in ("README", "DIR/x", "Dog")}, "on exFAT")
            check_equal([name for name in a.files() if "conflict" in name], [], "copies that nobody needs")
            a.remove("Dog")
            eventually(lambda: b.read("dog") == b"lower" and "dog" in os.listdir(b.path), 20, "the twin, once there is room for it")


def test_edits_on_exfat():
    """Edits on exFAT, which keeps no modes: file and directory elsewhere keep theirs, and nothing is announced for it"""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(b.path)
        with exfat_device(os.path.join(net.root, "exfat.img")) as device, mounted_exfat(device, b):
            a.write("private/secret.txt", "one")
            a.write("tool.sh", "#!/bin/sh")
            os.chmod(a.at("private/secret.txt"), 0o600)
            os.chmod(a.at("private"), 0o700)
            os.chmod(a.at("tool.sh"), 0o755)
            os.utime(a.at("tool.sh"), ns=(0, 1_700_000_001_123_456_789))
            modes = lambda: {name: oct(os.stat(a.at(name)).st_mode & 0o7777) for name in ("private", "private/secret.txt", "tool.sh")}
            before = modes()
            a.start(*FAST)
            b.start(*FAST)
            eventually(lambda: b.read("private/secret.txt") == b"one" and b.read("tool.sh"), 10, "the files on exFAT")
            b.wait()
            with open(b.at("private/secret.txt"), "a", encoding="utf-8") as file:
                file.write(" two")
            b.write("private/new.txt", "new")
            eventually(lambda: a.read("private/secret.txt") == b"one two" and a.read("private/new.txt") == b"new", 10, "the edits")
            for _ in range(2):
                b.cli("rescan")
                b.wait()
            check_equal(modes(), before, "modes where modes are kept")
            check_equal(os.stat(a.at("tool.sh")).st_mtime_ns, 1_700_000_001_123_456_789, "a time finer than exFAT's")
            check_equal([name for name in a.files() if "conflict" in name], [], "copies that nobody needs")


def test_same_stat_on_exfat():
    """On exFAT, whose times are whole seconds and can be set, an edit that leaves size and time as they were goes out"""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(b.path)
        with exfat_device(os.path.join(net.root, "exfat.img")) as device, mounted_exfat(device, b):
            a.write("price.txt", "price 100\n")
            a.start(*FAST)
            b.start(*FAST)
            eventually(lambda: b.read("price.txt") == b"price 100\n", 10, "the file on exFAT")
            b.wait()
            time.sleep(3)  # of the second in which it came nothing is left
            before = os.stat(b.at("price.txt"))
            b.write("price.txt", "price 999\n")
            os.utime(b.at("price.txt"), ns=(before.st_atime_ns, before.st_mtime_ns))
            eventually(lambda: a.read("price.txt") == b"price 999\n", 15, "an edit under a time that was set back")
            for number in range(5):  # within the second in which the first version came
                name = f"quick{number}"
                a.write(name, "one\n")
                eventually(lambda: b.read(name) == b"one\n", 10, name)
                b.write(name, "two\n")
                eventually(lambda: a.read(name) == b"two\n", 15, f"the second save of {name}")


def test_too_few_descriptors():
    """Too few file descriptors are said as that at every limit, and never as a port that is in use."""
    with Lan() as net:
        a = net.node("a")
        said = set()
        for limit in range(6, 40):
            a.prefix = ("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")
            a.start(*FAST, wait_ready=False)
            try:
                a.process.wait(0.6)
            except subprocess.TimeoutExpired:
                pass
            a.kill()
        said = [line for line in a.log().splitlines() if "lansync:" in line]
        check(not any("is in use" in line for line in said), f"a port is blamed: {said}")
        check(any("Too many open files" in line and "ulimit -n" in line for line in said), f"said: {said}")


def test_lock_file_removed():
    """A second node on the folder is refused in clear words also after somebody removed the first one's lock file."""
    with Lan() as net:
        a = net.node("a")
        a.start(*FAST)
        os.unlink(a.at(".lansync/lock"))
        second = netns.popen(a.namespace, [program(), "run", a.path, *FAST], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=a.home, env=a.environment())
        try:
            said = second.communicate(timeout=10)[1].decode()
        finally:
            second.kill()
        check_equal(second.returncode, 1, f"exit code ({said!r})")
        check("another lansync has the folder" in said and "database" not in said, f"said: {said!r}")
        check_equal(a.cli("status").code, 0, "the first goes on")


def test_ignore_file_is_a_link():
    """A .lansyncignore that is a link is no rule, for the node and for `lansync why` alike."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path, exist_ok=True)
        a.write("rules", b"*.tmp\n")
        os.symlink("rules", a.at(".lansyncignore"))
        a.write("x.tmp", b"x")
        a.start(*FAST)
        b.start(*FAST)
        settled([a, b])
        check_equal(b.read("x.tmp"), b"x", "what the link's target would leave out")
        why = a.cli("why", "x.tmp", "--json")
        check("ignored" not in why.stdout, f"why: {why}")


if __name__ == "__main__":
    main(__name__)

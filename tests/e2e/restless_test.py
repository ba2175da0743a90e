"""Files that never rest, and the ways in which editors save: one update each, seen from the other node's folder."""
import ctypes
import os
import struct
import subprocess
import threading
import time

from cases import check, check_equal, eventually, main
from lan import Lan, settled

FAST = ("--settle", "300ms")
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_MODIFY = 0x40, 0x80, 0x100, 0x200, 0x2
EVENTS = {IN_MOVED_FROM: "from", IN_MOVED_TO: "to", IN_CREATE: "create", IN_DELETE: "delete", IN_MODIFY: "modify"}


class Watch:
    """What happens to the names of one directory, as (what, name)."""

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MODIFY
        assert libc.inotify_add_watch(self._fd, os.fsencode(directory), mask) >= 0, os.strerror(ctypes.get_errno())

    def take(self):
        seen = []
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return seen
            while data:
                _, mask, _, length = struct.unpack_from("iIII", data)
                name = data[16:16 + length].rstrip(b"\0").decode()
                seen += [(what, name) for bit, what in EVENTS.items() if mask & bit]
                data = data[16 + length:]

    def close(self):
        os.close(self._fd)


class Presence:
    """Was a name ever missing? Looked at as fast as the machine allows."""

    def __init__(self, path):
        self.missing = 0
        self._path, self._end = path, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self):
        while not self._end.is_set():
            self.missing += not os.path.lexists(self._path)
            time.sleep(0.0005)

    def stop(self):
        self._end.set()
        self._thread.join()
        return self.missing


def pair(net, *options):
    a, b = net.node("a"), net.node("b")
    for node in (a, b):
        node.start(*FAST, *options)
    a.wait(peers=1)
    return a, b


def put(path, data, how="wb"):
    with open(path, how) as file:
        file.write(data)


# Each saves `text` as the file's new content, call by call as the program does (from strace of the programs).
def vim_with_backup(folder, name, text):
    """vim, backupcopy=no: 4913 as a probe, f -> f~, f anew, f~ removed; a swap file all the while."""
    swap = f"{folder}/.{name}.swp"
    put(swap, b"b0VIM")
    put(f"{folder}/4913", b"")
    os.remove(f"{folder}/4913")
    os.rename(f"{folder}/{name}", f"{folder}/{name}~")
    put(f"{folder}/{name}", text)
    os.chmod(f"{folder}/{name}", 0o644)
    os.remove(f"{folder}/{name}~")
    os.remove(swap)


def vim_backup_copy(folder, name, text):
    """vim, backupcopy=yes: a copy f~, then f truncated and written in place, f~ removed."""
    put(f"{folder}/{name}~", open(f"{folder}/{name}", "rb").read())
    fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, text)
    os.fsync(fd)
    os.close(fd)
    os.remove(f"{folder}/{name}~")


def rename_over(folder, name, text):
    """gedit, VS Code (atomic), most programs: a hidden temporary file, renamed over the old one."""
    put(f"{folder}/.goutputstream-X1Y2Z3", text)
    os.rename(f"{folder}/.goutputstream-X1Y2Z3", f"{folder}/{name}")


def gedit_with_backup(folder, name, text):
    """g_file_replace with a backup: temporary file, f linked as f~, renamed over, f~ removed later."""
    put(f"{folder}/.goutputstream-A", text)
    os.link(f"{folder}/{name}", f"{folder}/{name}~")
    os.rename(f"{folder}/.goutputstream-A", f"{folder}/{name}")
    os.remove(f"{folder}/{name}~")


def libreoffice(folder, name, text):
    """LibreOffice: a lock file, a temporary directory's file moved over the target with unlink + rename."""
    lock = f"{folder}/.~lock.{name}#"
    put(lock, b",user,host,;")
    time.sleep(0.05)
    put(f"{folder}/lu123.tmp", text)
    os.remove(f"{folder}/{name}")
    os.rename(f"{folder}/lu123.tmp", f"{folder}/{name}")
    os.remove(lock)


def emacs(folder, name, text):
    """emacs: a lock link .#f, f renamed to a backup #f#-like name, f written anew; the auto-save removed."""
    os.symlink("user@host.123:1", f"{folder}/.#{name}")
    put(f"{folder}/#{name}#", text)
    os.rename(f"{folder}/{name}", f"{folder}/{name}~")
    put(f"{folder}/{name}", text[:len(text) // 2])
    put(f"{folder}/{name}", text[len(text) // 2:], "ab")
    os.remove(f"{folder}/#{name}#")
    os.remove(f"{folder}/.#{name}")
    os.remove(f"{folder}/{name}~")


def sed_i(folder, name, text):
    """The real `sed -i`."""
    subprocess.run(["sed", "-i", f"s/.*/{text.decode().strip()}/", f"{folder}/{name}"], check=True)


def in_pieces(folder, name, text):
    """A slow writer: truncate, then write a little at a time."""
    with open(f"{folder}/{name}", "wb", buffering=0) as file:
        for at in range(len(text)):
            file.write(text[at:at + 1])
            time.sleep(0.02)


WAYS = (vim_with_backup, vim_backup_copy, rename_over, gedit_with_backup, libreoffice, emacs, sed_i, in_pieces)


def test_each_save_is_one_update():
    """Eight ways of saving are one update each on the other node: no delete in between, no helper file, no conflict."""
    with Lan() as net:
        a, b = pair(net)
        a.write("doc.txt", "version zero here")
        settled([a, b])
        watch = Watch(b.path)
        try:
            for number, way in enumerate(WAYS):
                watch.take()
                before = [r for r in b.cli("trash", "--json").json if r["name"] == "doc.txt" and r.get("node", "b") == "b"]
                presence = Presence(b.at("doc.txt"))
                text = b"saved by way %d\n" % number
                try:
                    way(a.path, "doc.txt", text)
                    eventually(lambda: b.read("doc.txt") == a.read("doc.txt"), 10, f"{way.__name__}: the new content")
                    for _ in range(2):
                        a.wait()
                        b.wait()
                    time.sleep(0.5)
                finally:
                    missing = presence.stop()
                seen = watch.take()
                after = [r for r in b.cli("trash", "--json").json if r["name"] == "doc.txt" and r.get("node", "b") == "b"]
                check_equal(missing, 0, f"{way.__name__}: how often the file was not there on b")
                check_equal(len(after) - len(before), 1, f"{way.__name__}: versions that were replaced on b ({seen})")
                check_equal(seen.count(("to", "doc.txt")), 1, f"{way.__name__}: times that it was put in place ({seen})")
                check_equal([e for e in seen if e[1] not in ("doc.txt", "")], [], f"{way.__name__}: other names on b")
                check(not [e for e in seen if e[0] in ("delete", "modify", "create")], f"{way.__name__}: {seen}")
            check_equal(sorted(settled([a, b])), ["doc.txt"], "files at the end")
            check_equal((a.status()["conflicts"], b.status()["conflicts"]), (0, 0), "conflicts")
        finally:
            watch.close()


def test_backup_that_stays():
    """An editor that keeps f~: the old content arrives as f~ without being sent, the new one as f, f is never missing."""
    with Lan() as net:
        a, b = pair(net)
        a.write("doc.txt", "x" * 200_000)
        settled([a, b])
        sent = a.counter("payload_sent")
        presence = Presence(b.at("doc.txt"))
        os.rename(a.at("doc.txt"), a.at("doc.txt~"))
        a.write("doc.txt", "y" * 1000)
        settled([a, b])
        check_equal(presence.stop(), 0, "how often the file was not there on b")
        check_equal(b.read("doc.txt~"), b"x" * 200_000, "the backup")
        check(a.counter("payload_sent") - sent <= 1000, f"{a.counter('payload_sent') - sent} bytes were sent")


def test_restless_file():
    """A file written to all the time goes out after 10 x settle-max, whole as it was at one moment; then each 10 x."""
    with Lan() as net:
        a, b = pair(net, "--settle-max", "300ms")
        watch = Watch(b.path)
        stop = threading.Event()
        def write():
            with open(a.at("never.log"), "wb", buffering=0) as file:
                line = 0
                while not stop.wait(0.03):
                    file.write(b"line %06d\n" % line)
                    line += 1
        writer = threading.Thread(target=write)
        started = time.monotonic()
        writer.start()
        try:
            eventually(lambda: b.exists("never.log"), 10, "the file while it is written to")
            took = time.monotonic() - started
            check(took >= 2.5, f"it came after {took:.1f} s, before it had been restless for 10 x settle-max (3 s)")
            text = b.read("never.log")
            check(len(text) % 12 == 0 and text.endswith(b"\n"), f"a torn version: {text[-20:]!r}")
            time.sleep(4)
            versions = watch.take().count(("to", "never.log"))
            check(1 <= versions <= 3, f"{versions} versions came within {time.monotonic() - started:.1f} s")
        finally:
            stop.set()
            writer.join()
            watch.close()
        settled([a, b])
        print(f"        first version after {took:.1f} s (10 x settle-max is 3 s)")


def test_busy_file_is_listed():
    """A file that changes whenever it is read is listed as busy, not sent torn, and sent once it rests."""
    with Lan() as net:
        a, b = pair(net, "--settle-max", "300ms")
        a.write("other.txt", "o")
        with open(a.at("busy.img"), "wb") as file:
            file.truncate(300 << 20)
        stop = threading.Event()
        def write():
            fd = os.open(a.at("busy.img"), os.O_WRONLY)
            turn = 0
            while not stop.is_set():
                os.pwrite(fd, b"%08d" % turn, (turn * 7919 * 4096) % (300 << 20))
                turn += 1
                time.sleep(0.002)
            os.close(fd)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            eventually(lambda: "busy.img" in a.status()["reason"], 20, lambda: f"not listed: {a.status()['reason']!r}", 0.1)
            check_equal(a.status()["state"], "syncing", "state")
            check(not b.exists("busy.img"), "a torn version was sent")
            a.write("after.txt", "a")
            eventually(lambda: b.read("after.txt") == b"a", 10, "the rest goes on")
        finally:
            stop.set()
            writer.join()
        settled([a, b], seconds=60)


def test_truncated_by_path():
    """A file that is cut or grown by its path, never opened, is there after the quiet timer, whatever its size."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        for node in (a, b):
            node.start("--settle", "100ms")
        a.wait(peers=1)
        sizes = {"small": (5, 2), "middle": (300_000, 100), "large": (6_000_000, 5_000_000), "emptied": (40, 0), "grown": (10, 70_000)}
        for name, (before, _) in sizes.items():
            a.write(name, os.urandom(before))
        settled([a, b])
        for name, (_, after) in sizes.items():
            started = time.monotonic()
            os.truncate(a.at(name), after)
            a.wait(seconds=5)
            eventually(lambda: os.path.getsize(b.at(name)) == after, 5, f"{name}, cut to {after}", 0.02)
            print(f"    {name}: {time.monotonic() - started:.2f} s")
            check(a.read(name) == b.read(name), f"{name}: other bytes")


if __name__ == "__main__":
    main(__name__)

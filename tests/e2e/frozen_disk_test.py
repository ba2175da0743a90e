"""Disks that stand still: a frozen file system, a FUSE disk whose program does not answer."""
import contextlib
import os
import signal
import subprocess
import time

from cases import check, check_equal, eventually, main
from exfat import exfat_device
from lan import FAST, Lan, same_trees, settled


@contextlib.contextmanager
def freezable(net, node):
    """The node's folder on an ext4 of its own; gives what freezes it and what ends that."""
    image = net.root + "/ext4"
    with open(image, "wb") as file:
        file.truncate(80 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    os.makedirs(node.path)
    subprocess.run(["mount", "-o", "loop", image, node.path], check=True)
    frozen = []

    def freeze():
        subprocess.run(["fsfreeze", "-f", node.path], check=True)
        frozen.append(True)

    def thaw():
        if frozen:
            subprocess.run(["fsfreeze", "-u", node.path], check=True)
            frozen.clear()
    try:
        yield freeze, thaw
    finally:
        thaw()
        node.kill()
        subprocess.run(["umount", "-l", node.path], capture_output=True)


@contextlib.contextmanager
def fuse_disk(net, node):
    """The node's folder on exFAT by FUSE; gives the process without which nothing there is answered."""
    os.makedirs(node.path)
    with exfat_device(net.root + "/exfat") as device:
        server = subprocess.Popen(["mount.exfat-fuse", "-d", device, node.path], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: os.path.ismount(node.path), 10, "the disk is mounted")
            yield server
        finally:
            server.send_signal(signal.SIGCONT)
            node.kill()
            subprocess.run(["umount", "-l", node.path], capture_output=True)
            time.sleep(0.5)
            server.kill()
            server.wait()


def test_frozen_hub_is_succeeded():
    """A hub whose disk is frozen: another one within 15 s, status and doctor there say why; all agree afterwards."""
    with Lan() as net:
        a, b, c, d = (net.node(name) for name in "abcd")
        with freezable(net, a) as (freeze, thaw):
            a.start(*FAST)
            eventually(lambda: a.status()["role"] == "server", 10, "a is the hub")
            for node in (b, c, d):
                node.start(*FAST)
            b.write("x", "1")
            settled([a, b, c, d])
            freeze()
            started = time.monotonic()
            for node in (b, c, d):
                node.write("edit-" + node.name, "edit of " + node.name)
            eventually(lambda: all(node.read("edit-b") == b"edit of b" for node in (c, d)), 18,
                       lambda: f"b's edit elsewhere: {b.status()['role']} {a.status()['role']}", every=0.2)
            check(time.monotonic() - started > 5, "the hub was given up at once")
            said = a.status()
            check_equal(said["state"], "error", "a's state")
            check("disk" in said["reason"] and "not answered" in said["reason"], f"the reason: {said['reason']!r}")
            doctor = a.cli("doctor", timeout=10)
            check(doctor.code == 1 and "not answered" in doctor.stdout, f"doctor on a: {doctor}")
            started = time.monotonic()
            check(a.cli("wait", "--timeout", "1s", timeout=10).code == 1, "wait on a")
            check(time.monotonic() - started < 4, "wait on a node with a frozen disk hangs")
            thaw()
            settled([a, b, c, d], 60)
            same_trees([a, b, c, d])


def test_fuse_disk_that_does_not_answer():
    """A disk whose FUSE program stands: status answers within 2 s and says so, SIGTERM is obeyed within 5 s."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        with fuse_disk(net, a) as server:
            a.start(*FAST)
            b.start(*FAST)
            a.wait(peers=1)
            b.write("f", "1")
            eventually(lambda: a.read("f") == b"1", 20, "f on a")
            a.wait(seconds=30)
            server.send_signal(signal.SIGSTOP)
            b.write("f", "2")
            time.sleep(13)
            started = time.monotonic()
            said = a.cli("status", "--json", timeout=20)
            took = time.monotonic() - started
            check(took < 2, f"status took {took:.1f} s: {said}")
            check_equal(said.code, 0, f"status ({said})")
            check_equal(said.json["state"], "error", "a's state")
            check("not answered" in said.json["reason"], f"the reason: {said.json['reason']!r}")
            a.process.terminate()
            eventually(lambda: "ended without waiting" in a.log(), 6, "a node whose disk stands ends by force")
            eventually(lambda: b.status()["role"] == "server", 5, "b is the hub")
            # The kernel flushes its files as they are closed, and has the process till that is answered.
            server.send_signal(signal.SIGCONT)
            check_equal(a.process.wait(10), 0, "a's exit")
            b.write("g", "3")
            a.start(*FAST)
            eventually(lambda: a.read("f") == b"2" and a.read("g") == b"3", 40, "b's edits on a")
            a.wait(seconds=30)


if __name__ == "__main__":
    main(__name__)

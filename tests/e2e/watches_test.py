"""inotify at its limits: watches that run out, a queue that overflows."""
import os
import subprocess
import time

import netns
from cases import check, check_equal, eventually, main
from lan import FAST, Lan, group, program, settled


def limited(node, watches, *options):
    """Starts a node in a user namespace of its own with so many inotify watches."""
    script = (f"echo {watches} > /proc/sys/user/max_inotify_watches && exec \"$@\"")
    node.options = (*FAST, *options)
    node.process = netns.popen(
        node.namespace, ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", program(), "run", node.path,
                         "--name", node.name, *node.options],
        stdin=subprocess.DEVNULL, stdout=open(node.log_path, "ab"), stderr=subprocess.STDOUT, cwd="/",
        env=node.environment())
    node.wait_ready()


def exhausted(watches):
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path)
        limited(a, watches, "--rescan", "1s")
        b.start(*FAST)
        for n in range(30):
            b.write(f"d{n}/e/f.txt", f"{n}")
        settled([b, a])
        for n in range(30):
            a.write(f"d{n}/e/f.txt", f"{n} changed")
        a.write("d29/e/new/one.txt", "new")
        a.remove("d3")
        eventually(lambda: all(b.read(f"d{n}/e/f.txt") == b"%d changed" % n for n in range(30) if n != 3) and
                   b.exists("d29/e/new/one.txt") and not b.exists("d3"), 20, "changes that only a rescan finds")
        settled([a, b])
        said = a.log() + a.status()["reason"]
        check("max_user_watches" in said, f"the sysctl is not named: {said[-300:]!r}")
        check("fs.inotify.max_user_watches" in a.cli("doctor").stdout, "doctor does not name the sysctl")
        check("max_user_watches" in a.status()["reason"], f"reason: {a.status()['reason']!r}")


def test_watches_exhausted():
    """With 10 inotify watches for 60 directories: said with the sysctl, rescans take over."""
    exhausted(10)


def test_no_watch_at_all():
    """Without any inotify watch: the same."""
    exhausted(0)


MANY = 100_000


def test_hundred_thousand_files():
    """100,000 different files made at once (inotify overflows) all arrive; memory stays bounded."""
    with Lan() as net:
        a, b = group(net)
        made = os.path.join(net.root, "made")
        os.makedirs(made)
        for d in range(100):
            os.makedirs(f"{made}/{d}")
            for n in range(MANY // 100):
                file = os.open(f"{made}/{d}/{n}", os.O_WRONLY | os.O_CREAT, 0o644)
                os.write(file, b"%d/%d" % (d, n))
                os.close(file)
        subprocess.run(["tar", "-C", made, "-cf", made + ".tar", "."], check=True)
        started = time.monotonic()
        subprocess.run(["tar", "-C", a.path, "-xf", made + ".tar"], check=True)
        made_in = time.monotonic() - started
        def files_on_b():
            # A slow build may take longer than a command waits: asked again.
            outcome = b.cli("status", "--json", timeout=60)
            return outcome.json["folder"]["files"] if outcome.code == 0 else 0
        eventually(lambda: files_on_b() == MANY, 150, lambda: f"{files_on_b()} files on b", 0.5)
        took = time.monotonic() - started
        a.wait(seconds=60)
        b.wait(seconds=60)
        count = sum(len(files) for _, _, files in os.walk(b.path)) - sum(len(f) for _, _, f in os.walk(b.at(".lansync")))
        check_equal(count, MANY, "files on b's disk")
        peak = {}
        for node in (a, b):
            with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
                peak[node.name] = next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))
        print(f"        {MANY} files made in {made_in:.1f} s were on b after {took:.1f} s; peak memory in MB {peak}")
        for name, megabytes in peak.items():
            check(megabytes < 600, f"{name} took {megabytes} MB")


if __name__ == "__main__":
    main(__name__)

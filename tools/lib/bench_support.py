"""What the parts of tools/bench share: where the nodes run, joined pairs, timing, what the kernel says of a
process, the table of figures.

Invariant: everything made is gone with the `with make_net(...)` block. Used by tools/bench and its parts.
"""
import ctypes
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e"))
import lan  # noqa: E402
import netns  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
OPTIONS = ("--settle", "0ms", "--rescan", "1h", "--log-level", "warn")
PASSWORD = "bench-" + os.urandom(8).hex()
GROUP = "bench-" + os.urandom(4).hex()


# ---- where it runs ------------------------------------------------------------------------------------
def popen_there(namespace, args, **kwargs):
    """Like netns.popen; without a namespace (`--interface lo`) in our own."""
    if namespace is None:
        return subprocess.Popen(args, **kwargs)
    return namespaced_popen(namespace, args, **kwargs)


namespaced_popen = netns.popen
netns.popen = popen_there


class Loopback(lan.Lan):
    """The same two nodes on this host's loopback."""

    def __enter__(self):
        import tempfile
        self.root = tempfile.mkdtemp(prefix="lansync-bench-", dir=lan._scratch())
        return self

    def host(self, name):
        return None

    def address(self, name):
        return "127.0.0.1"


def make_net(args):
    return Loopback() if args.interface == "lo" else lan.Lan(subnet="10.78.0")


def options(args, *more):
    own = ("--interface", "lo") if args.interface == "lo" else ()
    return (*OPTIONS, "--carrier", args.carrier, "--group", GROUP, *own, *more)


def start_pair(net, args, suffix=""):
    """Two joined nodes with empty folders; the first is hub."""
    first, second = net.node("n1" + suffix), net.node("n2" + suffix)
    first.start(*options(args), password=PASSWORD).wait()
    second.start(*options(args), password=PASSWORD)
    second.wait(peers=1)
    first.wait(peers=1)
    role = first.status()["role"]
    if role != "server":
        raise AssertionError(f"the first node is {role}, not server")
    return first, second


def stop(*nodes):
    for node in nodes:
        if node.running:
            node.stop()
        shutil.rmtree(node.path, ignore_errors=True)


# ---- what the kernel says of a process ----------------------------------------------------------------
def cpu_seconds(pid, children=False):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15 if children else 13]) / TICKS


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def wake_ups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))
    return total


class Watch:
    """Counts changes below a folder, .lansync included."""

    def __init__(self, root):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        changes = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200  # modify attrib close_write move create delete
        for directory, _, _ in os.walk(root):
            if libc.inotify_add_watch(self._fd, os.fsencode(directory), changes) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", directory)

    def events(self):
        count = 0
        try:
            while data := os.read(self._fd, 1 << 16):
                while data:
                    count += 1
                    data = data[16 + int.from_bytes(data[12:16], sys.byteorder):]
        except BlockingIOError:
            pass
        return count

    def close(self):
        os.close(self._fd)


# ---- the figures --------------------------------------------------------------------------------------
class Table:
    def __init__(self):
        self.rows = []

    def add(self, name, figure, unit, goal=None, met=None, note=""):
        """`met` None: a figure without a goal."""
        self.rows.append({"name": name, "figure": round(figure, 3), "unit": unit, "goal": goal,
                          "result": None if met is None else "ok" if met else "missed", "note": note})
        print(f"  {name}: {figure:.3g} {unit}", file=sys.stderr, flush=True)

    def add_text(self, name, words, note=""):
        self.rows.append({"name": name, "figure": None, "unit": words, "goal": None, "result": None, "note": note})
        print(f"  {name}: {words}", file=sys.stderr, flush=True)

    def text(self):
        cells = [("what", "figure", "goal", "", "note")]
        cells += [(row["name"], (f"{row['figure']:g} " if row["figure"] is not None else "") + row["unit"], row["goal"] or "", row["result"] or "",
                   row["note"]) for row in self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(4)]
        return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[4]]).rstrip()
                         for row in cells)


def small_files(folder, count, size=4096, per_directory=100):
    for i in range(count):
        if i % per_directory == 0:
            directory = os.path.join(folder, f"d{i // per_directory:04}")
            os.makedirs(directory)
        with open(os.path.join(directory, f"f{i:06}"), "wb") as file:
            file.write(hashlib.shake_128(str(i).encode()).digest(size))


def timed_resume(second):
    """Seconds from `resume` to the end of `wait`: everything is there, verified and durable."""
    started = time.monotonic()
    outcome = second.cli("resume")
    if outcome.code != 0:
        raise AssertionError(f"resume: {outcome}")
    second.wait(peers=1, seconds=300)
    return time.monotonic() - started


def must_be_equal(first, second):
    if first.snapshot() != second.snapshot():
        raise AssertionError("the folders differ after `wait`")


def pull(net, args, fill, suffix):
    """A joined, paused second node; the first gets files; the pull is timed. (seconds, cpu1, cpu2)."""
    first, second = start_pair(net, args, suffix)
    second.cli("pause")
    fill(first)
    first.wait_indexed(seconds=300)
    if first.counter("payload_sent") != 0:
        raise AssertionError("a paused node was sent content")
    pids = (first.process.pid, second.process.pid)
    before = [cpu_seconds(pid) for pid in pids]
    profile = Profile(pids) if args.profile else None
    took = timed_resume(second)
    if profile:
        profile.end(took)
    cpu = [cpu_seconds(pid) - was for pid, was in zip(pids, before)]
    must_be_equal(first, second)
    chunks = first.counter("chunks_sent"), first.counter("chunks_resent")
    stop(first, second)
    return took, cpu, chunks


def large_file(path, mib):
    """Bytes that neither repeat within 64 MiB nor compress."""
    blob = os.urandom(64 << 20)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        for i in range(-(-mib // 64)):
            file.write((i.to_bytes(8, "big") + blob[8:])[:min(64, mib - 64 * i) << 20])
    return blob


def until(ask, seconds, what):
    end = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)


# ---- where the time goes ------------------------------------------------------------------------------
GROUPS = (  # first match wins; symbol, object
    # Debian's libcrypto is stripped: hashing and sealing cannot be told apart by name.
    ("libcrypto: hashing (MD5, SHA-256), sealing", r"", r"libcrypto"),
    ("checksum of datagrams (XXH3)", r"XXH", r""),
    ("ENet", r"", r"libenet"),
    ("memory copies", r"mem(cpy|move|set)|rep_movs|copy_user|_copy_(to|from)_iter|copy_page|clear_page", r""),
    ("allocation", r"malloc|free|_int_|operator (new|delete)|calloc|realloc|brk|page_fault", r"libc|libstdc|kernel"),
    ("files (tmpfs)", r"shmem|vfs_|filemap|folio|page_cache|pread|pwrite|fault", r"kernel"),
    ("kernel, UDP and the rest", r"", r"kernel|\[k\]|veth|nf_|bridge|vdso"),
    ("own code", r"", r"lansync"),
)


class Profile:
    """perf over both nodes while the pull runs; printed as shares of all samples."""

    def __init__(self, pids):
        self._file = f"/dev/shm/lansync-bench-{os.getpid()}.perf"
        self._perf = subprocess.Popen(["perf", "record", "-q", "-F", "499", "-p", ",".join(map(str, pids)), "-o",
                                       self._file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)

    def end(self, took):
        self._perf.send_signal(signal.SIGINT)
        self._perf.wait()
        try:
            report = netns.run("perf", "report", "-i", self._file, "--stdio", "-g", "none", "--sort",
                               "dso,symbol", "-t", "|", "--percent-limit", "0")
        finally:
            if os.path.exists(self._file):
                os.remove(self._file)
        shares, top = {}, []
        for line in report.splitlines():
            match = re.match(r"\s*([\d.]+)%?\s*\|(.*?)\|\s*(.*)", line)
            if not match:
                continue
            share, where, symbol = float(match[1]), match[2].strip(), match[3].strip()
            name = next((name for name, what, place in GROUPS
                         if re.search(what, symbol) and re.search(place, where)), "other")
            shares[name] = shares.get(name, 0) + share
            top.append(f"      {share:5.1f} %  {where}: {symbol[:70]}")
        print(f"  where the CPU time of both ends went (pull of {took:.1f} s):", file=sys.stderr)
        for name, share in sorted(shares.items(), key=lambda item: -item[1]):
            print(f"    {share:5.1f} %  {name}", file=sys.stderr)
        print("    the heaviest functions:", *top[:16], sep="\n", file=sys.stderr)

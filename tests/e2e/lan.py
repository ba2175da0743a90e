"""A LAN for tests: network namespaces on a bridge of their own, and lansync nodes in them.

    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        a.start("--settle", "200ms"); b.start()
        a.write("hello.txt", b"hello"); a.wait(peers=1)

Invariant: nothing here touches the machine's own network: the bridge is in a namespace too. Everything that
was made goes away with the `with` block, also after a failure, a time-out or SIGTERM; what a killed run left
is swept by the next.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import netns
import tree

_last_words = []

FAST = ("--settle", "200ms")  # what nearly all tests start their nodes with


def program():
    """The lansync under test."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.environ.get("LANSYNC_BIN") or os.path.join(here, "../../build/release/lansync")


def relay_program(folder):
    """delay_relay: as built beside the tests, or built here."""
    built = os.environ.get("LANSYNC_RELAY")
    if built:
        return built
    built = os.path.join(folder, "delay_relay")
    if not os.path.exists(built):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delay_relay.cpp")
        netns.run("c++", "-O2", "-std=c++20", "-o", built, source)
    return built


def last_words():
    """What the nodes of a failed test had to say, for people."""
    return list(_last_words)


def forget_last_words():
    _last_words.clear()


def scratch():
    """On tmpfs where it is large enough: other programs' disk traffic must not decide timed tests."""
    shm = "/dev/shm"
    if os.environ.get("LANSYNC_E2E_DIR"):
        return os.environ["LANSYNC_E2E_DIR"]
    if os.path.isdir(shm) and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 2 << 30:
        return shm
    return tempfile.gettempdir()


class Outcome:
    """What a command said."""

    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr

    @property
    def json(self):
        return json.loads(self.stdout)

    def __repr__(self):
        return f"exit {self.code}, stdout {self.stdout[-400:]!r}, stderr {self.stderr[-400:]!r}"


class Lan:
    def __init__(self, subnet="10.77.0"):
        self._subnet = subnet
        self._nodes = {}
        self._hosts = {}   # name -> namespace
        self._bridges = []
        self._switch = None
        self._relays = {}  # host -> the process that delays what it sends and gets
        self.root = None

    def __enter__(self):
        try:
            self.root = tempfile.mkdtemp(prefix=f"lansync-e2e-{os.getpid()}-", dir=scratch())
            self._switch = netns.make("switch")
            self._bridge(0)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, error, _):
        if kind is not None and not issubclass(kind, (SystemExit, KeyboardInterrupt)):
            for node in self._nodes.values():
                _last_words.extend(node.testimony())
        self.close()
        return False

    def close(self):
        # A second signal must not stop the cleaning half-way.
        old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            for node in self._nodes.values():
                node.kill()
            for relay in self._relays.values():
                relay.kill()
                relay.communicate()
            for name in self._hosts.values():
                netns.remove(name)
            if self._switch:
                netns.remove(self._switch)
            if self.root:
                # A test may have taken its own folder's permissions away; root does not care.
                shutil.rmtree(self.root, ignore_errors=True)
        finally:
            signal.signal(signal.SIGTERM, old)

    # ---- hosts ----------------------------------------------------------------------------------------
    def host(self, name):
        """A machine on the LAN without a node: for attackers. Returns its namespace."""
        if name in self._hosts:
            return self._hosts[name]
        number = len(self._hosts) + 1
        where = netns.make(name)
        self._hosts[name] = where
        netns.run("ip", "link", "add", "lan0", "netns", where, "type", "veth", "peer", "name",
                  self._port(name), "netns", self._switch)
        netns.run("ip", "-n", where, "addr", "add", f"{self._subnet}.{number}/24", "brd", "+", "dev",
                  "lan0")
        netns.run("ip", "-n", where, "link", "set", "lan0", "up")
        netns.run("ip", "-n", self._switch, "link", "set", self._port(name), "master", "br0", "up")
        return where

    def node(self, name, folder=None):
        if name not in self._nodes:
            self._nodes[name] = Node(self, name, self.host(name), folder)
        return self._nodes[name]

    def second_node(self, name, machine, folder):
        """Another node on the machine of a node that is there."""
        self._nodes[name] = Node(self, name, self.host(machine), folder)
        return self._nodes[name]

    def address(self, name):
        return f"{self._subnet}.{list(self._hosts).index(name) + 1}"

    def socket(self, name, *args):
        """A socket that lives on that host."""
        with netns.Inside(self.host(name)):
            return socket.socket(*args)

    def tap(self):
        """A socket that sees every frame on the bridge (AF_PACKET, on the switch)."""
        with netns.Inside(self._switch):
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))

    def _port(self, name):
        return f"p-{name}"[:15]

    def _bridge(self, number):
        while len(self._bridges) <= number:
            bridge = f"br{len(self._bridges)}"
            netns.run("ip", "-n", self._switch, "link", "add", bridge, "type", "bridge", "forward_delay",
                      "0", "mcast_snooping", "0")
            netns.run("ip", "-n", self._switch, "link", "set", bridge, "up")
            self._bridges.append(bridge)
        return self._bridges[number]

    # ---- faults ---------------------------------------------------------------------------------------
    def partition(self, *sides):
        """Each side's nodes hear each other only. Names, or nodes: partition([a, b], [c])."""
        for number, side in enumerate(sides):
            bridge = self._bridge(number)
            for one in side:
                name = one.name if isinstance(one, Node) else one
                netns.run("ip", "-n", self._switch, "link", "set", self._port(name), "master", bridge)

    def heal(self):
        self.partition(list(self._hosts))

    def loss(self, percent):
        """Every frame that crosses the bridge is lost with that probability."""
        rules = "add table bridge lan\ndelete table bridge lan\n"
        if percent:
            rules += ("add table bridge lan\n"
                      "add chain bridge lan forward { type filter hook forward priority 0; }\n"
                      f"add rule bridge lan forward numgen random mod 10000 < {round(percent * 100)} drop\n")
        netns.run("ip", "netns", "exec", self._switch, "nft", "-f", "-", stdin=rules)

    def delay(self, name, milliseconds):
        """What this host sends and gets comes so much later, each way; 0: no longer. Frames stay whole."""
        if name in self._relays:
            relay = self._relays.pop(name)
            relay.terminate()
            relay.communicate()
            netns.run("ip", "-n", self._switch, "link", "set", self._port(name), "master", "br0")
        if not milliseconds:
            return
        inner, outer = f"i-{name}"[:15], f"o-{name}"[:15]
        subprocess.run(["ip", "-n", self._switch, "link", "del", inner], capture_output=True)
        netns.run("ip", "-n", self._switch, "link", "add", inner, "type", "veth", "peer", "name", outer)
        netns.run("ip", "-n", self._switch, "link", "set", outer, "master", "br0", "up")
        netns.run("ip", "-n", self._switch, "link", "set", inner, "up")
        netns.run("ip", "-n", self._switch, "link", "set", self._port(name), "nomaster")
        relay = netns.popen(self._switch, [relay_program(self.root), self._port(name), inner, str(milliseconds)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._relays[name] = relay
        if relay.stdout.readline() != b"ready\n":
            raise netns.CommandFailed(f"no delay here: {relay.stderr.read().decode(errors='replace').strip()}")

    def block(self, rule):
        """Drops what an nft rule of the bridge family matches, e.g. "ip saddr 10.77.0.1"."""
        rules = ("add table bridge wall\n"
                 "add chain bridge wall forward { type filter hook forward priority 1; }\n"
                 f"add rule bridge wall forward {rule} drop\n")
        netns.run("ip", "netns", "exec", self._switch, "nft", "-f", "-", stdin=rules)

    def unblock(self):
        netns.run("ip", "netns", "exec", self._switch, "nft", "-f", "-",
                  stdin="add table bridge wall\ndelete table bridge wall\n")

    def rate(self, text):
        """The speed of every host's line, as tc writes it ("100mbit"); None: no limit."""
        for name, where in self._hosts.items():
            for place, device in ((where, "lan0"), (self._switch, self._port(name))):
                subprocess.run(["tc", "-n", place, "qdisc", "del", "dev", device, "root"],
                               capture_output=True)
                if text:
                    netns.run("tc", "-n", place, "qdisc", "add", "dev", device, "root", "tbf", "rate",
                              text, "burst", "256k", "latency", "50ms")


class Node:
    """One machine with lansync on it. `path` is its folder."""

    def __init__(self, net, name, namespace, folder):
        self._net = net
        self.name = name
        self.namespace = namespace
        self.home = os.path.join(net.root, name + "-home")
        self.path = folder or os.path.join(net.root, name)
        self.log_path = os.path.join(net.root, name + ".log")
        self.process = None
        self.options = ()
        self.prefix = ()  # of its command: setpriv and the like
        os.makedirs(self.home, mode=0o700, exist_ok=True)

    # ---- the program ----------------------------------------------------------------------------------
    def environment(self, **more):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("LANSYNC_", "XDG_"))}
        # A sanitizer's report goes to the log like all else; a leak at exit is a failure of the exit code.
        return {**keep, "HOME": self.home, "LC_ALL": "C.UTF-8", **more}

    def start(self, *options, password=None, wait_ready=True, environment=None):
        """Starts a node; with the options of the last start if none are given."""
        assert self.process is None or self.process.poll() is not None, f"{self.name} already runs"
        self.options = options or self.options
        # The whole of a test file by one carrier (ctest's entries e2e_*_lane and so on).
        wanted = os.environ.get("LANSYNC_CARRIER")
        carrier = ("--carrier", wanted) if wanted and "--carrier" not in self.options else ()
        more = dict(environment or {})
        if password is not None:
            self._password = password
        if getattr(self, "_password", None):
            more["LANSYNC_PASSWORD"] = self._password
        with open(self.log_path, "ab") as log:
            self.process = netns.popen(
                self.namespace,
                [*self.prefix, program(), "run", self.path, "--name", self.name, *carrier, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home,
                env=self.environment(**more))
        if wait_ready:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=20):
        """Until it answers commands."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}: "
                                     f"{self.log().splitlines()[-3:]}")
            if self.cli("status", "--json").code == 0:
                return self
            time.sleep(0.01)
        raise AssertionError(f"{self.name} did not answer `status` within {seconds} s")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def processor_seconds(self):
        """What it took of the processor since its start."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def stop(self, how=signal.SIGTERM, seconds=10):
        """A clean exit; returns how long it took. Fails if the node did not end well."""
        started = time.monotonic()
        self.process.send_signal(how)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds} s of {how.name}") from None
        took = time.monotonic() - started
        self.process = None
        if code != 0:
            raise AssertionError(f"{self.name} ended with {code}: {self.log().splitlines()[-5:]}")
        return took

    def kill(self):
        """kill -9, if it runs."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process = None

    def cli(self, *args, timeout=60, **environment):
        """`lansync -C FOLDER args`."""
        done = subprocess.run([program(), "-C", self.path, *args], capture_output=True, cwd=self.home,
                              timeout=timeout, env=self.environment(**environment),
                              stdin=subprocess.DEVNULL)
        return Outcome(done.returncode, done.stdout.decode(errors="replace"),
                       done.stderr.decode(errors="replace"))

    def wait_indexed(self, seconds=60):
        """Until all that lies on this hub is in its index, while the only other node is paused and cannot have it
        (`wait` would wait for that): what is missing there stands still."""
        end, last, same = time.monotonic() + seconds, None, 0
        while same < 5:
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} has not indexed its folder within {seconds} s: {last}")
            time.sleep(0.2)
            said = self.status()
            now = [peer["behind"]["files"] for peer in said["peers"] if peer["state"] == "connected"]
            done = said["state"] == "in-sync" and sum(now) > 0
            same, last = (same + 1 if done and now == last else 0), now

    def status(self):
        outcome = self.cli("status", "--json", timeout=10)
        if outcome.code != 0:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended by itself with {self.process.returncode}: "
                                     f"{self.log().splitlines()[-5:]}")
            raise AssertionError(f"status of {self.name}: {outcome}")
        return outcome.json

    def counter(self, name):
        return self.status()["counters"][name]

    def wait(self, peers=None, seconds=30):
        """`lansync wait`: fails if it does not come to rest in time."""
        more = [] if peers is None else ["--peers", str(peers)]
        outcome = self.cli("wait", *more, "--timeout", f"{int(seconds * 1000)}ms", timeout=seconds + 20)
        if outcome.code != 0:
            status = self.cli("status", "--json")
            brief = {}
            if status.code == 0:
                brief = {k: status.json[k] for k in ("role", "state", "reason", "pending", "hub")}
                brief["peers"] = [f"{p['name']}:{p['state']}" for p in status.json["peers"]]
            raise AssertionError(f"{self.name} was not in sync within {seconds} s ({outcome}): {brief}")
        return self

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def testimony(self, lines=12):
        """Its state and the end of its log, for people."""
        words = [f"    --- {self.name}: "]
        if self.process is None:
            words[0] += "not running"
        elif self.process.poll() is not None:
            words[0] += f"ended by itself with {self.process.returncode}"
        else:
            try:
                said = self.status()
                peers = ", ".join(f"{p['name']} {p['role']} {p['state']}" for p in said["peers"])
                words[0] += (f"{said['role']} of term {said['term']}, hub {(said['hub'] or {}).get('name')}, "
                             f"{said['state']}: {said['reason']!r}, pending {said['pending']['files']}, "
                             f"held {said['held_deletes']}, conflicts {said['conflicts']}; peers {peers or 'none'}")
            except (AssertionError, subprocess.TimeoutExpired):
                words[0] += "does not answer `status`"
        # The first screen says nothing about the fault.
        log = [line for line in self.log().splitlines() if line[:2] == "20" or not line.startswith(
            ("lansync: ", "WARNING: ", "Stop: ", "   ")) and line]
        return words + ["        " + line[:200] for line in log[-lines:]]

    # ---- its folder -----------------------------------------------------------------------------------
    def at(self, path):
        return os.path.join(self.path, path)

    def write(self, path, data, mode=None):
        """As a program saves: create or truncate, write, close."""
        full = self.at(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        if mode is not None:
            os.chmod(full, mode)

    def read(self, path):
        """The file's bytes, None if it is not there."""
        try:
            with open(self.at(path), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, path):
        return os.path.lexists(self.at(path))

    def remove(self, path):
        full = self.at(path)
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        else:
            os.remove(full)

    def snapshot(self, mtimes=False):
        return tree.snapshot(self.path, mtimes)

    def files(self):
        return [path for path, entry in self.snapshot().items() if entry[0] == "file"]


def same_trees(nodes, seconds=30, mtimes=False):
    """Waits until all nodes' folders are equal in everything; returns that tree."""
    end = time.monotonic() + seconds
    while True:
        trees = [node.snapshot(mtimes) for node in nodes]
        if all(one == trees[0] for one in trees):
            return trees[0]
        if time.monotonic() >= end:
            lines = []
            for node, one in zip(nodes[1:], trees[1:]):
                lines += tree.differences(trees[0], one, (nodes[0].name, node.name))
            raise AssertionError(f"the folders still differ after {seconds} s:\n        " +
                                 "\n        ".join(lines))
        time.sleep(0.1)


def settled(nodes, seconds=30, mtimes=False):
    """Every node says that it is in sync, and their folders are equal; returns the tree.

    Twice round: the first tells each node's own edits to the hub, the second waits for what the others told.
    """
    for _ in range(2):
        for node in nodes:
            node.wait(peers=len(nodes) - 1, seconds=seconds)
    return same_trees(nodes, seconds, mtimes)


def group(net, names="ab", *options):
    """Nodes of these names, started and known to each other."""
    nodes = [net.node(name) for name in names]
    for node in nodes:
        node.start(*FAST, *options)
    for node in nodes:
        node.wait(peers=len(nodes) - 1)
    return nodes


def filled(nodes, count, directories=5):
    """`count` small files on the first of them, and everywhere."""
    for n in range(count):
        nodes[0].write(f"d{n % directories}/{n}.txt", f"file {n}")
    return settled(nodes)

"""What a user and a script see: documents, exit codes, and errors that say what to do in one line."""
import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import termios
import time

from cases import check, check_equal, eventually, main
from lan import FAST, Lan, Outcome, program, settled
import netns


STATUS = {
    "node": {"id": str, "name": str, "version": str},
    "group": {"name": str, "open": bool},
    "role": str, "why_role": str, "hub": (dict, type(None)), "term": int, "state": str, "reason": str,
    "folder": {"path": str, "files": int, "directories": int, "bytes": int},
    "pending": {"files": int, "bytes": int},
    "held_deletes": int, "conflicts": int, "under_replicated": int, "peers": list, "transfers": list,
    "counters": {name: int for name in (
        "bytes_sent", "bytes_received", "payload_sent", "payload_received", "chunks_sent", "chunks_resent",
        "chunks_received", "beacons_sent", "beacons_received", "auth_failures", "rejected")},
}


def check_shape(value, shape, where):
    if isinstance(shape, dict):
        check(isinstance(value, dict), f"{where} is {value!r}")
        for key, inner in shape.items():
            check(key in value, f"{where} has no {key!r}")
            check_shape(value[key], inner, f"{where}.{key}")
    else:
        check(isinstance(value, shape), f"{where} is {value!r}")


def pair(net):
    nodes = [net.node(name) for name in "ab"]
    for node in nodes:
        node.start(*FAST)
    for node in nodes:
        node.wait(peers=1)
    return nodes


def run_bad(node, *args, environment=None, namespace=None):
    """`lansync args`, which is expected to fail at once; returns (code, stderr)."""
    process = netns.popen(namespace or node.namespace, [program(), *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=node.home,
                          env=node.environment(**(environment or {})))
    try:
        out, err = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        check(False, f"lansync {' '.join(args)} did not end")
    check_equal(out, b"", f"stdout of lansync {' '.join(args)}")
    return process.returncode, err.decode(errors="replace")


def bare(node, *args):
    """`lansync args` without a folder."""
    done = subprocess.run([program(), *args], capture_output=True, text=True, env=node.environment(), cwd=node.home)
    return Outcome(done.returncode, done.stdout, done.stderr)


def check_one_line(err, *words):
    lines = [line for line in err.splitlines() if line.strip()]
    check_equal(len(lines), 1, f"lines on stderr: {err!r}")
    for word in words:
        check(word.lower() in err.lower(), f"{word!r} is not in {err!r}")


def test_status_document():
    """`status --json` is one document with every field of the contract, of the right type."""
    with Lan() as net:
        nodes = pair(net)
        nodes[0].write("d/x.txt", "12345")
        settled(nodes)
        for node in nodes:
            said = node.status()
            check_shape(said, STATUS, "status")
            wanted = {"path": node.path, "files": 1, "directories": 1, "bytes": 5}
            check_equal({key: said["folder"].get(key) for key in wanted}, wanted, "folder")
            check_equal(said["state"], "in-sync", "state")
            check_equal(said["node"]["name"], node.name, "name")
            check_equal(said["group"], {"name": "lansync", "open": True}, "group")
            check_equal([sorted(p) for p in said["peers"]],
                        [sorted(["id", "name", "role", "address", "port", "state", "rtt_ms", "protocol", "reason", "behind"])],
                        "peers")
            check_equal(said["peers"][0]["behind"], {"files": 0, "bytes": 0}, "behind")
            check_equal(said["peers"][0]["address"], net.address("b" if node.name == "a" else "a"), "address")
        hub = next(node for node in nodes if node.status()["role"] == "server")
        check_equal(hub.status()["hub"]["id"], hub.status()["node"]["id"], "the hub's hub is itself")


def test_every_command_speaks_json():
    """Each command with --json prints one document and nothing else on stdout, exit 0."""
    with Lan() as net:
        a, b = pair(net)
        a.write("x.txt", "x")
        settled([a, b])
        for command in ("status", "wait", "peers", "conflicts", "trash", "plan", "pause", "resume", "rescan",
                        "doctor", "genpass", "version"):
            outcome = bare(a, command, "--json") if command in ("genpass", "version") else a.cli(command, "--json")
            check_equal(outcome.code, 0, f"exit code of {command} ({outcome})")
            try:
                json.loads(outcome.stdout)
            except ValueError as error:
                check(False, f"{command} --json: {error}: {outcome.stdout!r}")
        for command in ("peers", "conflicts", "trash", "plan"):
            check(isinstance(a.cli(command, "--json").json, list), f"{command} --json is no list")
        check_equal(b.cli("stop", "--json").code, 0, "exit code of stop")


def test_failures_speak_json():
    """With --json each failure is an object on stdout beside its line, with the exit code; what acts lists its rows."""
    with Lan() as net:
        a = net.node("a")
        os.makedirs(a.path)
        for code, args in ((3, ("status",)), (3, ("index", "longlist")), (3, ("trash",)), (3, ("download", "x")),
                           (2, ("status", "--nonsense")), (2, ("hash", "everything")), (3, ("why",))):
            outcome = a.cli(*args, "--json")
            check_equal(outcome.code, code, f"exit code of {args} ({outcome})")
            said = outcome.json["error"]
            check_equal(said["code"], code, f"code of {args}")
            check(said["message"] and said["message"] in outcome.stderr, f"{args}: {outcome}")
        a.start(*FAST)
        for args in (("confirm",), ("reject",), ("uploads", "allow", "7"), ("hash", "verify", "nowhere"),
                     ("wait", "--peers", "3", "--timeout", "100ms"), ("download", "nowhere")):
            outcome = a.cli(*args, "--json")
            check_equal((outcome.code, outcome.json["error"]["code"]), (1, 1), f"{args}: {outcome}")
            check(outcome.json["error"]["message"] in outcome.stderr, f"{args}: {outcome}")
        a.write("d/x.txt", "x")
        a.wait()
        thin = net.node("thin").start(*FAST, "--on-demand")
        thin.wait(peers=1)
        for command in ("get", "drop"):
            said = thin.cli(command, "d", "--json").json
            check_equal([row["name"] for row in said["files"]], ["d/x.txt"], f"files of {command}: {said}")


def test_why():
    """`why` names what a path waits for and what ends it: a rule, a pause, nothing."""
    with Lan() as net:
        a, b = pair(net)
        a.write("plan.txt", "p")
        a.write(".lansyncignore", "# ours\n*.o\n")
        settled([a, b])
        a.write(".~lock.plan.ods#", "lock")
        a.write("main.o", "o")
        for node in (a, b):
            node.wait(peers=1)
        for name, words in ((".~lock.plan.ods#", ("built-in", ".~lock.*#")), ("main.o", ("line 2", "*.o")),
                            ("plan.txt", ("in-sync", "a, b")), ("nowhere.txt", ("no node",))):
            said = b.cli("why", name) if name == "nowhere.txt" else a.cli("why", name)
            check(said.code == 0 and all(word in said.stdout.replace("b, a", "a, b") for word in words),
                  f"why {name}: {said}")
        check_equal(a.cli("why", "--json").json, [], "all that is not in sync")
        os.mkfifo(a.at("pipe"))
        eventually(lambda: [row["name"] for row in a.cli("why", "--json").json] == ["pipe"], 10,
                   lambda: f"the pipe in `why`: {a.cli('why', '--json')}")
        b.cli("pause")
        b.write("plan.txt", "later")
        eventually(lambda: any(row["name"] == "plan.txt" for row in b.cli("why", "--json").json), 10,
                   lambda: f"the edit of a paused node in `why`: {b.cli('why')}")
        check("paused" in b.cli("why").stdout, f"{b.cli('why')}")
        check_equal(b.cli("doctor").code, 1, "doctor of a node that is paused")


def test_words():
    """Errors that stumbled: choices, folders below one that may not be written, a node's own name among the others."""
    with Lan() as net:
        a, b = pair(net)
        code, err = run_bad(a, "run", a.path + "2", "--role", "king")
        check(code == 2 and "is not one of auto, server, proxy, client" in err, f"{code} {err!r}")
        code, err = run_bad(a, "run", a.path + "2", "--peer", "host:0")
        check(code == 2 and "valid port" in err, f"{code} {err!r}")
        outcome = a.cli("index", "longlist", "--peer", "nobody")
        check(outcome.code == 1 and "known are: b" in outcome.stderr, f"{outcome}")
        closed = os.path.join(net.root, "closed")
        os.chmod(net.root, 0o755)
        os.makedirs(closed, mode=0o755)
        user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        said = subprocess.run([*user, program(), "run", closed + "/made/folder"], capture_output=True, text=True,
                              env={**a.environment(), "HOME": "/nonexistent"}, timeout=20)
        check("Permission denied" in said.stderr and closed + "/made" in said.stderr, f"{said}")


def test_help():
    """Every command has --help, exit 0; a word that is no command and no option is exit 2, with one line."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        for command in ("run", "status", "wait", "peers", "conflicts", "trash", "plan", "confirm", "reject", "pause",
                        "resume", "rescan", "stop", "doctor", "genpass", "version"):
            outcome = a.cli(command, "--help")
            check_equal((outcome.code, outcome.stderr), (0, ""), f"{command} --help")
            check(command in outcome.stdout, f"{command} --help says {outcome.stdout[:80]!r}")
        for args in (["status", "--nonsense"], ["wait", "--peers", "many"], ["wait", "--timeout", "5 parsecs"],
                     ["trash", "--since", "yesterday-ish"]):
            outcome = a.cli(*args)
            check_equal(outcome.code, 2, f"exit code of {args} ({outcome})")
            check_one_line(outcome.stderr)


def test_no_node():
    """Commands without a node running there: exit 3, one line that says so."""
    with Lan() as net:
        a = net.node("a")
        os.makedirs(a.path)
        for command in ("status", "peers", "conflicts", "trash", "plan", "confirm", "pause", "rescan", "stop", "doctor"):
            outcome = a.cli(command)
            check_equal(outcome.code, 3, f"exit code of {command} ({outcome})")
            check_one_line(outcome.stderr)
        a.start(*FAST)
        a.kill()
        check_equal(a.cli("status").code, 3, "exit code after a kill")


def test_wait():
    """`wait` waits for a node to appear, for peers, for sync; its exit codes are 0, 1 and 3."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        os.makedirs(a.path)
        started = time.monotonic()
        check_equal(a.cli("wait", "--timeout", "500ms").code, 3, "no node ever appeared")
        check(0.4 < time.monotonic() - started < 3, "the timeout was not kept")
        waiting = subprocess.Popen([program(), "-C", a.path, "wait", "--peers", "1", "--timeout", "20s"],
                                   env=a.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.3)
        a.start(*FAST)
        check_equal(a.cli("wait", "--peers", "1", "--timeout", "500ms").code, 1, "nobody else is there")
        check(waiting.poll() is None, "wait --peers 1 ended without a peer")
        b.start(*FAST)
        check_equal(waiting.wait(10), 0, "exit code of the wait that began before the node")
        waiting.stderr.close()
        # All that was done on this disk before the command is on the hub when it returns.
        for turn in range(5):
            for node, other in ((a, b), (b, a)):
                node.write(f"{node.name}-{turn}.txt", "x")
                check_equal(node.cli("wait", "--timeout", "10s").code, 0, "exit code of wait")
                check_equal(other.cli("wait", "--timeout", "10s").code, 0, "exit code of the other's wait")
                check(other.exists(f"{node.name}-{turn}.txt"), f"{node.name}-{turn}.txt was waited for and is not there")


def test_node_nearest_above():
    """Without -C a command finds the nearest node above the current directory, else the default folder."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        os.makedirs(a.at("deep/er"))

        def ask(where, **environment):
            return subprocess.run([program(), "status", "--json"], cwd=where, capture_output=True,
                                  env=a.environment(**environment))
        done = ask(a.at("deep/er"))
        check_equal(json.loads(done.stdout)["node"]["name"], "a", "the node above")
        check_equal(ask(a.home).returncode, 3, "no node in the default folder")
        check_equal(ask(a.home, LANSYNC_DIR=a.path).returncode, 0, "LANSYNC_DIR")


def test_default_folder():
    """Without arguments the folder is ~/LanSync, made with mode 0700; .lansync has mode 0700, its socket 0600."""
    with Lan() as net:
        a = net.node("a")
        folder = os.path.join(a.home, "LanSync")
        process = netns.popen(a.namespace, [program()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, cwd=a.home, env=a.environment())
        try:
            socket_path = os.path.join(folder, ".lansync/control.sock")
            eventually(lambda: os.path.exists(socket_path), 10, "a control socket in ~/LanSync")
            check_equal(os.stat(folder).st_mode & 0o777, 0o700, "mode of the folder")
            check_equal(os.stat(folder + "/.lansync").st_mode & 0o777, 0o700, "mode of .lansync")
            check_equal(os.stat(socket_path).st_mode & 0o777, 0o600, "mode of the socket")
            # The socket is there a moment before signals are attended to.
            status = [program(), "-C", folder, "status"]
            eventually(lambda: subprocess.run(status, capture_output=True, env=a.environment()).returncode == 0, 10, "an answer")
        finally:
            process.terminate()
            check_equal(process.wait(5), 0, "exit code")


def test_bad_options():
    """Wrong options and values: exit 2 (or 1), one line that names what is wrong, nothing is created."""
    with Lan() as net:
        a = net.node("a")
        short = os.path.join(a.home, "short")
        with open(short, "w", encoding="ascii") as file:
            file.write("1234567\n")
        for args, words in ((["--role", "king"], ["king"]), (["--settle", "soon"], ["settle"]),
                            (["--port", "99999"], ["port"]), (["--port", "x"], ["port"]),
                            (["--copies", "-1"], ["copies"]), (["--max-deletes", "lots"], ["max-deletes"]),
                            (["--limit", "fast"], ["limit"]), (["--carrier", "pigeon"], ["carrier"]),
                            (["--no-such-option"], ["no-such-option"]), (["--log-level", "loud"], ["log-level"]),
                            (["--group", ""], ["group"]), (["--password-file", "/nonexistent"], ["/nonexistent"]),
                            (["--password-file", short], ["8"]), (["--uploads", "perhaps"], ["uploads"])):
            code, err = run_bad(a, "run", a.path, *args)
            check(code in (1, 2), f"{args}: exit {code}, {err!r}")
            check_one_line(err, *words)
            check(not os.path.exists(a.path), f"{args}: the folder was made")


def test_password_not_in_argv():
    """The password is taken from a file or the environment; there is no option that holds it."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        path = os.path.join(a.home, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write("a very good password\n")
        a.start(*FAST, "--password-file", path)
        b.start(*FAST, password="a very good password")
        a.write("x.txt", "x")
        settled([a, b])
        check_equal(a.status()["group"]["open"], False, "open")
        code, err = run_bad(a, "run", a.path + "2", "--password", "a very good password")
        check_equal(code, 2, "exit code of --password")
        with open(f"/proc/{b.process.pid}/cmdline", "rb") as file:
            check(b"good password" not in file.read(), "the password is in argv")


def test_config_file():
    """config.toml gives defaults, the command line wins, an unknown key is an error that names it."""
    with Lan() as net:
        a = net.node("a")
        os.makedirs(a.at(".lansync"), mode=0o700)
        config = a.at(".lansync/config.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write('group = "from-config"\nsettle = "300ms"\nrole = "client"\n')
        a.start("--role", "server")
        eventually(lambda: a.status()["role"] == "server", 5, "the role of the command line")
        check_equal(a.status()["group"]["name"], "from-config", "group")
        a.stop()
        with open(config, "a", encoding="ascii") as file:
            file.write('colour = "blue"\n')
        code, err = run_bad(a, "run", a.path)
        check(code in (1, 2), f"exit {code}")
        check_one_line(err, "colour")


def test_second_node_on_one_folder():
    """A second node on the same folder refuses, naming the first's pid."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        code, err = run_bad(a, "run", a.path)
        check_equal(code, 1, "exit code")
        check_one_line(err, str(a.process.pid))
        check(a.status()["state"], "the first node goes on")


def test_refused_folders():
    """/, a home, system directories, and folders within or around a node's are refused, with the reason."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        for folder in ("/", a.home, "/etc", "/usr/share", os.path.join(a.path, "inner"), net.root):
            before = set(os.listdir(folder)) if os.path.isdir(folder) else None
            code, err = run_bad(a, "run", folder)
            check_equal(code, 1, f"exit code for {folder}")
            check_one_line(err, "--force-dir")
            if before is not None:
                check_equal(set(os.listdir(folder)) - before, set(), f"what was made in {folder}")


def test_unwritable_folder():
    """A folder on a read-only file system or below a file: exit 1, one line that names it."""
    with Lan() as net:
        a = net.node("a")
        read_only = os.path.join(net.root, "read-only")
        os.makedirs(read_only)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", read_only], check=True)
        try:
            code, err = run_bad(a, "run", read_only)
            check_equal(code, 1, "exit code")
            check_one_line(err, "read-only")
        finally:
            subprocess.run(["umount", read_only], check=True)
        with open(os.path.join(net.root, "plain-file"), "w", encoding="ascii"):
            pass
        code, err = run_bad(a, "run", os.path.join(net.root, "plain-file"))
        check_equal(code, 1, "exit code for a file")
        check_one_line(err, "plain-file")
        code, err = run_bad(a, "run", os.path.join(net.root, "plain-file/below"))
        check_equal(code, 1, "exit code below a file")
        check_one_line(err, "plain-file")


def test_busy_port():
    """A busy port that was asked for is an error in one line; the default one gives way to the next pair."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        with net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("0.0.0.0", 27801))
            code, err = run_bad(a, "run", a.path, "--port", "27801")
            check_equal(code, 1, "exit code")
            check_one_line(err, "27801")
            a.start(*FAST)
            b.start(*FAST)
            a.write("x.txt", "x")
            settled([a, b])
            port = next(p["port"] for p in b.status()["peers"] if p["name"] == "a")
            check_equal(port, 27803, "the port that a got")


def test_first_screen():
    """The first lines name the folder and the group, say that it is open, and how to close it."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        a.start(*FAST)
        for word in (a.path, "lansync", "OPEN", "genpass", "--password-file"):
            check(word in a.log(), f"{word!r} is not in {a.log()!r}")
        b.start(*FAST, "--group", "family", password="a very good password")
        check("OPEN" not in b.log() and "family" in b.log(), f"b says {b.log()!r}")


def test_live_view():
    """On a terminal a live view is shown; Ctrl-C ends it and leaves the terminal as it was."""
    with Lan() as net:
        a = net.node("a")
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        process = netns.popen(a.namespace, [program(), "run", a.path, "--name", "a"], on_terminal=True, stdin=slave, stdout=slave,
                              stderr=slave, cwd=a.home, env=a.environment(TERM="xterm-256color"))
        os.close(slave)
        shown = b""
        end = time.monotonic() + 5
        while time.monotonic() < end and b"in-sync" not in shown:
            if select.select([master], [], [], 0.2)[0]:
                shown += os.read(master, 65536)
        check(b"in-sync" in shown and b"server" in shown, f"shown: {shown[-1500:]!r}")
        process.send_signal(2)
        code = None
        end = time.monotonic() + 5
        while time.monotonic() < end and code is None:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:
                    pass
            code = process.poll()
        os.close(master)
        check_equal(code, 0, "exit code after Ctrl-C")
        check(b"\x1b[?25l" not in shown or b"\x1b[?25h" in shown, "the cursor stays hidden")


def test_genpass_and_version():
    """`genpass` prints a fresh password of 64 bits or more; `version` names program and protocol."""
    with Lan() as net:
        a = net.node("a")
        words = {bare(a, "genpass").stdout.strip() for _ in range(5)}
        check_equal(len(words), 5, "different passwords")
        check(all(len(word) >= 11 for word in words), f"{words}")
        version = bare(a, "version", "--json").json
        check("protocol" in str(version), f"{version}")


def test_doctor():
    """`doctor` says what was sent and heard on each interface, and finds a firewall that drops beacons."""
    with Lan() as net:
        a, b = pair(net)
        said = a.cli("doctor", "--json").json
        check("lan0" in json.dumps(said), f"{said}")
        check_equal(a.cli("doctor").code, 0, "exit code of doctor")
        # Whatever `status` complains about is a problem here too.
        a.cli("pause")
        said = a.cli("doctor")
        check(said.code == 1 and "PROBLEM: paused" in said.stdout, f"doctor of a paused node: {said}")
        a.cli("resume")


def test_many_clients_of_the_socket():
    """Twenty commands at once, and connections that say nothing, do not stop a node from answering in 1 s."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        idle = []
        for _ in range(30):
            one = socket.socket(socket.AF_UNIX)
            one.connect(a.at(".lansync/control.sock"))
            idle.append(one)
        running = [subprocess.Popen([program(), "-C", a.path, "status", "--json"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, env=a.environment()) for _ in range(20)]
        for one in running:
            one.communicate(timeout=20)
            check_equal(one.returncode, 0, "exit code of a status")
        started = time.monotonic()
        a.status()
        check(time.monotonic() - started < 1.0, "status took longer than 1 s")
        for one in idle:
            one.close()


if __name__ == "__main__":
    main(__name__)

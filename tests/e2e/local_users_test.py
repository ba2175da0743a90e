"""Other users of the machine read no secret, and what they prepared is neither written nor believed."""
import os
import re
import stat
import subprocess
import threading
import time

import netns
from cases import check, check_equal, eventually, main
from lan import FAST, Lan, program, settled

PASSWORD = "correct horse battery"
OTHER = 65534  # nobody



def as_other(*args, **more):
    """Runs a tool as another user of this machine."""
    return subprocess.run(["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups", *args],
                          capture_output=True, timeout=20, **more)


def start_fails(node, *options, words=(), environment=None):
    """The node does not start, at once, and says why in its last line."""
    process = netns.popen(node.namespace, [program(), "run", node.path, *FAST, *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=node.home,
                          env=node.environment(**(environment or {})))
    try:
        _, err = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
        check(False, f"it started, or hung: {err.decode(errors='replace')[-600:]}")
    last = err.decode(errors="replace").strip().splitlines()[-1]
    check(process.returncode in (1, 2), f"exit {process.returncode}: {last}")
    for word in words:
        check(word in last, f"{word!r} is not in {last!r}")


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def a_session(net, *options):
    """Two nodes that have a session, the first with these options."""
    a, b = net.node("a"), net.node("b")
    a.start(*FAST, *options, password=PASSWORD)
    b.start(*FAST, password=PASSWORD)
    b.wait(peers=1)
    return a, b


def test_key_log_is_private():
    """A key log is made with mode 0600, warned about once, and a second run adds to it."""
    with Lan() as net:
        keys = os.path.join(net.root, "keys")
        old = os.umask(0)
        try:
            a, b = a_session(net, "--keylog", keys)
        finally:
            os.umask(old)
        eventually(lambda: read(keys), 5, "a line in the key log")
        check_equal(mode_of(keys), 0o600, "its mode")
        lines = [line for line in a.log().splitlines() if "keylog" in line]
        check_equal(len(lines), 1, f"warnings: {lines}")
        first = read(keys)
        a.stop()
        a.start()
        b.wait(peers=1)
        eventually(lambda: len(read(keys)) > len(first), 5, "a further line")
        check(read(keys).startswith(first), "the first lines are gone")
        check_equal(as_other("cat", keys).stdout, b"", "what another user reads")


def test_key_log_where_others_look():
    """Secrets go to no file that others can read, made, own or reach by a link, and no pipe."""
    with Lan() as net:
        a = net.node("a")
        place = os.path.join(net.root, "shared")
        os.mkdir(place)
        os.chmod(place, 0o1777)
        os.chmod(net.root, 0o755)
        target = os.path.join(net.root, "target")

        def refused(path, *words):
            start_fails(a, "--keylog", path, words=(path, *words))

        readable = os.path.join(place, "readable")
        with open(readable, "w", encoding="ascii"):
            pass
        os.chmod(readable, 0o644)
        with open(readable, "rb") as spy:  # he has it open already
            refused(readable, "not there yet")
            check_equal(spy.read(), b"", "what was written to a file with mode 0644")
        check_equal(mode_of(readable), 0o644, "its mode is as it was")
        link = os.path.join(place, "link")
        os.symlink(target, link)
        refused(link, "link")
        check(not os.path.exists(target), "written through a link")
        with open(target, "w", encoding="ascii"):
            pass
        os.chmod(target, 0o600)
        refused(link, "link")
        twin = os.path.join(place, "twin")
        os.link(target, twin)
        refused(twin, "second name")
        check_equal(read(target), b"", "what was written through links")
        pipe = os.path.join(place, "pipe")
        os.mkfifo(pipe, 0o600)
        refused(pipe, "pipe")
        theirs = os.path.join(place, "theirs")
        as_other("sh", "-c", f"umask 077; : > {theirs}")
        refused(theirs, "another user")
        mine = os.path.join(place, "thesis")
        with open(mine, "w", encoding="ascii") as file:
            file.write("chapter one\n")
        os.chmod(mine, 0o600)
        refused(mine, "something else")
        check_equal(read(mine), b"chapter one\n", "my thesis")
        inside = a.at("keys")
        start_fails(a, "--keylog", inside, words=("synced",))


def test_control_socket():
    """Another user gets no answer from a node, also where the socket's mode would let him."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        os.chmod(net.root, 0o755)
        sock = a.at(".lansync/control.sock")
        check_equal((mode_of(sock), mode_of(a.at(".lansync")), mode_of(a.path)), (0o600, 0o700, 0o700), "modes")
        for path in (sock, a.at(".lansync"), a.path):
            os.chmod(path, 0o777)
        ask = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]); "
               "s.sendall(b'{\"command\":\"status\"}\\n'); sys.stdout.buffer.write(s.recv(1000))")
        said = as_other("python3", "-c", ask, sock)
        check_equal(said.stdout, b"", "the answer")
        check(a.cli("status").code == 0, "the owner gets none either")
        check("another user" in a.log(), "the log does not say so")
        # What was opened up is closed by the next start.
        a.stop()
        a.start()
        check_equal(mode_of(a.at(".lansync")), 0o700, "mode of .lansync after a start")


def test_own_files():
    """Whatever the umask: what a node keeps for itself is behind a directory that only its owner enters."""
    with Lan() as net:
        os.chmod(net.root, 0o755)
        log = os.path.join(net.root, "node.log")
        old = os.umask(0)
        try:
            a, b = a_session(net, "--log-file", log, "--log-level", "debug")
        finally:
            os.umask(old)
        a.write("x.txt", "one")
        settled([a, b])
        b.write("x.txt", "two")
        settled([a, b])
        check_equal(mode_of(log), 0o600, "mode of the log")
        for node in (a, b):
            for name in ("index.db", "lock", "trash", "tmp"):
                said = as_other("stat", node.at(".lansync/" + name))
                check(said.returncode != 0, f"another user sees .lansync/{name} of {node.name}")
        for name in ("tmp", "trash"):
            check_equal(mode_of(a.at(".lansync/" + name)), 0o700, f"mode of {name}")


def test_log_file_of_others():
    """A log goes through no link that another user made, into no pipe, and not into the folder."""
    with Lan() as net:
        a = net.node("a")
        place = os.path.join(net.root, "shared")
        os.mkdir(place)
        os.chmod(place, 0o777)
        os.chmod(net.root, 0o755)
        target = os.path.join(net.root, "profile")
        with open(target, "w", encoding="ascii") as file:
            file.write("umask 022\n")
        link = os.path.join(place, "log")
        as_other("ln", "-s", target, link)
        start_fails(a, "--log-file", link, words=("another user",))
        check_equal(read(target), b"umask 022\n", "the file behind the link")
        pipe = os.path.join(place, "pipe")
        os.mkfifo(pipe)
        start_fails(a, "--log-file", pipe, words=("plain file",))
        start_fails(a, "--log-file", a.at("node.log"), words=("synced",))


def test_password_file():
    """A password file that others may change is refused, one that they may read is warned about once."""
    with Lan() as net:
        os.chmod(net.root, 0o755)
        a = net.node("a")
        path = os.path.join(net.root, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write(PASSWORD + "\n")
        os.chmod(path, 0o666)
        start_fails(a, "--password-file", path, words=("chmod 600",))
        os.chmod(path, 0o600)
        os.chown(path, OTHER, OTHER)
        start_fails(a, "--password-file", path, words=("another user",))
        os.chown(path, 0, 0)
        os.chmod(path, 0o644)
        a.start(*FAST, "--password-file", path)
        check_equal(a.log().count("chmod 600"), 1, "warnings")
        a.stop()
        # From a program, as shells write it: --password-file <(pass show lansync).
        pipe = os.path.join(net.root, "pipe")
        os.mkfifo(pipe, 0o600)

        def late():
            time.sleep(0.5)
            with open(pipe, "w", encoding="ascii") as file:
                file.write(PASSWORD + "\n")
        writer = threading.Thread(target=late)
        writer.start()
        a.start(*FAST, "--password-file", pipe)
        writer.join()
        check_equal(a.status()["group"]["open"], False, "open")


def test_config_of_others():
    """A config.toml that another user made or may change is not obeyed."""
    with Lan() as net:
        a = net.node("a")
        os.makedirs(a.at(".lansync"), mode=0o700)
        config = a.at(".lansync/config.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write('group = "theirs"\n')
        os.chmod(config, 0o666)
        start_fails(a, words=("config.toml", "chmod 600"))
        os.chmod(config, 0o644)
        os.chown(config, OTHER, OTHER)
        start_fails(a, words=("config.toml", "another user"))
        os.chown(config, 0, 0)
        a.start(*FAST)
        check_equal(a.status()["group"]["name"], "theirs", "group of one's own config.toml")


def test_process():
    """The password stands in no argument and no environment, and neither core file nor /proc shows memory."""
    with Lan() as net:
        a = net.node("a")
        os.makedirs(a.path, exist_ok=True)
        os.chmod(net.root, 0o755)
        for path in (a.path, a.home):
            os.chown(path, OTHER, OTHER)
        a.prefix = ("setpriv", "--pdeathsig", "keep", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups")
        a.start(*FAST, password=PASSWORD)
        pid = a.process.pid
        for name in ("cmdline", "environ"):
            check(PASSWORD.encode() not in read(f"/proc/{pid}/{name}"), f"the password is in {name}")
        # Such files of /proc belong to root for a process that leaves no core file.
        check_equal(os.stat(f"/proc/{pid}/mem").st_uid, 0, "owner of its memory")
        check(as_other("cat", f"/proc/{pid}/maps").returncode != 0, "a program of the same user reads its memory")
        a.write("x.txt", "an ordinary user's node works")
        a.wait(peers=0)


def test_another_socket_answers():
    """A command believes no socket of another user, though the folder names it."""
    with Lan() as net:
        os.chmod(net.root, 0o755)
        a = net.node("a")
        os.makedirs(a.at(".lansync"), mode=0o700)
        os.chmod(a.path, 0o700)
        place = os.path.join(net.root, "lansync-trap")
        os.mkdir(place)
        os.chmod(place, 0o777)
        trap = os.path.join(place, "control.sock")
        serve = ("import os,socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); "
                 "s.listen(); print('ready', flush=True)\n"
                 "while True:\n c,_=s.accept(); c.recv(1000); c.sendall(b'{\"exit\":0,\"result\":\"lies\"}\\n'); c.close()")
        liar = subprocess.Popen(["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups",
                                 "python3", "-c", serve, trap], stdout=subprocess.PIPE)
        try:
            liar.stdout.readline()
            with open(a.at(".lansync/control.path"), "w", encoding="ascii") as file:
                file.write(trap + "\n")
            said = a.cli("status")
            check(said.code != 0 and "another user" in said.stderr, f"it believed: {said}")
        finally:
            liar.kill()
            liar.wait()


def test_security_page():
    """Every test that docs/security.md names is there."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../docs/security.md"), encoding="utf-8") as file:
        page = file.read()
    named = 0
    for row in page.splitlines():
        for part in re.split(r";|, (?=\w+/)", row):
            files = re.findall(r"(?:unit|e2e)/[\w/]+\.(?:py|cpp)", part)
            texts = ""
            for name in files:
                path = os.path.join(here, "..", name)
                check(os.path.exists(path), f"{name} is not there")
                with open(path, encoding="utf-8") as file:
                    texts += re.sub(r'"\s*\n\s*"', "", file.read())
            for title in re.findall(r'"([^"]+)"', part) if files else []:
                check(title in texts, f"no test in {files} has {title!r}")
                named += 1
    check(named > 20, f"only {named} were found")


def test_unreadable_file():
    """What the node may not read is not on the hub: `wait` is not over, and says which file, until it can be read."""
    with Lan() as net:
        os.chmod(net.root, 0o755)
        a, b = net.node("a"), net.node("b")
        for node in (a, b):
            os.makedirs(node.path, exist_ok=True)
            os.chown(node.path, OTHER, OTHER)
            os.chown(node.home, OTHER, OTHER)
            node.prefix = ("setpriv", "--pdeathsig", "keep", "--reuid", str(OTHER), "--regid", str(OTHER),
                           "--clear-groups")
            node.start(*FAST)
        b.wait(peers=1)
        b.write("secret", b"s")
        os.chmod(b.at("secret"), 0)
        os.chown(b.at("secret"), OTHER, OTHER)
        time.sleep(1)
        waited = b.cli("wait", "--timeout", "2s")
        check(waited.code == 1 and "secret: cannot open" in waited.stderr, f"wait: {waited}")
        os.chmod(b.at("secret"), 0o644)
        check_equal(b.cli("wait", "--timeout", "20s").code, 0, "wait when it can be read")
        eventually(lambda: a.read("secret") == b"s", 5, "it is on the hub")


if __name__ == "__main__":
    main(__name__)

"""Network namespaces without a shell: made, entered and removed by name.

Invariant: every name carries the pid of the process that made it, so that two runs at once never meet and a
run that was killed outright leaves nothing that the next one cannot recognise and sweep away.
"""
import ctypes
import fcntl
import os
import re
import shutil
import subprocess
import termios

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_NAMES = "/run/netns"
_PREFIX = "lse2e"


class CommandFailed(Exception):
    """A tool that the test needs (ip, nft, tc) said no."""


def run(*args, stdin=None):
    """Runs a tool; returns its stdout; raises with its stderr."""
    done = subprocess.run(args, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(args)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def own_mounts():
    """From now on this process and its children mount for themselves: the names of namespaces too, and what a killed
    test had mounted ends with its last process. Where that is forbidden all stays as it is, and sweep() has more to do.
    """
    if os.geteuid() != 0 or not hasattr(_libc, "unshare") or _libc.unshare(_CLONE_NEWNS) != 0:
        return
    try:
        run("mount", "--make-rprivate", "/")
        os.makedirs(_NAMES, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "mode=755", "lansync-e2e", _NAMES)
    except (CommandFailed, OSError):
        pass  # names are then common to all, and carry a pid


def die_with_parent():
    """For a child process: a test that is killed outright takes it along."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def why_impossible():
    """None if namespaces can be made here, else the reason in words."""
    if os.geteuid() != 0:
        return "not root"
    for tool in ("ip", "nft", "tc"):
        if not any(os.access(os.path.join(d, tool), os.X_OK)
                   for d in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]):
            return f"{tool} is not installed (see tools/packages.txt)"
    name = make("probe")
    try:
        run("ip", "-n", name, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    except CommandFailed as error:
        return str(error)
    finally:
        remove(name)
    return None


_counter = 0


def make(label):
    """A new namespace with loopback up; returns its name."""
    global _counter
    _counter += 1
    name = f"{_PREFIX}-{os.getpid()}-{_counter}-{label}"
    try:
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    except (CommandFailed, OSError) as error:
        raise CommandFailed(f"no network namespaces here: {error}") from error
    return name


def remove(name):
    subprocess.run(["ip", "netns", "del", name], capture_output=True)


def sweep(*scratches):
    """Removes what runs that are gone left behind: namespaces, and folders below these directories."""
    for name in os.listdir(_NAMES) if os.path.isdir(_NAMES) else ():
        match = re.match(_PREFIX + r"-(\d+)-", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            remove(name)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        mounted = [line.split()[4] for line in file]
    for scratch in scratches:
        for name in os.listdir(scratch):
            match = re.match(r"lansync-e2e-(\d+)-", name)
            path = os.path.join(scratch, name)
            # What is mounted below is perhaps somebody's own.
            if (match and not os.path.exists(f"/proc/{match.group(1)}")
                    and not any(place.startswith(os.path.realpath(path)) for place in mounted)):
                shutil.rmtree(path, ignore_errors=True)


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Inside:
    """`with Inside(name):` what is opened there (a socket) belongs to that namespace for good."""

    def __init__(self, name):
        self._name = name
        self._home = None

    def __enter__(self):
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"{_NAMES}/{self._name}", os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)
        return self

    def __exit__(self, *_):
        _setns(self._home)
        os.close(self._home)
        return False


def popen(name, args, on_terminal=False, **kwargs):
    """Starts a program in a namespace. Its pid is the program's own, and it dies with this process.

    `on_terminal`: its stdin is a terminal, which becomes its own, as a shell does it.
    """
    there = os.open(f"{_NAMES}/{name}", os.O_RDONLY)

    def before_exec():
        _setns(there)
        die_with_parent()
        if on_terminal:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    try:
        return subprocess.Popen(args, preexec_fn=before_exec, **kwargs)
    finally:
        os.close(there)

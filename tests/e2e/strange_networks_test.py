"""An open group away from home: strangers are kept out until a person says otherwise (CONTRACT, Guards)."""
import time

import netns
from cases import check, check_equal, eventually, main
from lan import FAST, Lan, settled

PASSWORD = "correct horse battery"


def gateway(node, mac):
    """The network's router, as this node knows it: it is not there, but its hardware address is."""
    where = node.namespace
    netns.run("ip", "-n", where, "neigh", "replace", "10.77.0.254", "lladdr", mac, "dev", "lan0")
    netns.run("ip", "-n", where, "route", "replace", "default", "via", "10.77.0.254", "dev", "lan0")


def home(node):
    gateway(node, "02:00:00:00:00:01")


def away(node):
    gateway(node, "02:00:00:00:00:02")


def held(node):
    return eventually(lambda: (s := node.status())["state"] == "held" and s, 10, lambda: f"held: {node.status()}")


def connected(node):
    return [p for p in node.status()["peers"] if p["state"] == "connected"]


def test_strangers_on_a_new_network():
    """A folder made elsewhere meets strangers: held, nothing passes either way, until `confirm`; then for good."""
    with Lan() as net:
        mine, a, b = net.node("mine"), net.node("a"), net.node("b")
        strangers = [a, b]
        home(mine)
        net.partition([mine], strangers)
        mine.start(*FAST)
        mine.write("mine.txt", "from home")
        mine.wait(peers=0)
        mine.stop()
        for node in strangers:
            away(node)
            node.start(*FAST)
        for node in strangers:
            node.wait(peers=1)
        a.write("theirs.txt", "from a stranger")
        settled(strangers)
        away(mine)
        net.heal()
        mine.start()
        status = held(mine)
        for part in ("10.77.0.0/24", "10.77.0.254", "lansync confirm", "--password-file", "genpass"):
            check(part in status["reason"], f"the reason does not name {part}: {status['reason']!r}")
        check("10.77.0.2" in status["reason"] or "10.77.0.3" in status["reason"], f"nor who: {status['reason']!r}")
        a.write("later.txt", "while held")
        mine.write("mine2.txt", "while held")
        hub = next(node for node in strangers if node.status()["role"] == "server")
        term = hub.status()["term"]
        time.sleep(4)
        check_equal(mine.files(), ["mine.txt", "mine2.txt"], "my files")
        check_equal(sorted(a.files()), ["later.txt", "theirs.txt"], "their files")
        for node in (mine, a, b):
            check(len(connected(node)) == (0 if node is mine else 1), f"{node.name} has {connected(node)}")
        check_equal((hub.status()["role"], hub.status()["term"]), ("server", term), "the strangers' hub")
        check_equal(mine.status()["state"], "held", "state")
        check(mine.cli("wait", "--timeout", "300ms").code == 1, "`wait` says in sync")
        refused = [p for p in mine.cli("peers", "--json").json if p["state"] == "refused"]
        check(refused and all(p["why"] for p in refused), f"`peers` does not show who was kept out: {refused}")
        check(mine.log().count("held:") == 1, f"the log says it not once: {mine.log()}")
        check_equal(mine.cli("confirm").code, 0, "exit code of confirm")
        found = settled([mine, a, b])
        check_equal(sorted(found), ["later.txt", "mine.txt", "mine2.txt", "theirs.txt"], "files after confirm")
        mine.stop()
        mine.start()
        mine.wait(peers=2)
        check_equal(mine.log().count("held:"), 1, "held again on a network that was confirmed")


def test_at_home_and_with_members():
    """At home a newcomer is welcome; elsewhere a known member vouches for the place."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        for node in (a, b, c):
            home(node)
        for node in (a, b):
            node.start(*FAST)
        for node in (a, b):
            node.wait(peers=1)
        b.stop()
        # c is new, on a network that a knows.
        c.start(*FAST)
        settled([a, c])
        for node in (a, c):
            check("held:" not in node.log(), f"{node.name} was held at home")
            node.stop()
        # a and b, who know each other, on a network that neither has seen.
        for node in (a, b):
            away(node)
            node.start()
        a.write("elsewhere.txt", "x")
        settled([a, b])
        for node in (a, b):
            check(node.status()["state"] == "in-sync" and "held:" not in node.log(), f"{node.name} was held")


def test_running_node_roams():
    """A node that is carried into another network while it runs: held there, and free again at home."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        for node in (a, b):
            home(node)
        away(c)
        net.partition([a, b], [c])
        for node in (a, b, c):
            node.start(*FAST)
        for node in (a, b):
            node.wait(peers=1)
        c.write("of-c.txt", "c")
        # As roaming looks: the interface goes and comes back with another router behind it.
        netns.run("ip", "-n", a.namespace, "link", "set", "lan0", "down")
        net.partition([b], [a, c])
        netns.run("ip", "-n", a.namespace, "link", "set", "lan0", "up")
        away(a)
        c.write("more.txt", "c")
        held(a)
        time.sleep(1)
        check("of-c.txt" not in a.files(), f"a took from a stranger: {a.files()}")
        netns.run("ip", "-n", a.namespace, "link", "set", "lan0", "down")
        net.partition([a, b], [c])
        netns.run("ip", "-n", a.namespace, "link", "set", "lan0", "up")
        home(a)
        b.write("home.txt", "b")
        settled([a, b])
        check_equal(sorted(a.files()), ["home.txt"], "files of a")


def test_password_is_never_held():
    """A group with a password asks nothing, wherever it is; who has not the password stays out."""
    with Lan() as net:
        mine, a = net.node("mine"), net.node("a")
        home(mine)
        net.partition([mine], [a])
        mine.start(*FAST, password=PASSWORD)
        mine.wait(peers=0)
        mine.stop()
        away(a)
        a.start(*FAST, password=PASSWORD)
        away(mine)
        net.heal()
        mine.start()
        mine.write("x.txt", "x")
        settled([mine, a])
        check("held:" not in mine.log(), "held, though the group has a password")


if __name__ == "__main__":
    main(__name__)

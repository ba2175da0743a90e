"""An open group away from home: strangers are kept out until a person says otherwise (CONTRACT, Guards)."""
import socket
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
        check(refused and all(p["reason"] for p in refused), f"`peers` does not show who was kept out: {refused}")
        check(mine.log().count("held:") == 1, f"the log says it not once: {mine.log()}")
        check_equal(mine.cli("confirm").code, 0, "exit code of confirm")
        found = settled([mine, a, b])
        check_equal(sorted(found), ["later.txt", "mine.txt", "mine2.txt", "theirs.txt"], "files after confirm")
        mine.stop()
        mine.start()
        mine.wait(peers=2)
        check_equal(mine.log().count("held:"), 1, "held again on a network that was confirmed")


def test_at_home_and_with_members():
    """At home a newcomer is welcome; elsewhere two nodes that have met work with each other, and nobody is held."""
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


# ---- networks that look the same --------------------------------------------------------------------------

ROUTER = "10.77.0.254"


class Places:
    """Two LANs of one subnet, each behind a router of its own with the same address."""

    def __init__(self, net, *names):
        self.net = net
        self.routers = {"home": net.host("rh"), "away": net.host("ra")}
        self.nodes = [net.node(name) for name in names]
        self.where = {"rh": "home", "ra": "away"}
        for name in names:
            self.put(name, "home")
        for router in self.routers.values():
            netns.run("ip", "-n", router, "addr", "add", ROUTER + "/24", "dev", "lan0")

    def put(self, name, place, link_lost=True):
        """Carries a machine there; its system forgets its neighbours, unless nobody tells it."""
        self.where[name] = place
        self.net.partition(*[[n for n, p in self.where.items() if p == here] for here in ("home", "away")])
        if link_lost and name not in ("rh", "ra"):
            ns = self.net.host(name)
            netns.run("ip", "-n", ns, "link", "set", "lan0", "down")
            netns.run("ip", "-n", ns, "link", "set", "lan0", "up")
            netns.run("ip", "-n", ns, "route", "replace", "default", "via", ROUTER, "dev", "lan0")

    def switch(self, place, on):
        netns.run("ip", "-n", self.routers[place], "link", "set", "lan0", "up" if on else "down")


def begun_at_home(net, *names):
    """A folder of `mine` that was begun at home, and a stranger elsewhere, behind a router that looks the same."""
    places = Places(net, "mine", "stranger", *names)
    mine, stranger = places.nodes[:2]
    places.put("stranger", "away")
    mine.start(*FAST)
    mine.write("mine.txt", "from home")
    mine.wait(peers=0)
    time.sleep(2.5)  # for the router to be asked
    stranger.start(*FAST)
    stranger.write("theirs.txt", "from a stranger")
    stranger.wait(peers=0)
    return places, mine, stranger


def kept_apart(mine, stranger, seconds):
    """For so long nothing passes, either way."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check(not stranger.exists("mine.txt"), f"the stranger has my file {seconds - end + time.monotonic():.2f} s later")
        check(not mine.exists("theirs.txt"), "the stranger's file is here")
        time.sleep(0.05)


def test_twin_network():
    """Home and elsewhere are one subnet behind one address: a stranger elsewhere gets nothing, from the first moment."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net)
        mine.stop()
        places.put("mine", "away")
        mine.start()
        kept_apart(mine, stranger, 5)
        held(mine)


def test_twin_network_with_a_late_router():
    """A router that answers seconds after the start is waited for: nobody is let in on its address alone."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net)
        mine.stop()
        places.switch("away", False)
        places.put("mine", "away")
        mine.start()
        kept_apart(mine, stranger, 4)
        places.switch("away", True)
        kept_apart(mine, stranger, 5)
        held(mine)
        mine.stop()
        # Nor was anything learned there.
        places.switch("away", False)
        mine.start()
        kept_apart(mine, stranger, 4)


def test_twin_network_that_the_system_did_not_notice():
    """What the system remembers of home's router is no proof: it is asked again at a start."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net)
        with net.socket("mine", socket.AF_INET, socket.SOCK_DGRAM) as some:
            some.sendto(b"x", (ROUTER, 9))
        time.sleep(0.2)
        mine.stop()
        places.put("mine", "away", link_lost=False)
        mine.start()
        kept_apart(mine, stranger, 5)


def test_twin_network_without_a_router():
    """The same subnet without a router is another network, also before and after one appears."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net)
        mine.stop()
        places.put("mine", "away")
        netns.run("ip", "-n", mine.namespace, "route", "del", "default")
        mine.start()
        kept_apart(mine, stranger, 4)
        netns.run("ip", "-n", mine.namespace, "route", "add", "default", "via", ROUTER, "dev", "lan0")
        kept_apart(mine, stranger, 4)


def test_running_node_in_a_twin_network():
    """A running node that is carried into a network that looks like home lets nobody in there."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net)
        places.put("mine", "away")
        kept_apart(mine, stranger, 5)
        held(mine)


def test_second_interface_in_a_twin_network():
    """Of two interfaces in the same subnet the strange one decides: no stranger comes in over it."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net)
        mine.stop()
        switch = net._switch
        netns.run("ip", "link", "add", "wl0", "netns", mine.namespace, "type", "veth", "peer", "name", "p-wl0",
                  "netns", switch)
        netns.run("ip", "-n", switch, "link", "set", "p-wl0", "master", "br1", "up")
        netns.run("ip", "-n", mine.namespace, "addr", "add", "10.77.0.200/24", "brd", "+", "dev", "wl0")
        netns.run("ip", "-n", mine.namespace, "link", "set", "wl0", "up")
        netns.run("ip", "-n", mine.namespace, "route", "add", "default", "via", ROUTER, "dev", "wl0", "metric", "600")
        mine.start()
        kept_apart(mine, stranger, 5)


def test_newcomer_at_home():
    """At home somebody new is let in, also right after a start."""
    with Lan() as net:
        places, mine, _ = begun_at_home(net, "newcomer")
        newcomer = places.nodes[2]
        mine.stop()
        mine.start()
        newcomer.start(*FAST)
        eventually(lambda: newcomer.exists("mine.txt"), 8, "the newcomer has my file")
        for node in (mine, newcomer):
            check("held:" not in node.log(), f"{node.name} was held at home: {node.log()}")


def test_newcomer_at_home_with_a_late_router():
    """A router that is switched on after the machine makes home of home by itself."""
    with Lan() as net:
        places, mine, _ = begun_at_home(net, "newcomer")
        newcomer = places.nodes[2]
        mine.stop()
        places.switch("home", False)
        places.put("mine", "home")
        mine.start()
        newcomer.start(*FAST)
        said = held(mine)
        check("does not answer" in said["reason"], f"reason: {said['reason']!r}")
        check(not newcomer.exists("mine.txt"), "the newcomer has my file")
        places.switch("home", True)
        eventually(lambda: newcomer.exists("mine.txt"), 15, "the newcomer has my file")


# ---- nobody vouches for anybody ---------------------------------------------------------------------------


def test_friend_vouches_for_nobody():
    """Elsewhere a node that was met works with us; a stranger beside it stays out, of both."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net, "friend")
        friend = places.nodes[2]
        friend.start(*FAST)
        for node in (mine, friend):
            node.wait(peers=1)
        time.sleep(2.5)
        places.put("mine", "away")
        places.put("friend", "away")
        mine.write("with-friend.txt", "x")
        eventually(lambda: friend.exists("with-friend.txt"), 15, "the friend has what I wrote elsewhere")
        friend.write("from-friend.txt", "x")
        eventually(lambda: mine.exists("from-friend.txt"), 15, "I have what the friend wrote elsewhere")
        kept_apart(mine, stranger, 4)
        check(not stranger.exists("from-friend.txt"), "the stranger has the friend's file")
        check(not friend.exists("theirs.txt"), "the friend has the stranger's file")
        check_equal(mine.cli("wait", "--peers", "1", "--timeout", "10s").code, 0, "exit code of wait")
        said = held(mine)
        check("friend" not in said["reason"].split("may be a stranger")[0], f"the friend is named: {said['reason']!r}")
        # The same after a restart, and the other way round.
        for node in (mine, friend):
            node.stop()
        friend.start()
        mine.start()
        kept_apart(mine, stranger, 4)


def test_replayed_beacon_of_a_friend():
    """A beacon of a friend's, recorded at home and said again elsewhere, opens the door to nobody."""
    with Lan() as net:
        places, mine, stranger = begun_at_home(net, "friend")
        friend = places.nodes[2]
        spy = net.host("spy")
        places.put("spy", "home")
        ear = net.socket("spy", socket.AF_INET, socket.SOCK_DGRAM)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        ear.bind(("", 27800))
        ear.settimeout(0.2)
        friend.start(*FAST)
        for node in (mine, friend):
            node.wait(peers=1)
        heard = {}
        end = time.monotonic() + 8
        while time.monotonic() < end:
            try:
                datagram, (address, _) = ear.recvfrom(2000)
            except TimeoutError:
                continue
            if address == net.address("friend"):
                heard[datagram] = True
        check(heard, "no beacon of the friend's was heard")
        mine.stop()
        places.put("mine", "away")
        places.put("spy", "away", link_lost=False)
        mine.start()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for datagram in heard:
                ear.sendto(datagram, ("10.77.0.255", 27800))
            kept_apart(mine, stranger, 0.3)
        held(mine)


if __name__ == "__main__":
    main(__name__)

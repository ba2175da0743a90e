"""Roles on a real network: who becomes hub, how fast, and what happens when it goes."""
import signal
import time

from cases import check, check_equal, eventually, main
from lan import FAST, Lan, same_trees, settled


def roles(nodes):
    return {node.name: node.status()["role"] for node in nodes}


def hub_of(nodes):
    """The one server that all nodes agree on, else None."""
    said = [node.status() for node in nodes]
    servers = [s["node"]["id"] for s in said if s["role"] in ("server", "proxy")]
    hubs = {s["hub"]["id"] if s["hub"] else None for s in said}
    if len(servers) == 1 and hubs == {servers[0]}:
        return next(n for n, s in zip(nodes, said) if s["node"]["id"] == servers[0])
    return None


def know_each_other(nodes):
    for node in nodes:
        seen = {p["name"] for p in node.status()["peers"] if p["state"] in ("connected", "known")}
        if seen != {other.name for other in nodes if other is not node}:
            return False
    return True


def take_roles(nodes, seconds=10):
    return eventually(lambda: know_each_other(nodes) and hub_of(nodes), seconds,
                      lambda: f"one hub that all agree on; roles {roles(nodes)}")


def test_three_together():
    """Three nodes started together are one server and two clients, known to each other, in 1.5 s."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abc"]
        for node in nodes:
            node.start(*FAST, wait_ready=False)
        started = time.monotonic()
        for node in nodes:
            node.wait_ready()
        take_roles(nodes)
        took = time.monotonic() - started
        check(took <= 1.5, f"it took {took:.2f} s")
        check_equal(sorted(roles(nodes).values()), ["client", "client", "server"], "roles")


def test_fourth_joins():
    """A fourth node is a client that all know within 1 s."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abc"]
        for node in nodes:
            node.start(*FAST)
        hub = take_roles(nodes)
        late = net.node("d")
        started = time.monotonic()
        late.start(*FAST, wait_ready=False).wait_ready()
        check(take_roles([*nodes, late]) is hub, "the hub changed because somebody joined")
        took = time.monotonic() - started
        check(took <= 1.0, f"it took {took:.2f} s")


def test_hub_killed():
    """A server killed with -9 is replaced in 4 s, sync goes on, and the old one returns as a client."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abc"]
        for node in nodes:
            node.start(*FAST)
        hub = take_roles(nodes)
        rest = [node for node in nodes if node is not hub]
        rest[0].write("before.txt", "before")
        settled(nodes)
        started = time.monotonic()
        hub.kill()
        heir = eventually(lambda: hub_of(rest), 10, lambda: f"a new hub; {roles(rest)}")
        took = time.monotonic() - started
        check(took <= 4.0, f"the new hub came after {took:.2f} s")
        for node in rest:
            node.write(f"after-{node.name}.txt", node.name)
        settled(rest)
        hub.start()
        check(take_roles(nodes) is heir, "the returning node took the group over")
        check_equal(roles(nodes)[hub.name], "client", "the returning node's role")
        tree = settled(nodes)
        check_equal(sorted(tree), ["after-%s.txt" % n for n in sorted(r.name for r in rest)] + ["before.txt"],
                    "files")


def test_hub_stops():
    """A server that is stopped hands over: a new one is there within 1 s, for SIGTERM, SIGINT and SIGHUP."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abcd"]
        for node in nodes:
            node.start(*FAST)
        for how in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            hub = take_roles(nodes)
            nodes.remove(hub)
            started = time.monotonic()
            took_to_end = hub.stop(how)
            check(took_to_end <= 2.0, f"{how.name}: it ended after {took_to_end:.2f} s")
            eventually(lambda: hub_of(nodes), 5, lambda: f"a new hub; {roles(nodes)}")
            took = time.monotonic() - started
            check(took <= 1.0, f"{how.name}: the new hub came after {took:.2f} s")


def test_lansync_stop():
    """`lansync stop` returns when the node is gone, and a client's goodbye is heard at once."""
    with Lan() as net:
        nodes = [net.node(name) for name in "ab"]
        for node in nodes:
            node.start(*FAST)
        hub = take_roles(nodes)
        client = next(node for node in nodes if node is not hub)
        check_equal(client.cli("stop").code, 0, "exit code of stop")
        check_equal(client.process.wait(0.5), 0, "exit code of the node")
        eventually(lambda: not [p for p in hub.status()["peers"] if p["state"] in ("connected", "known")], 1,
                   "the hub still lists a node that said goodbye")


def test_manual_server():
    """A node started with --role server is the hub wherever others are auto, also when it comes last."""
    with Lan() as net:
        a, b, c = (net.node(name) for name in "abc")
        a.start(*FAST)
        b.start(*FAST)
        take_roles([a, b])
        a.write("one.txt", "1")
        settled([a, b])
        c.start(*FAST, "--role", "server")
        eventually(lambda: hub_of([a, b, c]) is c, 15, lambda: f"c as hub; {roles([a, b, c])}")
        c.write("two.txt", "2")
        check_equal(sorted(settled([a, b, c])), ["one.txt", "two.txt"], "files")


def test_manual_proxy():
    """A node started with --role proxy becomes and stays hub, and keeps what is in its folder."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        b.write("mine.txt", "of the proxy")
        a.start(*FAST)
        b.start(*FAST, "--role", "proxy")
        eventually(lambda: roles([a, b]) == {"a": "client", "b": "proxy"}, 15, lambda: str(roles([a, b])))
        a.write("yours.txt", "of the client")
        check_equal(sorted(settled([a, b])), ["mine.txt", "yours.txt"], "files")


def test_manual_client_alone():
    """A node started with --role client never becomes hub: alone it is seeking, with a reason."""
    with Lan() as net:
        a = net.node("a").start(*FAST, "--role", "client")
        time.sleep(3)
        said = a.status()
        check_equal((said["role"], said["state"]), ("none", "seeking"), "role and state")
        check(said["reason"], "no reason is given")
        b = net.node("b").start(*FAST)
        eventually(lambda: roles([a, b]) == {"a": "client", "b": "server"}, 5, lambda: str(roles([a, b])))


def test_alone():
    """A node that hears nobody is server at once, works, and after 10 s says that it is alone."""
    with Lan() as net:
        a = net.node("a").start(*FAST)
        eventually(lambda: a.status()["role"] == "server", 2, "alone and not a server")
        a.write("x.txt", "x")
        a.wait(seconds=5)
        eventually(lambda: "doctor" in a.status()["reason"], 15,
                   lambda: f"a reason that names doctor: {a.status()['reason']!r}", every=0.2)
        check_equal(a.status()["state"], "in-sync", "state")


def test_why_role():
    """Every node says in words why it has its role."""
    with Lan() as net:
        nodes = [net.node(name).start(*FAST) for name in "ab"]
        take_roles(nodes)
        for node in nodes:
            check(len(node.status()["why_role"]) > 10, f"{node.name}: {node.status()['why_role']!r}")


def test_on_one_host():
    """Two nodes of one host find each other over loopback and sync; nothing leaves the host."""
    with Lan() as net:
        a = net.node("a")
        b = net.node("b")
        b.namespace = a.namespace
        tap = net.tap()
        tap.settimeout(0.1)
        a.start(*FAST, "--interface", "lo")
        b.start(*FAST, "--interface", "lo")
        take_roles([a, b])
        a.write("x.txt", "x")
        settled([a, b])
        frames = 0
        try:
            while frame := tap.recv(2000):
                frames += frame[12:14] == b"\x08\x00"
        except TimeoutError:
            pass
        check_equal(frames, 0, "IPv4 frames on the LAN")


def test_many():
    """Ten nodes started together settle on one hub and sync."""
    with Lan() as net:
        nodes = [net.node(f"n{i}") for i in range(10)]
        for node in nodes:
            node.start(*FAST, wait_ready=False)
        for node in nodes:
            node.wait_ready()
        take_roles(nodes, 15)
        for node in nodes:
            node.write(f"from-{node.name}.txt", node.name * 100)
        check_equal(len(settled(nodes, 60)), 10, "files")
        same_trees(nodes)


if __name__ == "__main__":
    main(__name__)

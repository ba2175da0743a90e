"""Networks as people have them: cables out and in, new addresses, several paths, firewalls, no network at all."""
import socket
import time

import netns
from cases import check, check_equal, eventually, main
from lan import Lan, settled
from networks_support import FAST, group, hub_of, one_hub, others, roles, within

BEACONS = 27800


def link(node, state, device="lan0"):
    netns.run("ip", "-n", node.namespace, "link", "set", device, state)


def input_drop(node, rule="meta l4proto udp"):
    """A firewall on that machine: what its packet filter drops never reaches a program there."""
    netns.run("ip", "netns", "exec", node.namespace, "nft", "-f", "-", stdin=(
        "add table inet wall\n"
        "add chain inet wall input { type filter hook input priority 0; policy accept; }\n"
        f"add rule inet wall input {rule} drop\n"))


def input_open(node):
    netns.run("ip", "netns", "exec", node.namespace, "nft", "delete", "table", "inet", "wall")


def doctor(node):
    return node.cli("doctor", "--json").json


def said_by_doctor(node):
    return " | ".join(f"{f['what']} -> {f['advice']}" for f in doctor(node)["findings"])


def test_cable_out():
    """A client's cable out for 20 s, and in another group the hub's: in sync within 5 s, and one hub."""
    with Lan() as one, Lan() as two:
        first, second = group(one, "abc"), group(two, "abc")
        hub, old_hub = hub_of(first), hub_of(second)
        client = others(first, hub)[0]
        term = hub.status()["term"]
        link(client, "down")
        # The cable of the other group's hub is pulled at the switch: its interface stays up, without carrier.
        netns.run("ip", "-n", two._switch, "link", "set", two._port(old_hub.name), "down")
        pulled = time.monotonic()
        hub.write("meanwhile.txt", "m")
        client.write("offline.txt", "o")
        rest = others(second, old_hub)
        eventually(lambda: one_hub(rest), 10, "a new hub of the rest")
        rest[0].write("meanwhile.txt", "m")
        eventually(lambda: "no network: lan0 is down, or its cable is out" in client.status()["reason"], 5,
                   lambda: f"a reason that names the cable: {client.status()['reason']!r}")
        settled(rest)
        new_hub = hub_of(rest)
        # Whom they heard a moment ago is silent now: no firewall's fault.
        while time.monotonic() - pulled < 20:
            for node in (client, old_hub):
                problems = [f for f in doctor(node)["findings"] if f["problem"]]
                said = " | ".join(f"{f['what']} -> {f['advice']}" for f in problems)
                check("its cable is out" in said, f"doctor on {node.name} does not name the cable: {said}")
                check("firewall" not in said and "incoming" not in said, f"doctor on {node.name}: {said}")
            time.sleep(0.5)

        link(client, "up")
        within(5, client, hub, "meanwhile.txt")
        check(one_hub(first), "one hub after a client's cable is back")
        check_equal((hub.status()["role"], hub.status()["term"]), ("server", term), "the hub and its term")
        eventually(lambda: hub.read("offline.txt") == b"o", 5, "what was written offline")
        said = {p["name"]: p["state"] for p in hub.status()["peers"]}
        check_equal(said[client.name], "connected", "the client among the hub's peers")

        netns.run("ip", "-n", two._switch, "link", "set", two._port(old_hub.name), "up")
        within(5, old_hub, new_hub, "meanwhile.txt")
        check(one_hub(second), "one hub after the old one's cable is back")
        settled(first)
        settled(second)


def test_flapping():
    """A link that goes down and up five times in ten seconds ends in one group with everything."""
    with Lan() as net:
        nodes = group(net, "abc")
        hub = hub_of(nodes)
        client = others(nodes, hub)[0]
        for turn in range(5):
            link(client, "down")
            client.write(f"down-{turn}.txt", "d")
            time.sleep(1.2)
            link(client, "up")
            hub.write(f"up-{turn}.txt", "u")
            time.sleep(0.8)
        within(5, client, hub, "up-4.txt")
        check_equal(len(settled(nodes)), 10, "files")
        check_equal(hub_of(nodes).name, hub.name, "hub")


def test_address_changed():
    """A client gets another address, then another subnet on both: in sync within 5 s, the hub stays."""
    with Lan() as net:
        nodes = group(net, "abc")
        hub = hub_of(nodes)
        client = others(nodes, hub)[0]
        term = hub.status()["term"]
        netns.run("ip", "-n", client.namespace, "addr", "flush", "dev", "lan0")
        netns.run("ip", "-n", client.namespace, "addr", "add", "10.77.0.77/24", "brd", "+", "dev", "lan0")
        hub.write("new-address.txt", "n")
        within(5, client, hub, "new-address.txt")
        said = {p["name"]: p for p in hub.status()["peers"]}[client.name]
        check_equal((said["state"], said["address"]), ("connected", "10.77.0.77"), "the client among the hub's peers")
        # A roam: the interface goes, and is back in another network in which everybody is by then.
        link(client, "down")
        netns.run("ip", "-n", client.namespace, "addr", "flush", "dev", "lan0")
        for number, node in enumerate(nodes):
            netns.run("ip", "-n", node.namespace, "addr", "add", f"10.99.0.{number + 1}/24", "brd", "+", "dev", "lan0")
        time.sleep(4)
        hub.write("roamed.txt", "r")
        link(client, "up")
        within(5, client, hub, "roamed.txt")
        check(one_hub(nodes), "one hub")
        check_equal((hub.status()["role"], hub.status()["term"]), ("server", term), "the hub and its term")
        settled(nodes)


def second_path(net, nodes):
    """A second network between them: another bridge, another subnet."""
    net._bridge(1)
    for number, node in enumerate(nodes):
        port = f"q-{node.name}"
        netns.run("ip", "link", "add", "lan1", "netns", node.namespace, "type", "veth", "peer", "name", port,
                  "netns", net._switch)
        netns.run("ip", "-n", node.namespace, "addr", "add", f"10.88.0.{number + 1}/24", "brd", "+", "dev", "lan1")
        netns.run("ip", "-n", node.namespace, "link", "set", "lan1", "up")
        netns.run("ip", "-n", net._switch, "link", "set", port, "master", "br1", "up")


def test_two_paths():
    """Two networks between the nodes: one peer each; when the one in use goes the other takes over at once."""
    with Lan() as net:
        nodes = [net.node(name) for name in "abc"]
        second_path(net, nodes)
        for node in nodes:
            node.start(*FAST)
        for node in nodes:
            node.wait(peers=2)
        hub = hub_of(nodes)
        client = others(nodes, hub)[0]
        term = hub.status()["term"]
        for node in nodes:
            names = sorted(p["name"] for p in node.status()["peers"])
            check_equal(names, sorted(n.name for n in others(nodes, node)), f"peers of {node.name}")
        time.sleep(1)
        for turn in range(2):
            address = {p["name"]: p["address"] for p in client.status()["peers"]}[hub.name]
            device = "lan0" if address.startswith("10.77.") else "lan1"
            link(client, "down", device)
            hub.write(f"turn-{turn}.txt", "t")
            within(5, client, hub, f"turn-{turn}.txt")
            address = {p["name"]: p["address"] for p in client.status()["peers"]}[hub.name]
            check_equal(address.startswith("10.88."), device == "lan0", f"the other path is used, {address}")
            link(client, "up", device)
            time.sleep(2)
        check_equal((hub_of(nodes).name, hub.status()["term"]), (hub.name, term), "hub and term")
        # At the switch nobody's interface goes: only silence tells.
        address = {p["name"]: p["address"] for p in client.status()["peers"]}[hub.name]
        port = ("p-" if address.startswith("10.77.") else "q-") + client.name
        netns.run("ip", "netns", "exec", net._switch, "nft", "-f", "-", stdin=(
            "add table bridge wall\nadd chain bridge wall forward { type filter hook forward priority 1; }\n"
            f"add rule bridge wall forward iifname {port} drop\nadd rule bridge wall forward oifname {port} drop\n"))
        hub.write("silent.txt", "s")
        within(5, client, hub, "silent.txt")
        check_equal((hub_of(nodes).name, hub.status()["term"]), (hub.name, term), "hub and term")


def test_incoming_dropped_on_the_hub():
    """Incoming UDP dropped on the hub: the other stays seeking and says why; `doctor` on both names it."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        input_drop(a)
        a.start(*FAST)
        eventually(lambda: a.status()["role"] == "server", 3, "a alone and not a server")
        b.start(*FAST)
        eventually(lambda: "a" in b.status()["reason"] and "--peer" in b.status()["reason"], 10,
                   lambda: f"a reason: {b.status()['reason']!r}")
        # It has no key of the group, so a is a stranger to it: after 3 s its role is as if a were not there.
        for _ in range(20):
            check_equal(b.status()["state"], "seeking", "state of b")
            time.sleep(0.2)
        reason = b.status()["reason"]
        check("27801" in reason and "27800" in reason, f"the ports in {reason!r}")
        for node in (a, b):
            findings = said_by_doctor(node)
            check("27801" in findings and "27800" in findings, f"doctor on {node.name}: {findings}")
        there, here = said_by_doctor(a), said_by_doctor(b)
        check("nft" in there and "inet wall input" in there, f"doctor on a: {there}")
        check("a" in here and "does not hear" in here, f"doctor on b: {here}")
        check("PROBLEM" in a.cli("doctor").stdout, "the text for people")
        input_open(a)
        eventually(lambda: sorted(roles([a, b]).values()) == ["client", "server"], 15,
                   lambda: f"one group once it is open: {roles([a, b])}")
        settled([a, b])


def test_incoming_dropped_on_the_second():
    """Incoming UDP dropped on a node that starts second: the running group goes on; `doctor` on both names it."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        group_of_two = [node.start(*FAST) for node in (a, b)]
        settled(group_of_two)
        hub = hub_of(group_of_two)
        input_drop(c)
        c.start(*FAST)
        time.sleep(6)
        check_equal(hub_of(group_of_two).name, hub.name, "the group's hub")
        findings = said_by_doctor(hub)
        check("c " in findings and "27801" in findings, f"doctor on the hub: {findings}")
        findings = said_by_doctor(c)
        check("27800" in findings and "inet wall input" in findings, f"doctor on c: {findings}")
        check("drops" in c.status()["reason"] or "firewall" in c.status()["reason"],
              f"reason on c: {c.status()['reason']!r}")
        input_open(c)
        eventually(lambda: one_hub([a, b, c]), 20, lambda: f"one hub once it is open: {roles([a, b, c])}")
        settled([a, b, c])


def output_drop(node, rule="meta l4proto { tcp, udp }"):
    """A firewall on that machine that lets nothing out."""
    netns.run("ip", "netns", "exec", node.namespace, "nft", "-f", "-", stdin=(
        "add table inet wall\n"
        "add chain inet wall output { type filter hook output priority 0; policy accept; }\n"
        f"add rule inet wall output {rule} drop\n"))


def test_own_firewall_is_not_in_sync():
    """A machine whose own firewall drops all that comes in, or all that goes out, is seeking; `wait` and doctor say why."""
    for shut, word, chain in ((input_drop, "incoming UDP 27800", "inet wall input udp dport"),
                              (output_drop, "outgoing UDP 27800", "inet wall output udp sport")):
        with Lan() as net:
            a, b = net.node("a"), net.node("b")
            shut(a)
            a.start(*FAST)
            eventually(lambda: a.status()["state"] == "seeking" and word in a.status()["reason"], 15,
                       lambda: f"a: {a.status()['state']} {a.status()['reason']!r}")
            waited = a.cli("wait", "--timeout", "1s")
            check(waited.code == 1 and word in waited.stderr, f"wait on a: {waited}")
            b.start(*FAST)
            found = a.cli("doctor")
            check_equal(found.code, 1, "exit of doctor on a")
            check("PROBLEM" in found.stdout and f"sudo nft insert rule {chain}" in found.stdout,
                  f"doctor on a: {found}")
            # The other machine is not told to let anything in: this one knows better.
            check("through on b" not in found.stdout, f"doctor on a: {found}")
            input_open(a)
            eventually(lambda: one_hub([a, b]), 45, lambda: f"one group once it is open: {roles([a, b])}")
            settled([a, b])
            eventually(lambda: a.status()["state"] == "in-sync", 40, lambda: f"a: {a.status()['reason']!r}")
            check_equal(a.cli("doctor").code, 0, "exit of doctor on a")


def test_wall_comes_up_midway():
    """A firewall that comes up in a running group: the one behind it and the ones before it each say so."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        for node in (a, b, c):
            node.start(*FAST)
        settled([a, b, c])
        hub = hub_of([a, b, c])
        shut = next(node for node in (a, b, c) if node.name != hub.name)
        input_drop(shut)
        eventually(lambda: shut.status()["state"] == "seeking" and "firewall" in shut.status()["reason"], 60,
                   lambda: f"{shut.name}: {shut.status()['state']} {shut.status()['reason']!r}")
        eventually(lambda: f"{shut.name} (" in hub.status()["reason"], 60,
                   lambda: f"{hub.name}: {hub.status()['reason']!r}")
        check_equal(hub.cli("doctor").code, 1, "exit of doctor on the hub")
        input_open(shut)
        eventually(lambda: one_hub([a, b, c]), 60, lambda: f"one hub once it is open: {roles([a, b, c])}")
        settled([a, b, c])


def test_docker_bridge():
    """A bridge of containers carries no beacon; `doctor` says why."""
    with Lan() as net:
        a = net.node("a")
        names = ("docker0", "br-0123456789ab", "virbr0")
        for number, name in enumerate(names):
            here = ("ip", "-n", a.namespace)
            netns.run(*here, "link", "add", name, "type", "bridge")
            netns.run(*here, "addr", "add", f"172.17.{number}.1/24", "brd", "+", "dev", name)
            # A container's end of the cable, so that the bridge has a carrier.
            netns.run(*here, "link", "add", f"veth{number}", "type", "veth", "peer", "name", f"inside{number}")
            netns.run(*here, "link", "set", f"veth{number}", "master", name, "up")
            netns.run(*here, "link", "set", f"inside{number}", "up")
            netns.run(*here, "link", "set", name, "up")
        with netns.Inside(a.namespace):
            taps = {name: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for name in
                    (*names, "lan0")}
        for name, tap in taps.items():
            tap.bind((name, 3))
            tap.setblocking(False)
        a.start(*FAST)
        time.sleep(2.5)
        seen = {}
        for name, tap in taps.items():
            count = 0
            try:
                while frame := tap.recv(2000):
                    count += frame[12:14] == b"\x08\x00" and b"LSYN" in frame
            except BlockingIOError:
                pass
            tap.close()
            seen[name] = count
        check(seen.pop("lan0") >= 4, "beacons on lan0")
        check_equal(seen, dict.fromkeys(names, 0), "beacons on bridges of containers")
        said = {i["name"]: i for i in doctor(a)["interfaces"]}
        for name in names:
            check(not said[name]["used"] and "containers" in said[name]["why_not"], f"{said[name]}")


def test_no_network():
    """No IPv4 at all is said at once, with what to do; the node finds the others once there is a network."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        link(a, "down")
        netns.run("ip", "-n", a.namespace, "link", "set", "lo", "down")
        a.start(*FAST)
        reason = a.status()["reason"]
        check("no network: lan0 is down, or its cable is out" in reason, f"reason: {reason!r}")
        check("no network" in a.log(), f"log: {a.log()!r}")
        check("no network" in said_by_doctor(a), f"doctor: {said_by_doctor(a)}")
        b.start(*FAST)
        b.wait()
        link(a, "up")
        eventually(lambda: one_hub([a, b]), 5, "one hub once there is a network")
        settled([a, b])
        c = net.node("c").start(*FAST, "--interface", "wlan7")
        reason = c.status()["reason"]
        check("wlan7" in reason, f"reason with an interface that is not there: {reason!r}")
        check("wlan7" in said_by_doctor(c), f"doctor: {said_by_doctor(c)}")


def test_short_packets():
    """A member whose interface takes 1280 bytes a packet syncs with members that send 1500."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        netns.run("ip", "-n", c.namespace, "link", "set", "lan0", "mtu", "1280")
        for number in range(400):
            a.write(f"a-directory-with-a-long-name/and-another/file-number-{number}.txt", f"text {number}")
        for number in range(400):
            c.write(f"of-c/a-directory-with-a-long-name/file-number-{number}.txt", f"other {number}")
        a.write("large.bin", b"0123456789" * 300_000)
        for node in (a, b, c):
            node.start(*FAST)
        found = settled([a, b, c])
        check_equal(len(found), 805, "files and directories")
        check("MTU" not in said_by_doctor(c), f"doctor of c: {said_by_doctor(c)}")


def test_too_short_packets():
    """An interface that takes less than our packets is named by its own doctor, with what to do."""
    with Lan() as net:
        a = net.node("a")
        netns.run("ip", "-n", a.namespace, "link", "set", "lan0", "mtu", "1000")
        a.start(*FAST)
        said = said_by_doctor(a)
        check("lan0: its MTU is 1000" in said and "mtu 1500" in said, f"doctor: {said}")


def mask(node, address):
    """Gives the machine this address, mask and all."""
    netns.run("ip", "-n", node.namespace, "addr", "flush", "dev", "lan0")
    netns.run("ip", "-n", node.namespace, "addr", "add", address, "brd", "+", "dev", "lan0")


def test_unequal_masks():
    """10.77.0.1/24 and 10.77.0.2/16 on one wire find each other, and doctor names the masks on both."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        mask(b, "10.77.0.2/16")
        for node in (a, b):
            node.start(*FAST)
        a.write("x.txt", "x")
        settled([a, b])
        for node, other in ((a, "10.77.0.2"), (b, "10.77.0.1")):
            eventually(lambda: "net mask" in said_by_doctor(node), 15, lambda: f"doctor: {said_by_doctor(node)}", 0.5)
            check(other in said_by_doctor(node), f"doctor does not say whose: {said_by_doctor(node)}")


def test_address_outside_the_mask():
    """A node whose net mask puts the other outside takes its role alone, and doctor says why nothing arrives."""
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        mask(b, "10.77.5.2/16")
        for node in (a, b):
            node.start(*FAST)
        eventually(lambda: a.status()["state"] == "in-sync", 10, lambda: f"a: {a.status()}")
        eventually(lambda: "nothing that is sent from here arrives" in said_by_doctor(a), 15,
                   lambda: f"doctor: {said_by_doctor(a)}", 0.5)
        check("10.77.5.2" in said_by_doctor(a), f"doctor does not say whose: {said_by_doctor(a)}")


def test_other_broadcast_address():
    """Machines with another broadcast address in the same subnet, and with a second address, find each other."""
    with Lan() as net:
        a, b, c = net.node("a"), net.node("b"), net.node("c")
        netns.run("ip", "-n", b.namespace, "addr", "flush", "dev", "lan0")
        netns.run("ip", "-n", b.namespace, "addr", "add", "10.77.0.2/24", "brd", "10.77.0.0", "dev", "lan0")
        netns.run("ip", "-n", c.namespace, "addr", "add", "172.20.1.3/28", "dev", "lan0")
        for node in (a, b, c):
            node.start(*FAST)
        a.write("x.txt", "x")
        settled([a, b, c])


if __name__ == "__main__":
    main(__name__)

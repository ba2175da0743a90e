"""A network that falls apart and comes together again: one group, every byte, then silence."""
import time

import tree
from cases import check, check_equal, eventually, main
from conflicts_test import eventually_one_group
from lan import Lan, group, settled


def test_partition_of_twenty_seconds():
    """Split for 20 s with edits on both sides: the larger side's hub stays, nothing is lost, then silence."""
    with Lan() as net:
        nodes = group(net, "abcde")
        nodes[0].write("shared.txt", "base")
        nodes[0].write("big.bin", tree.payload(2_000_000, "base"))
        settled(nodes)
        hub = next(node for node in nodes if node.status()["role"] == "server")
        rest = [node for node in nodes if node is not hub]
        small, large = [hub, rest[0]], rest[1:]
        net.partition(small, large)
        started = time.monotonic()
        said = {}
        for turn in range(8):
            for side, authors in (("small", small), ("large", large)):
                author = authors[turn % len(authors)]
                said[f"{side}-{turn}.txt"] = data = tree.payload(30_000, f"{side} {turn}")
                author.write(f"{side}-{turn}.txt", data)
            time.sleep(1.0)
        small[1].write("shared.txt", "of the small side")
        large[0].write("shared.txt", "of the large side")
        small[0].write("edited-here.txt", "x")
        large[1].remove("big.bin")
        settled(small)
        settled(large)
        new_hub = next(node for node in large if node.status()["role"] == "server")
        time.sleep(max(0.0, 20 - (time.monotonic() - started)))
        net.heal()
        found = eventually_one_group(nodes)
        check_equal(nodes[0].status()["hub"]["name"], new_hub.name, "the hub, of the larger side")
        servers = [node.name for node in nodes if node.status()["role"] == "server"]
        check_equal(servers, [new_hub.name], "servers")
        for name, data in said.items():
            check(nodes[0].read(name) == data, f"{name} is lost or changed")
        kept = {nodes[0].read(path) for path in found if path.startswith("shared")}
        check_equal(kept, {b"of the small side", b"of the large side"}, "both versions of shared.txt")
        check("big.bin" not in found, "a delete was undone")
        before = [node.counter("payload_sent") for node in nodes]
        time.sleep(10)
        check_equal([node.counter("payload_sent") for node in nodes], before, "payload bytes in 10 s of silence")


def test_short_gaps():
    """Gaps of a second, again and again during a transfer, delay it and nothing else."""
    with Lan() as net:
        nodes = group(net, "ab")
        net.rate("80mbit")
        data = tree.payload(20_000_000, "gaps")
        nodes[0].write("big.bin", data)
        terms = []
        for _ in range(3):
            time.sleep(0.7)
            net.partition(["a"], ["b"])
            time.sleep(1.0)
            net.heal()
            terms.append(nodes[0].status()["term"])
        settled(nodes, 60)
        check(nodes[1].read("big.bin") == data, "the content differs")
        check_equal(len(set(terms)), 1, f"terms {terms}: a gap of one second is no lost hub")
        received = sum(node.counter("payload_received") for node in nodes)
        check(received <= len(data) * 1.05 + (3 << 20), f"{received} bytes were received for {len(data)}")


def test_one_way():
    """A node whose packets to the others are lost, while it hears them, does no harm and returns."""
    with Lan() as net:
        nodes = group(net, "abc")
        clients = [node for node in nodes if node.status()["role"] == "client"]
        mute, other = clients
        hub = next(node for node in nodes if node not in clients)
        net.block(f"ip saddr {net.address(mute.name)}")
        hub.write("while-mute.txt", "w")
        eventually(lambda: other.exists("while-mute.txt"), 10, "the others' sync")
        time.sleep(5)
        check_equal(other.status()["hub"]["name"], hub.name, "the others' hub")
        mute.write("from-mute.txt", "m")
        net.unblock()
        found = eventually_one_group(nodes)
        check_equal(sorted(found), ["from-mute.txt", "while-mute.txt"], "files")
        check_equal(hub.status()["role"], "server", "the old hub's role")


def test_hub_cut_off():
    """A hub that is cut off and comes back joins the group that went on without it."""
    with Lan() as net:
        nodes = group(net, "abc")
        nodes[0].write("x.txt", "1")
        settled(nodes)
        hub = next(node for node in nodes if node.status()["role"] == "server")
        rest = [node for node in nodes if node is not hub]
        net.partition([hub], rest)
        eventually(lambda: "server" in [node.status()["role"] for node in rest], 6, "a new hub")
        rest[0].write("x.txt", "2")
        settled(rest)
        net.heal()
        eventually_one_group(nodes)
        check_equal(hub.status()["role"], "client", "the old hub's role")
        check_equal(hub.read("x.txt"), b"2", "x.txt on the old hub")


if __name__ == "__main__":
    main(__name__)

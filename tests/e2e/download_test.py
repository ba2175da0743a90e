"""download: one file, now, from a named node or from whoever holds it, into the folder or elsewhere."""
import hashlib
import os
import stat
import threading
import time

from cases import check, check_equal, eventually, main
from lan import FAST, Lan, group
from tree import payload

FIELDS = ["carrier", "md5", "mtime", "name", "peer", "seconds", "size"]


def in_sync(*nodes):
    for _ in range(2):
        for node in nodes:
            node.wait(peers=len(nodes) - 1)


def ok(outcome):
    check_equal(outcome.code, 0, str(outcome))
    return outcome


def read(path):
    with open(path, "rb") as file:
        return file.read()


def three(net, content, *more):
    """A hub and two clients, in sync, with `f` on all; the hub first."""
    nodes = [net.node(name) for name in "abc"]
    nodes[0].write("f", content)
    nodes[0].start(*FAST, "--role", "server", *more)
    for node in nodes[1:]:
        node.start(*FAST, *more)
    in_sync(*nodes)
    return nodes


def tmp_of(node):
    return [name for name in os.listdir(node.at(".lansync/tmp"))]


def test_elsewhere():
    """Every node downloads from every other, straight, to a place of the caller's"""
    with Lan() as net:
        content = payload(3_000_000, 1)
        nodes = three(net, content)
        md5 = hashlib.md5(content).hexdigest()
        name = "täst \"one\" two"
        nodes[1].write(name, b"x" * 10)
        in_sync(*nodes)
        for asker in nodes:
            for holder in nodes:
                out = os.path.join(asker.home, "out")
                if asker is holder:
                    refused = asker.cli("download", "f", "--peer", holder.name, "--output", out)
                    check_equal(refused.code, 1, str(refused))
                    continue
                others = [n for n in nodes if n not in (asker, holder)]
                sent = [n.counter("payload_sent") for n in others]
                said = ok(asker.cli("download", "f", "--peer", holder.name, "--output", out,
                                    "--json")).json
                check_equal(sorted(said), FIELDS, "fields")
                check_equal((said["name"], said["size"], said["md5"], said["peer"]),
                            ("f", len(content), md5, holder.name), "what it says")
                check(said["carrier"] in ("enet", "lane", "tcp"), f"carrier {said['carrier']}")
                check(read(out) == content, "the content")
                check_equal(os.stat(out).st_mtime_ns, os.stat(asker.at("f")).st_mtime_ns, "mtime")
                check_equal([n.counter("payload_sent") for n in others], sent, "sent by the third")
                os.remove(out)
        out = os.path.join(nodes[2].home, "out")
        os.mkdir(out)
        told = ok(nodes[2].cli("FileDownload", name, "--output", out)).stdout
        check_equal(read(os.path.join(out, name)), b"x" * 10, "below a directory")
        check("md5" in told and "carrier" in told and "seconds" in told, told)
        for node in nodes:
            eventually(lambda: not tmp_of(node), 10, lambda: f"nothing left behind: {tmp_of(node)}")


def test_output_takes_nothing_away():
    """--output onto a pipe, a link, a node's own place, or where nothing can be: refused, and nothing is fetched or lost"""
    with Lan() as net:
        a, b = group(net, "ab")
        a.write("f", "content")
        in_sync(a, b)
        pipe, link = os.path.join(net.root, "pipe"), os.path.join(net.root, "link")
        os.mkfifo(pipe)
        os.symlink("elsewhere", link)
        own = b.at(".lansync/index.db")
        before = open(own, "rb").read(16)
        for out in (pipe, link, own, b.at(".lansync/tmp/x"), os.path.join(net.root, "no/such/place")):
            outcome = b.cli("download", "f", "--output", out)
            check_equal(outcome.code, 1, f"exit code for {out}")
            check_equal(outcome.stderr.count("\n"), 1, f"lines about {out}: {outcome.stderr!r}")
        check(stat.S_ISFIFO(os.lstat(pipe).st_mode) and os.path.islink(link), "they are there yet")
        check_equal(open(own, "rb").read(16), before, "the index")
        check_equal(os.listdir(b.at(".lansync/tmp")), [], "tmp")
        check_equal(b.counter("payload_received") - 7, 0, "content fetched again")


def test_into_the_folder():
    """On an on-demand node it lands in the folder, elsewhere the content that is there is fetched anew"""
    with Lan() as net:
        content = payload(2_000_000, 2)
        nodes = three(net, content)
        some = net.node("some")
        some.start(*FAST, "--on-demand")
        in_sync(*nodes, some)
        refused = nodes[0].cli("download", "f", "--peer", "some")
        check(refused.code == 1 and "some" in refused.stderr, f"some holds nothing: {refused}")
        out = os.path.join(some.home, "out")
        ok(some.cli("download", "f", "--output", out))
        check(read(out) == content and some.read("f") is None, "elsewhere only")
        said = ok(some.cli("download", "f", "--peer", "b", "--json")).json
        check_equal(said["peer"], "b", "peer")
        check(some.read("f") == content, "the content in the folder")
        check_equal(some.status()["folder"]["absent_files"], 0, "absent files")
        before = nodes[1].counter("payload_received")
        said = ok(nodes[1].cli("download", "f", "--json")).json
        check(nodes[1].counter("payload_received") - before >= len(content), "it was fetched anew")
        check(said["peer"] != "b", f"from {said['peer']}")
        check_equal(nodes[1].cli("download", "nothing").code, 1, "a name that is not there")
        check_equal(nodes[1].cli("download", "f", "--peer", "nobody").code, 1, "a peer that is not there")
        check_equal(nodes[1].cli("download", "../f").code, 2, "no name")


def test_alone():
    """A node that is alone reads what it has anew, and says that nobody else has the rest"""
    with Lan() as net:
        alone = net.node("alone")
        alone.write("f", "content")
        alone.start(*FAST)
        alone.wait()
        said = ok(alone.cli("download", "f", "--json")).json
        check_equal((said["peer"], said["carrier"]), ("alone", "local"), "from")
        out = os.path.join(alone.home, "out")
        ok(alone.cli("download", "f", "--output", out))
        check_equal(read(out), b"content", "the copy")


def test_holder_dies():
    """A peer that dies in the middle is a clear error and leaves the target as it was; others take over"""
    with Lan() as net:
        content = payload(40_000_000, 3)
        nodes = three(net, content)
        a, b, c = nodes
        net.rate("100mbit")
        out = os.path.join(c.home, "out")
        with open(out, "wb") as file:
            file.write(b"before")
        answers = []

        def ask(*more):
            answers.append(c.cli("download", "f", "--output", out, *more, timeout=120))

        before = c.counter("payload_received")
        asking = threading.Thread(target=ask, args=("--peer", "b"))
        asking.start()
        eventually(lambda: c.counter("payload_received") - before > 1_000_000, 30, "content on its way")
        b.kill()
        asking.join(60)
        check(answers[0].code == 1 and "b" in answers[0].stderr, f"the peer died: {answers[0]}")
        check_equal(read(out), b"before", "the target")
        check_equal(sorted(n for n in os.listdir(c.home) if n.startswith("out")), ["out"], "leftovers")
        ok(c.cli("download", "f", "--output", out, timeout=120))
        check(read(out) == content, "the content, from another")


def test_replaced_meanwhile():
    """A file that is replaced while it is downloaded comes whole, the old one or the new one"""
    with Lan() as net:
        old, new = payload(30_000_000, 4), payload(30_000_000, 5)
        a, b, c = three(net, old)
        net.rate("100mbit")
        out = os.path.join(c.home, "out")
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(c.cli("download", "f", "--output", out, timeout=150)))
        before = c.counter("payload_received")
        asking.start()
        eventually(lambda: c.counter("payload_received") - before > 1_000_000, 30, "content on its way")
        temp = a.at(".new")
        with open(temp, "wb") as file:
            file.write(new)
        os.rename(temp, a.at("f"))
        asking.join(150)
        ok(answers[0])
        check(read(out) in (old, new), "what came is neither the old nor the new file")
        net.rate(None)
        in_sync(a, b, c)


def test_carriers():
    """--enet, --udp and --tcp choose the way; a way that is not open leaves ENet, which is said"""
    with Lan() as net:
        nodes = three(net, payload(8_000_000, 6))
        for option, carrier in (("--enet", "enet"), ("--udp", "lane"), ("--tcp", "tcp")):
            said = ok(nodes[2].cli("download", "f", option, "--peer", "b", "--json")).json
            check(said["carrier"] in (carrier, "enet"), f"carrier with {option}: {said['carrier']}")
        check_equal(nodes[2].cli("download", "f", "--udp", "--tcp").code, 2, "two ways at once")


if __name__ == "__main__":
    main(__name__)

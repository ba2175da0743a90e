"""Parts of tools/bench: large content on lines of a known speed, with loss, over a long way, shared with others,
from several holders, as an ordinary user. Each figure stands beside what the line allows.
"""
import os
import re
import socket
import subprocess
import threading
import time

import netns
from bench_support import GROUP, PASSWORD, large_file, options, start_pair, stop, timed_resume, until

# What a chunk takes in a frame: 14 Ethernet, 20 IP, 8 UDP, 42 of ours (docs/protocol.md), 1000 of the file.
CHUNK_SHARE = 1000 / (14 + 20 + 8 + 42 + 1000)


def rate_of(node, least, most, seconds=300):
    """Payload bytes a second between the first `least` bytes and `most`."""
    until(lambda: node.counter("payload_received") >= least, seconds, "the transfer begins")
    first, began = node.counter("payload_received"), time.monotonic()
    until(lambda: node.counter("payload_received") >= most, seconds, "the transfer goes on")
    return (node.counter("payload_received") - first) / (time.monotonic() - began)


LINE = 125e6  # bytes a second of 1 Gbit/s
USER = 65534  # nobody


def shaped(net, args, size_mib, suffix, loss=0, trip_ms=0):
    """The rate of a transfer alone over 1 Gbit/s, with that loss each way and that round trip, in bytes a second."""
    first, second = start_pair(net, args, suffix)
    try:
        second.cli("pause")
        large_file(first.at("large.bin"), size_mib)
        first.wait_indexed(seconds=300)
        net.rate("1gbit")
        net.loss(loss)
        net.delay(second.name, trip_ms / 2)
        second.cli("resume")
        size = size_mib << 20
        return rate_of(second, size // 20, size * 19 // 20)
    finally:
        net.delay(second.name, 0)
        net.loss(0)
        net.rate(None)
        stop(first, second)


def line_row(table, name, rate, possible, least, aim, note=""):
    table.add(name, rate / 1e6, "MB/s", f">= {least * possible / 1e6:.1f} ({least:.0%} of what is possible; aim {aim:.0%})",
              rate >= least * possible, f"{rate / possible:.1%} of {possible / 1e6:.1f} MB/s{note}")


def bench_loss(net, args, table):
    mib = 128 if args.quick else 1024
    for loss, least, aim in ((0, 0.97, 0.99), (1, 0.90, 0.97), (5, 0.90, 0.97)):
        # A share of the reports and of what is resent is lost as well: that much arrives of what is sent.
        rate = shaped(net, args, mib, f"-g{loss}", loss=loss)
        line_row(table, f"{mib} MiB over 1 Gbit/s, {loss} % loss each way", rate, LINE * CHUNK_SHARE * (1 - loss / 100),
                 least, aim)


def bench_trip(net, args, table):
    mib = 256 if args.quick else 1024
    for trip in (20, 80):
        rate = shaped(net, args, mib, f"-t{trip}", trip_ms=trip)
        line_row(table, f"{mib} MiB over 1 Gbit/s, {trip} ms round trip", rate, LINE * CHUNK_SHARE, 0.80, 0.95,
                 "; the relay takes its share of the same CPUs")


class TcpFlow:
    """One TCP CUBIC flow from one host to another, as fast as it goes."""

    def __init__(self, net, source, target):
        self.received = 0
        with netns.Inside(net.host(target)):
            listener = socket.create_server((net.address(target), 5001))
        with netns.Inside(net.host(source)):
            self._out = socket.socket()
        self._out.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        self._out.connect((net.address(target), 5001))
        self._in, _ = listener.accept()
        listener.close()
        for work in (self._send, self._receive):
            threading.Thread(target=work, daemon=True).start()

    def _send(self):
        block = bytes(1 << 20)
        try:
            while True:
                self._out.sendall(block)
        except OSError:
            pass

    def _receive(self):
        block = bytearray(1 << 20)
        while got := self._in.recv_into(block):
            self.received += got

    def close(self):
        self._out.shutdown(socket.SHUT_RDWR)
        self._in.shutdown(socket.SHUT_RDWR)


def together(*counters, seconds):
    """The rates of several transfers over the same seconds."""
    before, began = [ask() for ask in counters], time.monotonic()
    time.sleep(seconds)
    after, span = [ask() for ask in counters], time.monotonic() - began
    return [(later - sooner) / span for later, sooner in zip(after, before)]


def bench_share(net, args, table):
    """Two lanes over one line, then a lane beside a TCP flow: each a quarter of what it could have, at least."""
    seconds, mib = (3, 384) if args.quick else (6, 768)
    first, second = start_pair(net, args, "-f1")
    other_first = net.second_node("n3-f1", "n1-f1", os.path.join(net.root, "n3"))
    other_second = net.second_node("n4-f1", "n2-f1", os.path.join(net.root, "n4"))
    more = ("--group", GROUP + "-2")
    other_first.start(*options(args, *more), password=PASSWORD).wait()
    other_second.start(*options(args, *more), password=PASSWORD).wait(peers=1)
    large_file(os.path.join(net.root, "large.bin"), mib)
    for source, target in ((first, second), (other_first, other_second)):
        target.cli("pause")
        os.link(os.path.join(net.root, "large.bin"), source.at("large.bin"))
        source.wait_indexed(seconds=300)
    net.rate("1gbit")
    possible, got = LINE * CHUNK_SHARE, {}
    for node in (second, other_second):
        node.cli("resume")
    for node in (second, other_second):
        until(lambda: node.counter("payload_received") > 30 << 20, 60, "both transfers run")
    rates = together(*(lambda n=n: n.counter("payload_received") for n in (second, other_second)), seconds=seconds)
    got["two lanes over one 1 Gbit/s line"] = ([rate / possible for rate in rates], "and the other lane")
    stop(second, other_second, other_first)
    net.rate(None)
    second.start(*options(args), password=PASSWORD)
    until(lambda: second.exists("large.bin"), 300, "the file arrives unshaped")
    second.cli("pause")
    large_file(first.at("again.bin"), mib)
    first.wait_indexed(seconds=300)
    net.rate("1gbit")
    flow = TcpFlow(net, "n1-f1", "n2-f1")
    time.sleep(1)
    before = second.counter("payload_received")
    second.cli("resume")
    until(lambda: second.counter("payload_received") > before + (30 << 20), 60, "the lane runs beside TCP")
    rates = together(lambda: second.counter("payload_received"), lambda: flow.received, seconds=seconds)
    flow.close()
    got["a lane and a TCP CUBIC flow over one 1 Gbit/s line"] = (
        [rates[0] / possible, rates[1] / (LINE * 1448 / 1514)], "and TCP")
    for name, ((one, another), words) in got.items():
        table.add(name, 100 * min(one, another), "% (the lesser)", ">= 25 % each", min(one, another) >= 0.25,
                  f"{one:.0%} {words} {another:.0%} of what each had alone; the line's queue: 50 ms")
    net.rate(None)
    stop(first, second)


def bench_user(net, args, table):
    """An ordinary user, socket buffers as Debian's rmem_max (208 KiB) allows them."""
    mib = 128 if args.quick else 1024
    preload = os.path.join(net.root, "small_buffers.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "small_buffers.cpp")
    netns.run("c++", "-shared", "-fPIC", "-O2", "-std=c++20", "-o", preload, source, "-ldl")
    os.chmod(net.root, 0o755)
    nodes = [net.node("n1-u"), net.node("n2-u")]
    for node in nodes:
        os.makedirs(node.path, mode=0o700)
        for path in (node.path, node.home):
            os.chown(path, USER, USER)
        node.prefix = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all")
        node.start(*options(args), password=PASSWORD, environment={"LD_PRELOAD": preload})
        node.wait(peers=nodes.index(node))
    first, second = nodes
    second.cli("pause")
    for turn, shape in enumerate((None, "1gbit")):
        name = f"large-{turn}.bin"
        large_file(first.at(name), mib)
        os.chown(first.at(name), USER, USER)
        first.wait_indexed(seconds=300)
        net.rate(shape)
        if shape:
            before, size = second.counter("payload_received"), mib << 20
            second.cli("resume")
            rate = rate_of(second, before + size // 20, before + size * 19 // 20)
            line_row(table, f"{mib} MiB over 1 Gbit/s, an ordinary user, 208 KiB of socket buffers", rate,
                     LINE * CHUNK_SHARE, 0.97, 0.99)
        else:
            took = timed_resume(second)
            said = subprocess.run(["ip", "netns", "exec", second.namespace, "ss", "-uanmH"], capture_output=True, text=True)
            buffers = sorted({int(size) // 1024 for size in re.findall(r"rb(\d+)", said.stdout)})
            table.add(f"{mib} MiB, indexed at its source, an ordinary user, 208 KiB of socket buffers", mib / took,
                      "MiB/s", note=f"{took:.2f} s; the kernel's own count of receive buffers: {buffers} KiB")
        second.cli("pause")
        net.rate(None)
    stop(*nodes)


def bench_holders(net, args, table):
    """One file from one and from three holders, 100 Mbit/s each."""
    mib = 64 if args.quick else 512
    holders = [net.node(f"h{i}") for i in range(3)]
    for node in holders:
        node.start(*options(args), password=PASSWORD).wait()
    large_file(holders[0].at("large.bin"), mib)
    for node in holders * 2:
        node.wait(peers=2, seconds=300)
    for node in holders:
        netns.run("tc", "-n", node.namespace, "qdisc", "add", "dev", "lan0", "root", "tbf", "rate", "100mbit",
                  "burst", "64k", "latency", "50ms")
    took = {}
    for count in (3, 1):
        late = net.node(f"late{count}")
        if count == 1:
            for node in holders:
                if node.status()["role"] != "server":
                    stop(node)
        started = time.monotonic()
        late.start(*options(args), password=PASSWORD)
        until(lambda: late.exists("large.bin"), 900, "the file arrives")
        took[count] = time.monotonic() - started
        stop(late)
    for node in holders:
        if node.running:
            stop(node)
    gain = took[1] / took[3]
    table.add(f"{mib} MiB from three holders at 100 Mbit/s each", gain, "x one", ">= 2.7 (aim 2.95)", gain >= 2.7,
              f"{took[3]:.1f} s, from one {took[1]:.1f} s, starting and joining included")

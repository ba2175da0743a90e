"""Parts of tools/bench: small files, one large file, many files, roles. Each prints its rows into the table."""
import hashlib
import os
import shutil
import subprocess
import time

from bench_peers import Sshd, syncthing_row
from bench_support import (PASSWORD, TICKS, Watch, cpu_seconds, large_file, must_be_equal, options, pull, resident_mb,
                           small_files, start_pair, stop, until, wake_ups)


def bench_small(net, args, table):
    count = 1000 if args.quick else 10000
    source = os.path.join(net.root, "small")
    small_files(source, count)
    sshd = Sshd(net, args)
    try:
        theirs, their_cpu = sshd.best_of_two(source, os.path.join(net.root, "small-copy"))
    finally:
        sshd.close()
    table.add(f"{count} files of 4 KiB: rsync over ssh", theirs, "s", note=f"CPU {their_cpu:.2f} s at both ends")
    syncthing_row(net, args, table, f"{count} files of 4 KiB", source, lambda took: (took, "s"))
    started = time.monotonic()
    subprocess.run(["cp", "-r", source, os.path.join(net.root, "small-cp")], check=True)
    floor = time.monotonic() - started
    shutil.rmtree(os.path.join(net.root, "small-cp"))

    def fill(node):
        for name in os.listdir(source):
            shutil.copytree(os.path.join(source, name), node.at(name))

    best = min(pull(net, args, fill, f"-s{turn}") for turn in range(2))
    ours, cpu, _ = best
    table.add(f"{count} files of 4 KiB: lansync", ours, "s", f"<= {1.2 * theirs:.2f} s (1.2 x rsync; aim 0.9)",
              ours <= 1.2 * theirs,
              f"{ours / theirs:.2f} x rsync; CPU {cpu[0]:.2f} + {cpu[1]:.2f} s; limit: cp -r takes {floor:.2f} s")
    first, second = start_pair(net, args, "-e")
    started = time.monotonic()
    os.rename(source, first.at("all"))
    first.wait(peers=1, seconds=300)
    second.wait(peers=1, seconds=300)
    table.add(f"{count} files of 4 KiB: from being moved in to verified", time.monotonic() - started, "s",
              note="both running, --settle 0ms: noticing, hashing and publishing included")
    must_be_equal(first, second)
    stop(first, second)


def bench_large(net, args, table):
    mib = 128 if args.quick else 1024
    source = os.path.join(net.root, "large")
    blob = large_file(os.path.join(source, "large.bin"), mib)
    started = time.monotonic()
    hashlib.md5(blob).digest()
    floor = (time.monotonic() - started) * mib / 64
    sshd = Sshd(net, args)
    try:
        theirs, their_cpu = sshd.best_of_two(source, os.path.join(net.root, "large-copy"))
    finally:
        sshd.close()
    table.add(f"one file of {mib} MiB: rsync over ssh", mib / theirs, "MiB/s",
              note=f"{theirs:.2f} s, CPU {their_cpu:.2f} s at both ends")
    syncthing_row(net, args, table, f"one file of {mib} MiB", source, lambda took: (mib / took, "MiB/s"))
    runs = []
    for turn in range(1 if args.profile else 2):
        runs.append(pull(net, args, lambda node: shutil.copy(os.path.join(source, "large.bin"),
                                                             node.at("large.bin")), f"-l{turn}"))
    ours, cpu, (chunks, resent) = min(runs)
    least, aim = (0.35, 0.5) if args.carrier == "enet" else (1.5, 2.3)
    table.add(f"one file of {mib} MiB, indexed at its source: lansync, --carrier {args.carrier}", mib / ours, "MiB/s",
              f">= {least * mib / theirs:.0f} ({least} x rsync; aim {aim})", theirs / ours >= least,
              f"{theirs / ours:.2f} x rsync; {ours:.2f} s, CPU source {cpu[0]:.2f} + receiver {cpu[1]:.2f} s; "
              f"{chunks} chunks, {resent} resent; limit: one thread's MD5 takes {floor:.2f} s")
    table.add("CPU a GiB at both ends: lansync", sum(cpu) * 1024 / mib, "s",
              note=f"rsync over ssh: {their_cpu * 1024 / mib:.2f} s")
    runs = []
    for turn in range(1 if args.profile else 2):
        first, second = start_pair(net, args, f"-h{turn}")
        os.makedirs(os.path.join(net.root, "stage"), exist_ok=True)
        staged = os.path.join(net.root, "stage", "large.bin")
        shutil.copy(os.path.join(source, "large.bin"), staged)
        started = time.monotonic()
        os.rename(staged, first.at("large.bin"))
        until(lambda: second.exists("large.bin"), 300, "the file arrives")
        runs.append(time.monotonic() - started)
        stop(first, second)
    shutil.rmtree(source)
    hashed = min(runs)
    table.add(f"one file of {mib} MiB, from being there to verified there", mib / hashed, "MiB/s",
              f">= {mib / theirs:.0f} (rsync; aim 1.5)" if args.carrier != "enet" else None,
              hashed <= theirs if args.carrier != "enet" else None,
              f"{theirs / hashed:.2f} x rsync; {hashed:.2f} s, hashing at the source included")


def bench_many(net, args, table):
    count = 10000 if args.quick else 100000
    node = net.node("n1-m")
    small_files(node.path, count, size=100)
    started = time.monotonic()
    node.start(*options(args), password=PASSWORD).wait(seconds=300)
    table.add(f"{count} files: first start to in-sync", time.monotonic() - started, "s", note="all are hashed")
    table.add(f"{count} files: resident after the first start", resident_mb(node.process.pid), "MB",
              "<= 150 MB", resident_mb(node.process.pid) <= 150)
    node.stop()
    started = time.monotonic()
    node.start(*options(args), password=PASSWORD).wait(seconds=300)
    took = time.monotonic() - started
    table.add(f"{count} files: warm start to in-sync", took, "s", "<= 3 s", took <= 3,
              "alone: up to 1 s of it is the search for others")
    rss = resident_mb(node.process.pid)
    table.add(f"{count} files: resident after a warm start", rss, "MB", "<= 150 MB", rss <= 150)
    idle(node, args, table, f"{count} files")
    stop(node)


def idle(node, args, table, label):
    time.sleep(2)
    seconds = 5 if args.quick else 20
    watch = Watch(node.path)
    pid = node.process.pid
    cpu, wakes = cpu_seconds(pid), wake_ups(pid)
    time.sleep(seconds)
    cpu, wakes = cpu_seconds(pid) - cpu, wake_ups(pid) - wakes
    events = watch.events()
    watch.close()
    table.add(f"{label}: idle CPU", 100 * cpu / seconds, "%", "<= 0.5 %", 100 * cpu / seconds <= 0.5,
              f"over {seconds} s; the kernel counts in steps of {1000 // TICKS} ms")
    table.add(f"{label}: idle wake-ups", wakes / seconds, "/s", note="voluntary context switches of all threads")
    table.add(f"{label}: file events it caused while idle", events, "", "0", events == 0)


def bench_roles(net, args, table):
    first, second = net.node("n1-r"), net.node("n2-r")
    settle = ("--settle", "100ms")
    started = time.monotonic()
    for node in (first, second):
        node.start(*options(args), *settle, password=PASSWORD, wait_ready=False)

    def joined():
        said = [node.cli("status", "--json") for node in (first, second)]
        return all(one.code == 0 for one in said) and sorted(one.json["role"] for one in said) == [
            "client", "server"] and all(len(one.json["peers"]) == 1 for one in said)

    until(joined, 10, "one server, one client")
    took = time.monotonic() - started
    table.add("two nodes started together: one server, one client", took, "s", "<= 1.5 s", took <= 1.5)
    hub, other = (first, second) if first.status()["role"] == "server" else (second, first)
    hub.wait(peers=1)
    other.wait(peers=1)
    worst = 0
    for i, (writer, reader) in enumerate([(hub, other), (other, hub)] * 5):
        writer.write(f"edit-{i}", os.urandom(1000))
        started = time.monotonic()
        until(lambda: reader.exists(f"edit-{i}"), 10, "the edit arrives")
        worst = max(worst, time.monotonic() - started - 0.1)
    table.add("a saved file there, after its quiet timer (worst of 10)", 1000 * worst, "ms", "<= 500 ms",
              worst <= 0.5)
    started = time.monotonic()
    hub.kill()
    until(lambda: other.status()["role"] == "server", 10, "a new hub")
    took = time.monotonic() - started
    table.add("server killed with -9: a new one", took, "s", "<= 4 s", took <= 4)
    stop(first, second)

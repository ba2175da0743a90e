#!/usr/bin/env python3
"""Records the session that capture_test.cpp reads anew, after a change of the wire (as root):

    LANSYNC_BIN=build/test/lansync tests/unit/sniff/data/record.py build/test/tools/lansync-sniff

and prints what is in it, for the test's kWhole. Two nodes: start, first sync of two files, a directory and a
link, an edit from the other side, a rename, a removal, both ends.
"""
import collections
import json
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../e2e"))
import netns  # noqa: E402
from lan import FAST, Lan  # noqa: E402


def main():
    sniff = os.path.abspath(sys.argv[1])
    with Lan() as net:
        a, b = net.node("a"), net.node("b")
        capture, keylog = (os.path.join(net.root, name) for name in ("pcap", "keylog"))
        recorder = netns.popen(net.host("a"), [sniff, "-i", "lan0", "-w", capture])
        time.sleep(1)
        a.write("one.txt", b"one\n")
        a.write("sub/two.bin", bytes(range(250)) * 12)
        os.symlink("one.txt", os.path.join(a.path, "link"))
        options = ("--keylog", keylog, *FAST)
        a.start(*options, password="recorded")
        b.start(*options, password="recorded")
        b.wait(peers=1)
        b.write("one.txt", b"two, from the other side\n")
        b.wait()
        a.wait()
        os.rename(os.path.join(a.path, "one.txt"), os.path.join(a.path, "sub/one.txt"))
        a.wait()
        os.unlink(os.path.join(b.path, "sub/two.bin"))
        b.wait()
        a.wait()
        b.stop()
        a.stop()
        time.sleep(0.5)
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
        shutil.copy(capture, os.path.join(HERE, "two_nodes.pcap"))
        shutil.copy(keylog, os.path.join(HERE, "two_nodes.keylog"))
    out = netns.run(sniff, "-r", os.path.join(HERE, "two_nodes.pcap"), "--json", "--keylog",
                    os.path.join(HERE, "two_nodes.keylog"))
    text = out if isinstance(out, str) else out.stdout
    print(sorted(collections.Counter(json.loads(line)["type"] for line in text.splitlines()).items()))


if __name__ == "__main__":
    main()

"""What a node asked and was asked stands in its history, on both ends, with the outcome, across restarts."""
import time

from cases import check, check_equal, eventually, main
from lan import Lan, settled

FAST = ("--settle", "200ms")


def history(node, *arguments):
    done = node.cli("history", "--json", *arguments)
    check_equal(done.code, 0, f"history: {done}")
    return [(r["direction"], r["peer"], r["command"], r["arguments"]) for r in done.json]


def test_both_ends():
    """A question is `out` where it was asked and `in` where it was answered; failures say why; a restart keeps it."""
    with Lan() as net:
        a, b, c = (net.node(name) for name in "abc")
        a.start("--role", "server", *FAST)
        for node in (b, c):
            node.start(*FAST)
        a.write("x y.txt", b"words")
        settled([a, b, c])
        started = time.time()
        check_equal(b.cli("index", "regex", "x.*txt", "--peer", "c").code, 0, "index")
        check_equal(b.cli("hash", "verify", "x y.txt", "--peer", "c").code, 0, "hash")
        check_equal(b.cli("search", "x y.txt").code, 0, "search")
        check_equal(b.cli("hash", "verify", "nothing", "--peer", "c").code, 1, "hash of nothing")
        expected = [("c", "index regex", "x.*txt"), ("c", "hash verify", "x y.txt"), ("a", "search", "x y.txt"),
                    ("c", "hash verify", "nothing")]
        check_equal(history(b), [("out", *row) for row in expected], "the asker's")
        check_equal(history(c), [("in", "b", *row[1:]) for row in expected if row[0] == "c"], "the answerer's")
        check_equal(history(a), [("in", "b", "search", "x y.txt")], "the hub's")
        results = [r["result"] for r in b.cli("history", "--json").json]
        check("failed" in results[3] and "nothing" in results[3], f"{results}")
        check_equal(results[0], "1 row", "the result of the index")
        # A download is told to the other side too, how it ended included; so is an upload.
        size = len(b"words")
        check_equal(b.cli("download", "x y.txt", "--peer", "c", "--output", b.home + "/out").code, 0, "download")
        check_equal(b.cli("download", "not there", "--peer", "c").code, 1, "download of nothing")
        expected += [("c", "download", "x y.txt"), ("c", "download", "not there")]
        check_equal(history(b), [("out", *row) for row in expected], "the asker's, with downloads")
        eventually(lambda: history(c)[-1] == ("in", "b", "download", "x y.txt"), 5, lambda: f"told to c: {history(c)}")
        for row in (b.cli("history", "--json").json[4], c.cli("history", "--json").json[-1]):
            check(f"{size} bytes" in row["result"] and "MD5" in row["result"], f"{row}")
        text = b.cli("history").stdout
        check("index regex x.*txt" in text and "->" in text, f"for people: {text}")
        b.stop()
        b.start(*FAST)
        check_equal(history(b), [("out", *row) for row in expected], "after a restart")
        check_equal(history(b, "--since", str(int(started) + 3600)), [], "since later")
        check_equal(len(history(b, "--since", str(int(started) - 60))), 6, "since earlier")
        b.wait(peers=2)
        check_equal(c.cli("index", "longlist", "--peer", "b").code, 0, "asked again")
        eventually(lambda: history(b)[-1] == ("in", "c", "index longlist", ""), 5, "rows are added after a restart")


if __name__ == "__main__":
    main(__name__)

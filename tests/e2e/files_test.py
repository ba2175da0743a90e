"""What people do in folders arrives on every node: bytes, names, modes, links, and no more traffic than needed."""
import os
import time

import tree
from cases import check, check_equal, eventually, main
from lan import Lan, group, same_trees, settled

SETTLE = 0.2


def test_saved_file_is_fast():
    """A saved file is on every node, whole, within 0.5 s after its quiet timer, whoever saves it."""
    with Lan() as net:
        nodes = group(net, "abc")
        worst = 0.0
        for turn in range(9):
            author = nodes[turn % 3]
            name, data = f"note-{turn}.txt", tree.payload(20_000 + turn, turn)
            author.write(name, data)
            saved = time.monotonic()
            for node in nodes:
                eventually(lambda: node.read(name) == data, 10, f"{name} of {author.name} on {node.name}", 0.005)
            worst = max(worst, time.monotonic() - saved - SETTLE)
        check(worst <= 0.5, f"the slowest came {worst:.2f} s after its quiet timer")


def test_changed_file_is_fast():
    """A change to a file is everywhere within 0.5 s after its quiet timer; nobody ever sees a part of it."""
    with Lan() as net:
        nodes = group(net, "abc")
        versions = [tree.payload(300_000, f"v{n}") for n in range(5)]
        nodes[0].write("doc.bin", versions[0])
        settled(nodes)
        for data in versions[1:]:
            time.sleep(0.3)
            nodes[0].write("doc.bin", data)
            saved = time.monotonic()
            waiting = nodes[1:]
            while waiting:
                for node in list(waiting):
                    seen = node.read("doc.bin")
                    check(seen in versions, f"{node.name} shows {len(seen or b'')} bytes that nobody saved")
                    if seen == data:
                        waiting.remove(node)
                # An edit while the path's timer runs doubles it; these follow after it has run out.
                check(time.monotonic() - saved < SETTLE + 0.5, "it took longer than the quiet timer and 0.5 s")
                time.sleep(0.01)


def test_all_kinds():
    """Modes, empty files and directories, symlinks, UTF-8 names, deep paths, mtimes and large files arrive."""
    with Lan() as net:
        a, b, c = group(net, "abc")
        a.write("plain.txt", "x")
        a.write("run.sh", "#!/bin/sh\n", mode=0o755)
        a.write("secret", "s", mode=0o600)
        a.write("readonly.txt", "r", mode=0o444)
        a.write("empty.bin", "")
        a.write("exactly-one-chunk", b"1" * 1000)
        a.write("one-more-byte", b"1" * 1001)
        a.write("name with spaces and 'quotes' \"too\" $HOME %s", "n")
        for name in ("žluťoučký kůň.txt", "日本語/ファイル.txt", "emoji-🦊.md", "-dash", ".hidden", "a\\b"):
            a.write(name, name)
        a.write("d/" * 30 + "deep.txt", "deep")
        a.write("x" * 255, "longest name")
        a.write("large.bin", tree.payload(7_654_321, "large"))
        os.makedirs(a.at("empty/inner"))
        os.chmod(a.at("empty/inner"), 0o700)
        os.symlink("plain.txt", a.at("link"))
        os.symlink("/nowhere/at all", a.at("dangling"))
        os.symlink("empty", a.at("link-to-dir"))
        with open(a.at("sparse.bin"), "wb") as file:
            file.truncate(50_000_000)
            file.seek(30_000_000)
            file.write(b"middle")
        os.utime(a.at("plain.txt"), ns=(1_000_000_000_123_456_789,) * 2)
        want = a.snapshot(mtimes=True)
        got = settled([a, b, c], 60, mtimes=True)
        check_equal(tree.differences(want, got), [], "the author's own tree changed")
        for node in (b, c):
            check(os.stat(node.at("sparse.bin")).st_blocks * 512 < 5_000_000, f"holes are filled on {node.name}")
        check(b.counter("payload_received") < 12_000_000, "holes were sent as bytes")


def test_mode_and_mtime_alone():
    """A change of mode or mtime alone arrives, without the content being sent again."""
    with Lan() as net:
        a, b = group(net, "ab")
        a.write("f.bin", tree.payload(200_000, 1), mode=0o644)
        settled([a, b])
        before = b.counter("payload_received")
        os.chmod(a.at("f.bin"), 0o750)
        settled([a, b])
        check_equal(b.snapshot()["f.bin"][1], 0o750, "mode")
        os.utime(b.at("f.bin"), ns=(10**18, 10**18 + 5))
        settled([a, b], mtimes=True)
        check_equal(os.stat(a.at("f.bin")).st_mtime_ns, 10**18 + 5, "mtime")
        check_equal(b.counter("payload_received"), before, "payload bytes")


def test_suid_is_not_taken():
    """A set-uid bit does not travel."""
    with Lan() as net:
        a, b = group(net, "ab")
        a.write("tool", "#!/bin/sh\n", mode=0o4755)
        b_has = lambda: b.exists("tool")
        eventually(b_has, 5, "tool on b")
        b.wait()
        check_equal(b.snapshot()["tool"][1], 0o755, "mode")


def test_deletes():
    """Deletes of files, links and whole directories arrive, and what was deleted elsewhere is in the trash."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        for n in range(5):
            a.write(f"dir/sub/{n}.txt", str(n))
        a.write("keep.txt", "keep")
        os.symlink("keep.txt", a.at("link"))
        settled(nodes)
        b.remove("dir/sub/0.txt")
        c.remove("link")
        settled(nodes)
        check(not a.exists("dir/sub/0.txt") and not a.exists("link"), "a delete did not arrive")
        a.remove("dir")
        got = settled(nodes)
        check_equal(sorted(got), ["keep.txt"], "what is left")
        in_trash = {row["name"] for row in c.cli("trash", "--json").json}
        check("dir/sub/1.txt" in in_trash, f"c's trash: {sorted(in_trash)}")


def test_trash_restore():
    """`trash --restore` brings a file and a directory back, on every node."""
    with Lan() as net:
        a, b = nodes = group(net, "ab")
        a.write("one.txt", "1")
        a.write("dir/two.txt", "2")
        a.write("dir/three.txt", "3")
        want = settled(nodes)
        a.remove("one.txt")
        a.remove("dir")
        settled(nodes)
        outcome = b.cli("trash", "--restore", "one.txt")
        check_equal(outcome.code, 0, f"restore of a file ({outcome})")
        outcome = b.cli("trash", "--restore", "dir")
        check_equal(outcome.code, 0, f"restore of a directory ({outcome})")
        eventually(lambda: a.read("one.txt") == b"1" and a.read("dir/two.txt") == b"2", 10, "restored files on a")
        check_equal(tree.differences(want, settled(nodes)), [], "the tree")
        check_equal(b.cli("trash", "--restore", "never-was.txt").code, 1, "restoring what never was")


def test_renames_and_copies_send_nothing():
    """A rename, a move of a directory and a copy arrive without their content being sent again."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        for n in range(10):
            a.write(f"photos/{n}.jpg", tree.payload(300_000, n))
        settled(nodes)
        before = [node.counter("payload_received") for node in nodes]
        os.rename(a.at("photos/0.jpg"), a.at("cover.jpg"))
        settled(nodes)
        os.rename(b.at("photos"), b.at("pictures"))
        settled(nodes)
        c.write("copy.jpg", c.read("pictures/5.jpg"))
        got = settled(nodes)
        files = sorted(path for path, entry in got.items() if entry[0] == "file")
        check_equal(files, sorted(["cover.jpg", "copy.jpg"] + [f"pictures/{n}.jpg" for n in range(1, 10)]), "files")
        check("photos" not in got, "the old directory is still there")
        after = [node.counter("payload_received") for node in nodes]
        check_equal(after, before, "payload bytes received")


def test_file_becomes_directory():
    """A file that becomes a directory, a link that becomes a file, and back, arrive."""
    with Lan() as net:
        nodes = group(net, "ab")
        a, b = nodes
        a.write("thing", "a file")
        os.symlink("thing", a.at("other"))
        settled(nodes)
        a.remove("thing")
        a.write("thing/inside.txt", "now a directory")
        a.remove("other")
        a.write("other", "now a file")
        settled(nodes)
        check_equal(b.read("thing/inside.txt"), b"now a directory", "thing/inside.txt")
        b.remove("thing")
        b.write("thing", "a file again")
        settled(nodes)
        check_equal(a.read("thing"), b"a file again", "thing")


def test_swap_names():
    """Two files that exchange their names, and a case-only rename, arrive."""
    with Lan() as net:
        nodes = group(net, "ab")
        a, b = nodes
        a.write("one", "content one")
        a.write("two", "content two")
        a.write("Readme", "readme")
        settled(nodes)
        os.rename(a.at("one"), a.at("tmp"))
        os.rename(a.at("two"), a.at("one"))
        os.rename(a.at("tmp"), a.at("two"))
        os.rename(a.at("Readme"), a.at("README"))
        settled(nodes)
        check_equal((b.read("one"), b.read("two")), (b"content two", b"content one"), "the two files")
        check_equal(sorted(b.snapshot()), ["README", "one", "two"], "names")


def test_editors_save():
    """The ways in which editors save (rename over, backup and rewrite, truncate) are one edit, no conflict."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        a.write("text.txt", "version 0\n")
        settled(nodes)
        a.write(".text.txt.new", "version 1\n")
        os.rename(a.at(".text.txt.new"), a.at("text.txt"))
        settled(nodes)
        os.rename(b.at("text.txt"), b.at("text.txt~"))
        b.write("text.txt", "version 2\n")
        b.remove("text.txt~")
        settled(nodes)
        with open(c.at("text.txt"), "r+b") as file:
            file.truncate(0)
            for part in (b"vers", b"ion ", b"3\n"):
                file.write(part)
                file.flush()
                time.sleep(0.05)
        got = settled(nodes)
        check_equal(sorted(got), ["text.txt"], "files")
        check_equal(a.read("text.txt"), b"version 3\n", "content")


def test_ignore_file():
    """.lansyncignore is obeyed, travels itself, and what becomes ignored stays on every disk."""
    with Lan() as net:
        nodes = group(net, "ab")
        a, b = nodes
        a.write("notes.txt", "n")
        a.write("build/out.o", "o")
        settled(nodes)
        a.write(".lansyncignore", "*.tmp\nbuild/\n!keep.tmp\n")
        settled(nodes)
        a.write("x.tmp", "never")
        a.write("keep.tmp", "always")
        a.write("build/more.o", "never")
        a.write("last.txt", "l")
        for node in (a, b, a, b):
            node.wait()
        check_equal(b.read("last.txt"), b"l", "last.txt")
        check_equal(b.read("keep.tmp"), b"always", "keep.tmp")
        check(not b.exists("x.tmp") and not b.exists("build/more.o"), "an ignored file was synced")
        check_equal(b.read("build/out.o"), b"o", "what became ignored, on the other node's disk")
        check_equal(a.read("build/out.o"), b"o", "what became ignored, on the author's disk")


def test_pause():
    """`pause` holds everything both ways, also over a restart; the others go on; `resume` lets it through."""
    with Lan() as net:
        nodes = group(net, "abc")
        hub = next(node for node in nodes if node.status()["role"] == "server")
        c, *others = [node for node in nodes if node is not hub] + [hub]
        check_equal(c.cli("pause").code, 0, "exit code of pause")
        check_equal(c.status()["state"], "paused", "state")
        others[0].write("from-others.txt", "a")
        c.write("from-paused.txt", "b")
        eventually(lambda: others[1].exists("from-others.txt"), 5, "the others' sync while one is paused")
        time.sleep(1.0)
        check(not c.exists("from-others.txt"), "something came to a paused node")
        check(not hub.exists("from-paused.txt"), "something came from a paused node")
        c.stop()
        c.start()
        check_equal(c.status()["state"], "paused", "state after a restart")
        time.sleep(1.5)
        check(not c.exists("from-others.txt"), "something came to a paused node after its restart")
        check(not hub.exists("from-paused.txt"), "something came from a paused node after its restart")
        check_equal(c.cli("resume").code, 0, "exit code of resume")
        check_equal(sorted(settled(nodes)), ["from-others.txt", "from-paused.txt"], "files")


def test_paused_hub():
    """A paused hub does not stop the others: what they save still reaches each other."""
    with Lan() as net:
        nodes = group(net, "abc")
        hub = next(node for node in nodes if node.status()["role"] == "server")
        others = [node for node in nodes if node is not hub]
        check_equal(hub.cli("pause").code, 0, "exit code of pause")
        others[0].write("x.txt", "x")
        eventually(lambda: others[1].exists("x.txt"), 10, "the others' sync while the hub is paused")
        check(not hub.exists("x.txt"), "something came to a paused node")
        check_equal(hub.cli("resume").code, 0, "exit code of resume")
        settled(nodes)


def test_growing_log():
    """A file that is written all the time arrives again and again, and whole once it rests."""
    with Lan() as net:
        nodes = group(net, "ab", "--settle-max", "400ms")
        a, b = nodes
        lines = 0
        seen = set()
        with open(a.at("growing.log"), "wb", buffering=0) as file:
            # One that never rests is read after ten times settle-max.
            end = time.monotonic() + 10
            while time.monotonic() < end:
                file.write(b"line %06d\n" % lines)
                lines += 1
                data = b.read("growing.log")
                if data is not None:
                    seen.add(len(data))
                time.sleep(0.05)
        settled(nodes)
        check_equal(b.read("growing.log").count(b"\n"), lines, "lines")
        check(len(seen) >= 1, "it was not seen while it grew")


def test_offline_edits():
    """What was edited, made and deleted while a node was not running arrives when it starts again."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        for n in range(6):
            a.write(f"{n}.txt", str(n))
        settled(nodes)
        c.stop()
        c.write("0.txt", "edited offline")
        c.write("new.txt", "made offline")
        c.remove("1.txt")
        a.write("2.txt", "edited meanwhile")
        b.remove("3.txt")
        settled([a, b])
        c.start()
        got = settled(nodes)
        check_equal(sorted(got), ["0.txt", "2.txt", "4.txt", "5.txt", "new.txt"], "files")
        check_equal(a.read("0.txt"), b"edited offline", "0.txt")
        check_equal(c.read("2.txt"), b"edited meanwhile", "2.txt")


def test_loss_and_slow_line():
    """With 5 % loss and a line of 50 Mbit/s everything still arrives."""
    with Lan() as net:
        nodes = group(net, "abc")
        net.rate("50mbit")
        net.loss(5)
        for n in range(40):
            nodes[n % 3].write(f"small/{n}.txt", tree.payload(3_000 + n, n))
        nodes[0].write("large.bin", tree.payload(5_000_000, "large"))
        got = settled(nodes, 90)
        check_equal(len([e for e in got.values() if e[0] == "file"]), 41, "files")


def test_many_small_files():
    """Two thousand small files made at once are everywhere in seconds."""
    with Lan() as net:
        nodes = group(net, "ab")
        a, b = nodes
        for n in range(2000):
            a.write(f"many/{n % 50}/{n}.txt", tree.payload(2_000, n))
        got = settled(nodes, 60)
        check_equal(len([e for e in got.values() if e[0] == "file"]), 2000, "files")


def test_equal_files():
    """20,000 equal files, and as many empty ones, are one transfer and no more work than different ones."""
    with Lan() as net:
        a, b = group(net)
        check_equal(b.cli("pause").code, 0, "pause")
        data = tree.payload(4096, "equal")
        for n in range(20_000):
            a.write(f"equal/{n % 20}/f{n}", data)
            a.write(f"empty/{n % 20}/f{n}", "")
        a.wait_indexed()
        started = time.monotonic()
        b.cli("resume")
        b.wait(seconds=60)
        took = time.monotonic() - started
        same_trees([a, b])
        print(f"        40,000 files in {took:.1f} s")
        check(b.counter("payload_received") <= 3 * len(data), "content that is here already was sent again")
        # When each copy had all that waited planned again, 10,000 of them took minutes.
        check(took < 30, f"40,000 equal files took {took:.1f} s")


def test_silent_when_idle():
    """Once all are in sync nobody sends content, and a pair of idle nodes says little."""
    with Lan() as net:
        nodes = group(net, "abc")
        nodes[0].write("x.bin", tree.payload(100_000, 0))
        settled(nodes)
        before = [node.status()["counters"] for node in nodes]
        time.sleep(5)
        for node, old in zip(nodes, before):
            new = node.status()["counters"]
            check_equal(new["payload_sent"], old["payload_sent"], f"payload bytes sent by {node.name}")
            spent = new["bytes_sent"] - old["bytes_sent"]
            check(spent < 20_000, f"{node.name} sent {spent} bytes in 5 s of silence")


if __name__ == "__main__":
    main(__name__)

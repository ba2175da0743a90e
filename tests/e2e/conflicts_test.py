"""Two people change one thing at once: nothing is lost, every node shows the same, and the disk is not littered."""
import os
import re
import time

import tree
from cases import check, check_equal, eventually, main
from lan import FAST, Lan, group, settled

COPY = re.compile(r"^(.*) \(conflict (\S+) \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d(?: [0-9a-f]{8})?\)(\.[^./]*)?$")


def copies_of(name, found):
    stem, dot, ending = name.rpartition(".")
    return sorted(path for path in found if (m := COPY.match(path)) and
                  (m.group(1), m.group(3) or "") == ((stem, dot + ending) if dot else (name, "")))


def check_all_kept(found, root, name, versions):
    """The name and its conflict copies hold exactly these versions, each once."""
    copies = copies_of(name, found)
    check_equal(len(copies), len(versions) - 1, f"copies of {name}; {sorted(found)}")
    held = []
    for path in [name, *copies]:
        with open(os.path.join(root, path), "rb") as file:
            held.append(file.read())
    check_equal(sorted(held), sorted(versions), f"contents of {name} and its copies")


def test_all_edit_at_once():
    """All three save one file at the same moment: one winner, one copy for each loser, the same everywhere."""
    with Lan() as net:
        nodes = group(net, "abc")
        nodes[0].write("plan.txt", "common base")
        settled(nodes)
        for node in nodes:
            node.write("plan.txt", f"of {node.name}")
        found = settled(nodes)
        check_all_kept(found, nodes[0].path, "plan.txt", [b"of a", b"of b", b"of c"])
        check_equal(len(found), 3, f"files {sorted(found)}")
        listed = nodes[1].cli("conflicts", "--json").json
        check_equal(sorted(row["name"] for row in listed), copies_of("plan.txt", found), "`conflicts`")
        check_equal({row["of"] for row in listed}, {"plan.txt"}, "what they are copies of")
        check_equal(nodes[2].status()["conflicts"], 2, "`conflicts` of status")


def test_two_sides():
    """A file changed on both sides of a split: both versions survive, one copy, named after the loser."""
    with Lan() as net:
        nodes = group(net, "ab")
        a, b = nodes
        a.write("report.txt", "base")
        settled(nodes)
        net.partition([a], [b])
        a.write("report.txt", "from a")
        b.write("report.txt", "from b")
        for node in nodes:
            eventually(lambda: node.status()["role"] == "server", 15, f"{node.name} as server of its side", 0.1)
        time.sleep(0.5)
        net.heal()
        found = eventually_one_group(nodes)
        check_all_kept(found, a.path, "report.txt", [b"from a", b"from b"])
        copy = copies_of("report.txt", found)[0]
        check_equal(a.read(copy), f"from {COPY.match(copy).group(2)}".encode(), "the copy bears its author's name")


def eventually_one_group(nodes, seconds=60):
    def together():
        said = [node.status() for node in nodes]
        return (len({(s["hub"] or {}).get("id") for s in said}) == 1 and said[0]["hub"] and
                all(len(s["peers"]) >= len(nodes) - 1 for s in said))
    eventually(together, seconds, lambda: f"one hub: {[n.status()['hub'] for n in nodes]}", 0.1)
    return settled(nodes, seconds)


def test_split_in_three():
    """A group split in three, the same file saved in each part: one copy per loser after the reunion."""
    with Lan() as net:
        nodes = group(net, "abc")
        nodes[0].write("doc.md", "base")
        nodes[0].write("quiet.txt", "untouched")
        settled(nodes)
        net.partition(*[[node] for node in nodes])
        for node in nodes:
            eventually(lambda: node.status()["role"] == "server", 15, f"{node.name} as server of its part", 0.1)
        for node in nodes:
            node.write("doc.md", f"of {node.name}, who was alone")
            node.write(f"only-{node.name}.txt", node.name)
            node.wait(seconds=10)
        net.heal()
        found = eventually_one_group(nodes)
        check_all_kept(found, nodes[0].path, "doc.md", [f"of {n}, who was alone".encode() for n in "abc"])
        check_equal(len(found), 3 + 1 + 3, f"files {sorted(found)}")


def test_same_bytes_are_no_conflict():
    """The same change made on two nodes at once is no conflict."""
    with Lan() as net:
        nodes = group(net, "abc")
        nodes[0].write("same.txt", "base")
        settled(nodes)
        for node in nodes:
            node.write("same.txt", "the same new text")
        found = settled(nodes)
        check_equal(sorted(found), ["same.txt"], "files")


def test_edit_beats_delete():
    """A file edited on one node and deleted on another at once is kept, with the edit."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        for turn, (editor, deleter) in enumerate([(a, b), (b, a), (b, c), (c, b)]):
            name = f"f{turn}.txt"
            a.write(name, "base")
            settled(nodes)
            deleter.remove(name)
            editor.write(name, f"edited by {editor.name}")
            found = settled(nodes)
            check_equal(a.read(name), f"edited by {editor.name}".encode(), f"{name} of {sorted(found)}")


def test_edit_in_deleted_directory():
    """A directory deleted on one node while a file in it is edited on another: the edited file stays."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        for n in range(4):
            a.write(f"dir/{n}.txt", str(n))
        settled(nodes)
        b.remove("dir")
        c.write("dir/2.txt", "edited")
        c.write("dir/new.txt", "new")
        found = settled(nodes)
        check_equal(sorted(found), ["dir", "dir/2.txt", "dir/new.txt"], "files")
        check_equal(a.read("dir/2.txt"), b"edited", "the edit")


def test_file_and_directory_of_one_name():
    """A file and a directory made under one name at once: the file's bytes and the directory's survive."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        settled(nodes)
        b.write("name", "i am a file")
        c.write("name/inside.txt", "i am in a directory")
        settled(nodes)
        kept = {a.read(path) for path in a.files()}
        check(b"i am a file" in kept and b"i am in a directory" in kept, f"kept: {kept}")


def test_mode_and_content_merge():
    """Content changed here and mode changed there at once is no conflict: both changes are kept."""
    with Lan() as net:
        nodes = group(net, "abc")
        a, b, c = nodes
        a.write("tool.sh", "old", mode=0o644)
        settled(nodes)
        b.write("tool.sh", "new")
        os.chmod(c.at("tool.sh"), 0o755)
        found = settled(nodes)
        check_equal(sorted(found), ["tool.sh"], "files")
        check_equal((a.read("tool.sh"), found["tool.sh"][1]), (b"new", 0o755), "content and mode")


def test_joining_with_files():
    """Folders that both held files before they met: equal ones stay, differing ones are kept twice."""
    with Lan() as net:
        a, b = nodes = [net.node("a"), net.node("b")]
        for node in nodes:
            os.makedirs(node.path)
            node.write("same/equal.txt", "the same on both")
            os.utime(node.at("same/equal.txt"), (10**9, 10**9))
            node.write(f"only-{node.name}.txt", node.name)
            node.write("differs.txt", f"as it is on {node.name}")
        a.start(*FAST)
        a.wait()
        b.start(*FAST)
        found = settled(nodes)
        check_equal(a.read("differs.txt"), b"as it is on a", "the hub's version keeps its name")
        check_all_kept(found, b.path, "differs.txt", [b"as it is on a", b"as it is on b"])
        check_equal(len([p for p, e in found.items() if e[0] == "file"]), 5, f"files {sorted(found)}")


def test_equal_folders_cost_digests():
    """Two large equal folders that meet for the first time exchange digests, not listings and no content."""
    with Lan() as net:
        a, b = nodes = [net.node("a"), net.node("b")]
        for node in nodes:
            os.makedirs(node.path)
            for n in range(3000):
                node.write(f"d{n % 30}/{n}.txt", tree.payload(500, n))
                os.utime(node.at(f"d{n % 30}/{n}.txt"), (10**9, 10**9 + n))
        a.start(*FAST)
        a.wait()
        b.start(*FAST)
        settled(nodes)
        said = b.status()["counters"]
        check_equal(said["payload_received"] + said["payload_sent"], 0, "content bytes")
        check(said["bytes_received"] + said["bytes_sent"] < 200_000,
              f"{said['bytes_received']} bytes received and {said['bytes_sent']} sent")


def test_conflict_storm():
    """All nodes edit the same ten files again and again: it converges, and no copy has a copy."""
    with Lan() as net:
        nodes = group(net, "abc")
        for turn in range(5):
            for node in nodes:
                for n in range(10):
                    node.write(f"hot-{n}.txt", f"{turn} {node.name} {n}")
            time.sleep(0.25)
        found = settled(nodes, 60)
        twice = [path for path in found if path.count("(conflict ") > 1]
        check_equal(twice, [], "copies of copies")
        for n in range(10):
            last = {nodes[0].read(path) for path in [f"hot-{n}.txt", *copies_of(f"hot-{n}.txt", found)]}
            missing = {f"4 {node.name} {n}".encode() for node in nodes} - last
            trashed = {row["name"] for node in nodes for row in node.cli("trash", "--json").json}
            check(not missing, f"hot-{n}.txt: {missing} is neither there nor in a copy; trash {sorted(trashed)[:5]}")


if __name__ == "__main__":
    main(__name__)

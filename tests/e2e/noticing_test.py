"""What is changed in ways of which the watcher tells little, or nothing: directories that change places, bytes without a close."""
import ctypes
import mmap
import os
import subprocess

from cases import check, check_equal, eventually, main
from lan import Lan, group, settled

AT_FDCWD, RENAME_EXCHANGE = -100, 2


def exchange(one, other):
    """Both names at once, as renameat2(2) does."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    check(done == 0, lambda: f"renameat2: {os.strerror(ctypes.get_errno())}")


def site(a):
    """A directory that is there, and one that is to take its place: each has what the other has not."""
    a.write("site/kept.html", "k")
    a.write("site/old/deep/only.html", "o")
    a.write("site.new/kept.html", "new")
    a.write("site.new/fresh/more.html", "m")


def moves(a, net):
    """What a person does, by name; each after site()."""
    def aside():
        os.rename(a.at("site"), a.at("site.old"))
        os.rename(a.at("site.new"), a.at("site"))

    def exchanged():
        exchange(a.at("site"), a.at("site.new"))

    def exchanged_with_a_file():
        a.write("note", "n")
        a.wait(peers=1)
        exchange(a.at("site"), a.at("note"))

    def over_an_empty_one():
        os.makedirs(a.at("empty"))
        a.wait(peers=1)
        os.rename(a.at("site"), a.at("empty"))

    def out_and_made_anew():
        os.rename(a.at("site"), os.path.join(net.root, "away"))
        os.makedirs(a.at("site"))

    def out_and_another_in():
        os.makedirs(os.path.join(net.root, "else/in"))
        os.rename(a.at("site"), os.path.join(net.root, "gone"))
        os.rename(os.path.join(net.root, "else"), a.at("site"))

    def out_changed_and_back():
        os.rename(a.at("site"), os.path.join(net.root, "changed"))
        os.remove(os.path.join(net.root, "changed/old/deep/only.html"))
        os.rename(os.path.join(net.root, "changed"), a.at("site"))

    def into_each_other():
        os.rename(a.at("site.new"), a.at("site/old/new"))
        os.rename(a.at("site/old"), a.at("site.new"))
        os.rename(a.at("site"), a.at("site.new/site"))

    return (aside, exchanged, exchanged_with_a_file, over_an_empty_one, out_and_made_anew, out_and_another_in,
            out_changed_and_back, into_each_other)


def test_directories_change_places():
    """Directories that change places, go and come within a moment: `wait` is true, and what only the old ones held goes."""
    with Lan() as net:
        a, b = nodes = group(net, "ab")
        for turn, move in enumerate(moves(a, net)):
            site(a)
            settled(nodes)
            move()
            a.wait(peers=1)
            b.wait(peers=1)
            check_equal(b.snapshot(), a.snapshot(), f"b's tree after {move.__name__}")
            for name in sorted(os.listdir(a.path)):
                if not name.startswith("."):
                    a.remove(name)
            settled(nodes)


def test_mapped_and_written_elsewhere():
    """Bytes that are written through a mapping or by another mount arrive, the ones when it ends, or when somebody looks."""
    with Lan() as net:
        a, b = nodes = group(net, "ab")
        for name in ("let go", "kept"):
            a.write(name, b"1" * 100_000)
        a.write("d/elsewhere", "1")
        settled(nodes)
        with open(a.at("let go"), "r+b") as file:
            mapping = mmap.mmap(file.fileno(), 0)
        mapping[5000:5004] = b"2222"
        mapping.close()
        eventually(lambda: b.read("let go") == a.read("let go"), 5, "what was mapped, once it is let go")
        with open(a.at("kept"), "r+b") as file:
            mapping = mmap.mmap(file.fileno(), 0)
        mapping[5000:5004] = b"3333"
        mapping.flush()
        check_equal(a.cli("rescan").code, 0, "rescan")
        eventually(lambda: b.read("kept") == a.read("kept"), 10, "what is mapped yet, once the disk is looked at")
        mapping.close()
        other = os.path.join(net.root, "mounted")
        os.makedirs(other)
        subprocess.run(["mount", "--bind", a.path, other], check=True)
        try:
            with open(os.path.join(other, "d/elsewhere"), "w", encoding="utf-8") as file:
                file.write("22")
            os.rename(os.path.join(other, "kept"), os.path.join(other, "renamed"))
            eventually(lambda: b.read("d/elsewhere") == b"22" and b.exists("renamed") and not b.exists("kept"), 5,
                       "what was done by another mount")
        finally:
            subprocess.run(["umount", "-l", other], check=True)
        settled(nodes)


def test_too_many_levels():
    """Below 64 levels of directories nothing is synced, which is said; all above goes on, and it may be moved up."""
    with Lan() as net:
        a, b = nodes = group(net, "ab")
        deep = "/".join(["d"] * 62)
        a.write(f"{deep}/at-63.txt", "63")
        a.write(f"{deep}/e/at-64.txt", "64")
        a.write(f"{deep}/e/f/at-65.txt", "65")
        a.write("g/" + "/".join("abcdefghijklmnopqrstuvwxyz" * 3) + "/far.txt", "far")
        eventually(lambda: b.read(f"{deep}/e/at-64.txt") == b"64", 15, "what is at level 64")
        for node in nodes:
            node.wait(peers=1)
        check(not b.exists(f"{deep}/e/f/at-65.txt"), "what is deeper came")
        said = a.cli("plan").stdout + a.status()["reason"]
        check("64 directories deep" in said or "64 levels" in said, f"it is not said: {said!r}")
        os.rename(a.at(f"{deep}/e/f"), a.at("up"))
        os.rename(a.at("g"), a.at("h"))
        eventually(lambda: b.read("up/at-65.txt") == b"65", 15, "what was moved up")
        a.wait(peers=1)
        check(deep not in a.status()["reason"], f"what was moved up is still named: {a.status()['reason']!r}")
        a.remove("h")
        eventually(lambda: not a.status()["reason"], 10, lambda: f"nothing is too deep any more: {a.status()['reason']!r}")
        settled(nodes)


if __name__ == "__main__":
    main(__name__)

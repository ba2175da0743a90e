"""Real input: a git repository of a few thousand files, moved through its versions with `git checkout`."""
import os
import subprocess
import sysconfig
import time

import tree
from cases import check, check_equal, main, timeout
from lan import FAST, Lan, same_trees, settled

FILES = 2500


def git(where, *args):
    done = subprocess.run(
        ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "core.fsync=none",
         "-c", "gc.auto=0", "-c", "init.defaultBranch=main", *args],
        cwd=where, capture_output=True, text=True,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": where, "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
             "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"})
    check(done.returncode == 0, f"git {' '.join(args)}: {done.stderr}")
    return done.stdout


def sources():
    """Real source files that every machine with Python has, in a stable order."""
    found = []
    for root in (sysconfig.get_path("stdlib"), "/usr/share/doc", "/usr/include"):
        for directory, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if f not in ("__pycache__", "site-packages", "dist-packages"))
            for name in sorted(names):
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < 200_000:
                    found.append((os.path.relpath(path, root), path))
                    if len(found) == FILES:
                        return found
    return found


def make_repository(where):
    """Five versions: the base; edits; moves and deletes; modes, links, a file that is a directory; half of it gone."""
    os.makedirs(where)
    git(where, "init", "-q")
    files = sources()
    check(len(files) >= 500, f"only {len(files)} files to make a repository of")
    for name, source in files:
        path = os.path.join(where, "src", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(source, "rb") as old, open(path, "wb") as new:
            new.write(old.read())
    names = ["src/" + name for name, _ in files]

    def commit(tag):
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", tag)
        git(where, "tag", tag)

    commit("v1")
    for number, name in enumerate(names[::7]):
        with open(os.path.join(where, name), "ab") as file:
            file.write(b"\n# edited %d\n" % number)
    commit("v2")
    os.rename(os.path.join(where, "src"), os.path.join(where, "lib"))
    names = ["lib" + name[3:] for name in names]
    for name in names[3::11]:
        os.remove(os.path.join(where, name))
    names = [name for name in names if os.path.exists(os.path.join(where, name))]
    commit("v3")
    for name in names[::5]:
        os.chmod(os.path.join(where, name), 0o755)
    for number, name in enumerate(names[1::50]):
        os.symlink(os.path.basename(name), os.path.join(where, os.path.dirname(name), f"link-{number}"))
    os.remove(os.path.join(where, names[4]))
    os.makedirs(os.path.join(where, names[4]))
    with open(os.path.join(where, names[4], "inside.txt"), "w", encoding="utf-8") as file:
        file.write("a directory now\n")
    commit("v4")
    for name in names[len(names) // 2:]:
        path = os.path.join(where, name)
        if os.path.isfile(path):
            os.remove(path)
    commit("v5")
    git(where, "checkout", "-q", "v1")
    return ["v1", "v2", "v3", "v4", "v5", "v1", "v4", "v2"]


@timeout(400)
def test_checkouts():
    """After each `git checkout` every node's tree is equal: bytes, modes, links, and git finds nothing to say."""
    with Lan() as net:
        a, b, c = nodes = [net.node(name) for name in "abc"]
        versions = make_repository(a.path)
        for node in nodes:
            # Checkouts delete thousands of files on purpose.
            node.start(*FAST, "--max-deletes", "100%")
        settled(nodes, 90)
        for version in versions[1:]:
            git(a.path, "checkout", "-q", version)
            # The author's tree is what it is to be: anything that sync did to it would be a fault.
            want = a.snapshot()
            settled(nodes, 90)
            check_equal(tree.differences(want, a.snapshot(), ("git's", "a's")), [], f"a's tree after {version}")
            for node in (b, c):
                check_equal(tree.differences(want, node.snapshot(), ("git's", node.name)), [], f"the tree at {version}")
        check_equal(git(a.path, "status", "--porcelain"), "", "`git status` on the author's node")
        check_equal(git(b.path, "-c", "core.checkStat=minimal", "status", "--porcelain"), "",
                    "`git status` on another node")
        git(b.path, "fsck", "--strict")


@timeout(240)
def test_checkouts_without_waiting():
    """Checkouts that follow each other faster than the quiet timer end in the last one, on every node."""
    with Lan() as net:
        nodes = [net.node(name) for name in "ab"]
        versions = make_repository(nodes[0].path)
        for node in nodes:
            node.start(*FAST, "--max-deletes", "100%")
        settled(nodes, 90)
        for version in versions:
            git(nodes[0].path, "checkout", "-q", version)
            time.sleep(0.15)
        want = nodes[0].snapshot()
        settled(nodes, 90)
        check_equal(tree.differences(want, same_trees(nodes)), [], "the tree")


@timeout(240)
def test_git_on_two_nodes():
    """Commits made on one node are checked out on the other, and back."""
    with Lan() as net:
        a, b = nodes = [net.node(name) for name in "ab"]
        os.makedirs(a.path)
        git(a.path, "init", "-q")
        for node in nodes:
            node.start(*FAST, "--max-deletes", "100%")
        for turn in range(4):
            author = nodes[turn % 2]
            for n in range(100):
                author.write(f"d{n % 7}/{n}.txt", f"turn {turn} file {n}\n" * 10)
            git(author.path, "add", "-A")
            git(author.path, "commit", "-q", "-m", f"turn {turn}")
            settled(nodes, 60)
            other = nodes[1 - turn % 2]
            check_equal(git(other.path, "status", "--porcelain"), "", f"`git status` on {other.name}")
            check_equal(git(other.path, "log", "--format=%s", "-1").strip(), f"turn {turn}", "the last commit")
        git(b.path, "fsck", "--strict")


if __name__ == "__main__":
    main(__name__)

"""On-demand nodes: every name is known, content comes when it is asked for."""
import os
import threading

from cases import check, check_equal, eventually, main
from lan import FAST, Lan
from tree import payload


def files_of(node):
    return sorted(node.files())


def folder(node):
    return node.status()["folder"]


def pair(net, *more):
    """`full` keeps everything, `some` what was asked for."""
    full, some = net.node("full"), net.node("some")
    full.start(*FAST, *more)
    some.start(*FAST, "--on-demand", *more)
    return full, some


def in_sync(*nodes):
    for _ in range(2):
        for node in nodes:
            node.wait(peers=len(nodes) - 1)


def ok(outcome):
    check_equal(outcome.code, 0, str(outcome))
    return outcome


def test_get():
    """Names, folders and links are there at once; get brings files and folders, verified"""
    with Lan() as net:
        full, some = pair(net)
        big = payload(3_000_000, 1)
        full.write("d/e/big", big)
        full.write("d/täst \"one\"", b"1")
        full.write("other", b"2")
        os.symlink("other", full.at("link"))
        in_sync(full, some)
        check_equal(files_of(some), [], "files on the on-demand node")
        check(os.path.isdir(some.at("d/e")) and os.path.islink(some.at("link")), "folders and links")
        said = folder(some)
        check_equal((said["files"], said["absent_files"], said["absent_bytes"]), (1, 3, 3_000_002),
                    "the two numbers in status (the link is a file)")
        check_equal(some.status()["state"], "in-sync", "state")
        check("3 files" in some.cli("status").stdout, "status names them for people")
        check_equal(some.counter("payload_received"), 0, "content that came unasked")
        answer = ok(some.cli("get", "d", "--json")).json
        check_equal(answer["count"], 2, "files that get brought")
        check(some.read("d/e/big") == big and some.read("d/täst \"one\"") == b"1", "content after get")
        check_equal(folder(some)["absent_files"], 1, "absent files after get")
        ok(some.cli("get", "./other", "d/"))
        ok(full.cli("get", "other"))
        check_equal(folder(some)["absent_files"], 0, "absent files at the end")


def test_whole_folder():
    """`get .` brings all that the folder has, `drop .` frees it"""
    with Lan() as net:
        full, some = pair(net)
        full.write("d/e/one", b"1")
        full.write("two", b"2")
        in_sync(full, some)
        check_equal(ok(some.cli("get", ".", "--json")).json["count"], 2, "files that get brought")
        check(some.read("d/e/one") == b"1" and some.read("two") == b"2", "content after get")
        in_sync(full, some)
        ok(some.cli("drop", "./", "--json"))
        check_equal(files_of(some), [], "files after drop")
        check_equal(some.cli("copies", ".").code, 2, "other commands take names only")


def test_edits():
    """Updates, edits and deletes of fetched files are like anywhere; nothing else is deleted or fetched"""
    with Lan() as net:
        full, some = pair(net)
        for name in "abc":
            full.write(f"d/{name}", name + "1")
        in_sync(full, some)
        ok(some.cli("get", "d/a", "d/b"))
        full.write("d/a", "a2")
        full.write("d/c", "c2")
        eventually(lambda: some.read("d/a") == b"a2", 20, "the update of a fetched file")
        some.write("d/a", "a3")
        some.remove("d/b")
        eventually(lambda: full.read("d/a") == b"a3" and full.read("d/b") is None, 20,
                   "the edit and the delete of fetched files")
        in_sync(full, some)
        check_equal(full.read("d/c"), b"c2", "the absent file")
        check(some.read("d/c") is None, "an absent file came unasked")
        some.write("d/c", "mine")
        in_sync(full, some)
        check_equal(full.read("d/c"), b"c2", "the file that was absent keeps its name")
        check_equal(len(full.cli("conflicts", "--json").json), 1, "and the new one stands beside it")


def test_drop():
    """drop frees what a full replica keeps and refuses the rest; restarts delete nothing"""
    with Lan() as net:
        full, some = pair(net)
        full.write("d/a", payload(100_000, 1))
        full.write("d/b", "b")
        some.write("mine", "mine")
        in_sync(full, some)
        ok(some.cli("get", "d"))
        some.write("d/b", "changed")
        refused = some.cli("drop", "d/b")
        check(refused.code == 1 and "kept" in refused.stderr, f"a changed file was dropped: {refused}")
        in_sync(full, some)
        ok(some.cli("drop", "d", "mine"))
        check_equal(files_of(some), [], "files after drop")
        check(not os.path.exists(some.at(".lansync/trash")) or
              not any(names for _, _, names in os.walk(some.at(".lansync/trash"))), "the trash holds it")
        in_sync(full, some)
        some.stop()
        some.start()
        in_sync(full, some)
        check_equal(files_of(full), ["d/a", "d/b", "mine"], "files on the full replica")
        check_equal(files_of(some), [], "files after a restart")
        ok(some.cli("get", "mine"))
        full.stop()
        refused = some.cli("drop", "mine")
        check(refused.code == 1 and "full replica" in refused.stderr, f"the last copy: {refused}")
        check_equal(some.read("mine"), b"mine", "the last copy that is here")
        refused = some.cli("get", "d/a")
        check(refused.code == 1 and "d/a" in refused.stderr, f"nobody holds it: {refused}")
        full.start()
        in_sync(full, some)
        refused = full.cli("drop", "d")
        check(refused.code == 1 and "--on-demand" in refused.stderr, f"drop on a full replica: {refused}")
        check_equal(some.cli("get", "nothing").code, 1, "get of what is not there")
        check_equal(some.cli("get", "../x").code, 2, "get of what is no name")


def test_change_of_kind():
    """A folder keeps what it has when it becomes on-demand, and gets all when it is so no more"""
    with Lan() as net:
        full, some = pair(net)
        full.write("a", "a")
        in_sync(full, some)
        full.stop()
        full.start(*FAST, "--on-demand")
        in_sync(full, some)
        check_equal((files_of(full), files_of(some)), (["a"], []), "files after the change")
        some.stop()
        some.start(*FAST)
        in_sync(full, some)
        check_equal(files_of(some), ["a"], "files of the new full replica")
        check_equal(files_of(full), ["a"], "files of the node that became on-demand")


def test_hubs():
    """An on-demand node hands the role over to a full replica, and as hub holds what is pushed to it"""
    with Lan() as net:
        some, other = net.node("some"), net.node("other")
        some.start(*FAST, "--on-demand")
        eventually(lambda: some.status()["role"] == "server", 10, "the only node is server")
        other.start(*FAST, "--on-demand")
        in_sync(some, other)
        other.write("new", "new")
        in_sync(other, some)
        check_equal(some.read("new"), b"new", "what was pushed, on the hub")
        other.kill()
        full = net.node("full")
        full.start(*FAST)
        eventually(lambda: full.read("new") == b"new", 30, "the pushed file on a later full replica")
        eventually(lambda: full.status()["role"] == "server", 20, "the full replica is hub")
        in_sync(full, some)


def test_large_get_survives():
    """A full replica that is killed and returns in the middle of a get does not break it"""
    with Lan() as net:
        full, some = pair(net)
        content = payload(40_000_000, 4)
        full.write("big", content)
        in_sync(full, some)
        net.rate("100mbit")
        answers = []
        asking = threading.Thread(target=lambda: answers.append(some.cli("get", "big", timeout=120)))
        asking.start()
        eventually(lambda: some.counter("payload_received") > 2_000_000, 30, "content on its way")
        check(some.read("big") is None, "a part of the file under its name")
        full.kill()
        full.start()
        asking.join(120)
        ok(answers[0])
        check(some.read("big") == content, "the content differs")


def test_made_where_absent():
    """Whatever is made where an on-demand node's own file is absent is kept beside it: nothing of it replaces what others hold"""
    with Lan() as net:
        full, some = pair(net, "--uploads", "allow")
        first = {name: f"first {name}" for name in ("off", "link", "dir", "moved", "empty", "d/one", "d/two")}
        for by_whom, maker in (("its own", some), ("another's", full)):
            for name, text in first.items():
                maker.write(f"{by_whom}/{name}", text)
            offered = os.path.join(full.home, f"up of {by_whom}")
            maker.write(os.path.basename(offered), "first up")
            in_sync(full, some)
            if maker is some:
                ok(some.cli("drop", by_whom, os.path.basename(offered)))
            some.write(f"{by_whom}/x/one", "mine one")
            in_sync(full, some)
            check(not some.exists(f"{by_whom}/off") and not some.exists(os.path.basename(offered)), "they are absent")
            some.stop()
            some.write(f"{by_whom}/off", "mine off")
            some.start()
            some.wait(peers=1)
            with open(offered, "w", encoding="utf-8") as file:
                file.write("mine up")
            ok(full.cli("upload", offered, "--to", "some"))
            os.symlink("nowhere", some.at(f"{by_whom}/link"))
            some.write(f"{by_whom}/dir/in/f", "mine dir")
            some.write("elsewhere", "mine moved")
            os.rename(some.at("elsewhere"), some.at(f"{by_whom}/moved"))
            some.write(f"{by_whom}/empty", "")
            os.rename(some.at(f"{by_whom}/x"), some.at(f"{by_whom}/d"))
            in_sync(full, some)
            here = {}
            def settled_there():
                here.clear()
                here.update({name[len(by_whom) + 1:]: full.read(name).decode() for name in full.files() if name.startswith(by_whom)})
                return sum("conflict" in name for name in here) >= 5
            eventually(settled_there, 15, lambda: f"{by_whom}: {sorted(here)}", 0.2)
            in_sync(full, some)
            settled_there()
            texts = list(here.values())
            for name, text in first.items():
                check(text in texts, f"{by_whom}: {text!r} is nowhere among {sorted(here.items())}")
                check(name == "dir" or here.get(name) == text, f"{by_whom}: {name} holds {here.get(name)!r}")
            check_equal((full.read(os.path.basename(offered)), full.read(f"{os.path.basename(offered)} (from full)")),
                        (b"first up", b"mine up"), f"the upload, {by_whom}")
            for text in ("mine off", "mine dir", "mine moved", "mine one", ""):
                check(text in texts, f"{by_whom}: {text!r} is nowhere among {sorted(here.items())}")


if __name__ == "__main__":
    main(__name__)

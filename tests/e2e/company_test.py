"""What a node says of the others: who is behind, what is on no other machine, whose file is missing."""
import os

from cases import check, check_equal, eventually, main
from lan import FAST, Lan

SLOW = ("--limit", "2M")


def company(net):
    hub = net.node("hub").start(*FAST, *SLOW, "--role", "server")
    member = net.node("bert").start(*FAST)
    member.wait(peers=1)
    return hub, member


def fetching(member):
    """The row of what comes in, once a fifth of it is there."""
    rows = [t for t in member.status()["transfers"] if t["direction"] == "in" and t["done"] * 5 > t["size"]]
    return rows[0] if rows else None


def test_wait_on_the_hub():
    """`wait` on the hub lasts until the other has it; `status` says who is behind; a pause is named."""
    with Lan() as net:
        hub, bert = company(net)
        hub.write("film.bin", os.urandom(8_000_000))
        waited = hub.cli("wait", "--timeout", "1500ms")
        check_equal(waited.code, 1, f"`wait` while the other fetches: {waited}")
        check("bert is behind by 1 file" in waited.stderr, f"{waited}")
        said = hub.status()
        check_equal(said["state"], "syncing", f"state of the hub, {said['reason']!r}")
        behind = said["peers"][0]["behind"]
        check(behind["files"] == 1 and 0 < behind["bytes"] <= 8_000_000, f"behind: {behind}")
        check("1 file, " in hub.cli("peers").stdout, f"{hub.cli('peers').stdout}")
        check_equal(hub.cli("wait", "--timeout", "20s").code, 0, "`wait` in the end")
        check(bert.exists("film.bin"), "`wait` returned before the other had it")
        check_equal(hub.status()["state"], "in-sync", "state in the end")
        bert.cli("pause")
        hub.write("later.txt", "later")
        waited = hub.cli("wait", "--timeout", "2s")
        check(waited.code == 1 and "bert is behind by 1 file" in waited.stderr and "paused" in waited.stderr, f"{waited}")
        found = hub.cli("doctor")
        check(found.code == 1 and "paused" in found.stdout, f"doctor: {found}")
        bert.cli("resume")
        check_equal(hub.cli("wait", "--all", "--timeout", "20s").code, 0, "`wait --all`")


def test_hub_that_goes_in_between():
    """A hub that is stopped or killed while the other fetches: both say what is missing where, and it goes on."""
    for how in ("stop", "kill"):
        with Lan() as net:
            hub, bert = company(net)
            hub.write("film.bin", os.urandom(12_000_000))
            eventually(lambda: fetching(bert), 20, "a fifth of the file", 0.05)
            if how == "stop":
                said = hub.cli("stop")
                check("1 file is on no other machine yet" in said.stdout, f"stop: {said}")
                hub.process.wait(5)
                check("1 file is on no other machine yet" in hub.log(), "the log does not say it")
                hub.process = None
            else:
                hub.kill()
            eventually(lambda: "film.bin is here by" in bert.status()["reason"], 15,
                       lambda: f"what is missing: {bert.status()['reason']!r}")
            said = bert.status()["reason"]
            check("hub, which held it, is gone" in said, f"{said!r}")
            check_equal(bert.cli("doctor").code, 1, "doctor of who misses it")
            check_equal(bert.status()["state"], "syncing", "state of who misses it")
            check_equal(bert.cli("wait", "--timeout", "2s").code, 1, "wait of who misses it")
            hub.start(*FAST)
            eventually(lambda: bert.exists("film.bin"), 60, "the file after all", 0.2)
            for node in (hub, bert):
                node.wait(peers=1)
            check("is gone" not in bert.status()["reason"], f"{bert.status()['reason']!r}")


def test_many_small_files():
    """Thousands of small files: a total, a rate and a time left, on both sides."""
    with Lan() as net:
        hub, bert = net.node("hub"), net.node("bert")
        for number in range(6000):
            hub.write(f"d{number // 100}/{number}.txt", os.urandom(3000))
        hub.start(*FAST, "--limit", "3M", "--role", "server")
        hub.wait()
        bert.start(*FAST)
        def moving():
            said = bert.status()["progress"]
            return said if said["files_per_second"] > 0 and said["seconds_left"] else None
        said = eventually(moving, 30, lambda: f"progress: {bert.status()['progress']}", 0.1)
        check(said["files"] >= 1000 and 0 < said["files_left"] <= said["files"], f"{said}")
        check("files/s" in bert.cli("status").stdout, f"{bert.cli('status').stdout}")
        there = hub.status()
        check(there["peers"][0]["behind"]["files"] > 0 and there["progress"]["files_left"] > 0, f"{there['progress']}")
        bert.wait(peers=1, seconds=60)
        check_equal(bert.status()["progress"]["files_left"], 0, "files left in the end")


if __name__ == "__main__":
    main(__name__)

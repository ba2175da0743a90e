"""Machines that fall asleep: a process stopped for a minute is in sync 5 s after it goes on, and there is one hub."""
import signal
import time

from cases import check, check_equal, eventually, main
from lan import Lan, settled
from networks_support import FAST, group, hub_of, one_hub, others, within

ASLEEP = 60


def stop(node):
    node.process.send_signal(signal.SIGSTOP)
    return time.monotonic()


def wake(node, since):
    time.sleep(max(0.0, ASLEEP - (time.monotonic() - since)))
    node.process.send_signal(signal.SIGCONT)


def test_asleep_for_a_minute():
    """A client, and in another group the hub, stopped for 60 s: in sync within 5 s, one hub, the group's stayed."""
    # Side by side: the minute is the same for both.
    with Lan() as one, Lan() as two:
        first, second = group(one, "abc"), group(two, "abc")
        client = others(first, hub_of(first))[0]
        old_hub = hub_of(second)
        stopped = stop(client), stop(old_hub)

        hub = hub_of(others(first, client))
        hub.write("meanwhile.txt", "m")
        rest = others(second, old_hub)
        eventually(lambda: one_hub(rest), 10, "a new hub of the rest")
        new_hub = hub_of(rest)
        term = new_hub.status()["term"]
        rest[0].write("meanwhile.txt", "m")
        settled(rest)

        wake(client, stopped[0])
        within(5, client, hub, "meanwhile.txt")
        check_equal(hub_of(first).name, hub.name, "the hub after a client slept")

        wake(old_hub, stopped[1])
        within(5, old_hub, new_hub, "meanwhile.txt")
        check(one_hub(second), "one hub after the old one woke")
        check_equal((new_hub.status()["role"], new_hub.status()["term"]), ("server", term), "the group's hub and term")
        for nodes in (first, second):
            nodes[0].write("after.txt", "a")
            settled(nodes)


if __name__ == "__main__":
    main(__name__)

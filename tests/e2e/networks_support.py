"""What the tests of networks and of sleep share: a group that is in sync, its hub, and how fast a node returns."""
import time

from cases import Failure

FAST = ("--settle", "200ms")


def group(net, names, *options):
    nodes = [net.node(name) for name in names]
    for node in nodes:
        node.start(*FAST, *options, wait_ready=False)
    for node in nodes:
        node.wait_ready()
    for node in nodes:
        node.wait(peers=len(nodes) - 1)
    return nodes


def others(nodes, *without):
    return [node for node in nodes if node not in without]


def roles(nodes):
    return {node.name: node.status()["role"] for node in nodes}


def one_hub(nodes):
    """True if one of them is hub and all follow it."""
    said = [node.status() for node in nodes]
    hubs = [s["node"]["id"] for s in said if s["role"] in ("server", "proxy")]
    return len(hubs) == 1 and all((s["hub"] or {}).get("id") == hubs[0] for s in said)


def hub_of(nodes):
    hubs = [node for node in nodes if node.status()["role"] in ("server", "proxy")]
    if len(hubs) != 1:
        raise Failure(f"not one hub: {roles(nodes)}")
    return hubs[0]


def within(seconds, node, hub, path):
    """Fails unless `node` follows `hub`, is in sync and has `path` that soon; returns how long it took."""
    started = time.monotonic()
    while True:
        said = node.status()
        took = time.monotonic() - started
        follows = (said["hub"] or {}).get("name") == hub.name
        if follows and said["state"] == "in-sync" and node.exists(path):
            print(f"        {node.name} is back after {took:.2f} s", flush=True)
            return took
        if took > seconds:
            raise Failure(f"{node.name} is not back {seconds} s later: {said['role']}, hub {said['hub']}, "
                          f"{said['state']}: {said['reason']!r}, has {path}: {node.exists(path)}")
        time.sleep(0.05)

"""The command table of the contract, walked: every command is there, has help with an example, and its JSON has its
fields. contract_table.md is a copy of the table."""
import hashlib
import os
import re
import subprocess

from cases import check, check_equal, eventually, main
from lan import Lan, program, settled

HERE = os.path.dirname(os.path.abspath(__file__))
# Commands that may be missing yet. One that is there has to have its help.
NOT_YET = {"put", "copies", "where"}
ALIASES = {"IndexGet": "index", "FileHash": "hash", "FileDownload": "download", "FileUpload": "upload"}
TEXT, NUMBER, FLAG = (str,), (int,), (bool,)
MAYBE_FLAG = (bool, type(None))

PEER = {"id": TEXT, "name": TEXT, "role": TEXT, "address": TEXT, "port": NUMBER, "state": TEXT,
        "rtt_ms": (int, type(None))}
FILE = {"name": TEXT, "size": NUMBER, "mtime": TEXT, "type": TEXT}
HASH = {"name": TEXT, "md5": TEXT, "mtime": TEXT, "same": MAYBE_FLAG}
# What is asked of b, whose hub is a: arguments, is it a list, fields of the document or of each row.
PROBES = {
    "status": [(("status",), False, {"node": (dict,), "group": (dict,), "role": TEXT, "why_role": TEXT, "hub": (dict,),
                                     "term": NUMBER, "state": TEXT, "reason": TEXT, "folder": (dict,),
                                     "pending": (dict,), "held_deletes": NUMBER, "conflicts": NUMBER,
                                     "under_replicated": NUMBER, "peers": (list,), "transfers": (list,),
                                     "counters": (dict,)})],
    "wait": [(("wait", "--timeout", "20s"), False, {})],
    "why": [(("why",), True, {}), (("why", "a.txt"), True, {"name": TEXT, "state": TEXT, "holders": (list,)})],
    "peers": [(("peers",), True, {**PEER, "reason": TEXT, "behind": (dict, type(None))})],
    "index": [(("index", "longlist"), True, FILE),
              (("index", "shortlist", "0", "4000000000"), True, FILE),
              (("index", "regex", "."), True, FILE),
              (("index", "longlist", "--peer", "a"), True, FILE)],
    "hash": [(("hash", "verify", "a.txt"), False, HASH), (("hash", "checkall"), True, HASH),
             (("hash", "checkall", "--repair", "--peer", "a"), True, HASH)],
    "search": [(("search", "a.txt"), True, {**FILE, "address": TEXT, "port": NUMBER, "node": TEXT}),
               (("search", "--regex", "a.*"), True, {**FILE, "address": TEXT, "port": NUMBER, "node": TEXT})],
    "history": [(("history",), True, {"time": TEXT, "direction": TEXT, "peer": TEXT, "command": TEXT,
                                      "arguments": TEXT, "result": TEXT}),
                (("history", "--since", "2020-01-01"), True, {})],
    "upload": [(("upload", "OUTSIDE", "--to", "a"), False,
                {"name": TEXT, "size": NUMBER, "mtime": TEXT, "md5": TEXT, "peer": TEXT, "carrier": TEXT,
                 "seconds": (float, int)})],
    "download": [(("download", "a.txt", "--output", "FETCHED"), False,
                  {"name": TEXT, "size": NUMBER, "mtime": TEXT, "md5": TEXT, "peer": TEXT, "carrier": TEXT,
                   "seconds": (float, int)})],
    "uploads": [(("uploads",), True, {"id": NUMBER, "name": TEXT, "size": NUMBER, "from": TEXT, "expires": TEXT})],
    "conflicts": [(("conflicts",), True, {})],
    "trash": [(("trash",), True, {}), (("trash", "--since", "2020-01-01"), True, {})],
    "plan": [(("plan",), True, {})],
    "pause": [(("pause",), False, {})],
    "resume": [(("resume",), False, {})],
    "rescan": [(("rescan",), False, {})],
    "doctor": [(("doctor",), False, {})],
    "genpass": [(("genpass",), False, {})],
    "version": [(("version",), False, {"version": TEXT, "protocol": NUMBER})],
}
# There is nothing to confirm or reject here, which is exit 1; get and drop are asked of a node on demand; the end of
# the test stops a node.
APART = {"confirm", "reject", "get", "drop", "stop"}


def table_commands():
    """Every command that stands in the table's first column."""
    with open(os.path.join(HERE, "contract_table.md"), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("| `")]
    found = []
    for row in rows:
        first = row.replace("\\|", "/").split("|")[1]
        for part in re.findall(r"`([^`]*)`", first):
            word = part.split()[0]
            if word not in found:
                found.append(word)
    return found


def run_help(name):
    return subprocess.run([program(), name, "--help"], capture_output=True, text=True)


def test_table_is_whole():
    """The copy of the table has the contract's commands, and each has a probe, a place apart, or is marked as later."""
    names = table_commands()
    check(len(names) >= 27, f"the table has {names}")
    for name in names:
        check(name in PROBES or name in APART or name in NOT_YET, f"nothing is known of {name}")


def test_help():
    """Each command has --help with its options and an example, and stands in the list of commands."""
    everything = subprocess.run([program(), "--help"], capture_output=True, text=True).stdout
    for name in table_commands() + list(ALIASES):
        listed = re.search(rf"^  {ALIASES.get(name, name)} ", everything, re.MULTILINE)
        if not listed and ALIASES.get(name, name) in NOT_YET:
            continue
        done = run_help(name)
        check_equal(done.returncode, 0, f"exit code of {name} --help ({done.stderr!r})")
        check("Example:" in done.stdout, f"the help of {name} has no example")
        check("--json" in done.stdout, f"the help of {name} does not know --json")
        check(listed, f"--help does not list {name}")


def check_fields(name, rows, fields):
    for row in rows:
        for field, kinds in fields.items():
            check(isinstance(row, dict) and field in row, f"{name}: {row!r} has no {field!r}")
            check(isinstance(row[field], kinds) and (bool in kinds or not isinstance(row[field], bool)),
                  f"{name}: {field} of {row!r}")


def test_documents():
    """Each command's --json is one document of its kind, with the fields of the contract."""
    with Lan() as net:
        a, b, thin = net.node("a"), net.node("b"), net.node("thin")
        a.start("--role", "server", "--settle", "200ms", "--uploads", "allow")
        a.write("a.txt", b"text\n")
        a.write("sub/b.txt", b"more text\n")
        b.start("--settle", "200ms")
        settled([a, b])
        outside = os.path.join(b.home, "outside.txt")
        with open(outside, "wb") as file:
            file.write(b"outside")
        # An offer that waits while the others are asked.
        waiting = subprocess.Popen([program(), "-C", a.path, "upload", outside, "--to", "b"], env=a.environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: b.cli("uploads", "--json").json, 20, "the offer waits")
        for name in table_commands():
            for arguments, is_list, fields in PROBES.get(name, ()):
                places = {"OUTSIDE": outside, "FETCHED": outside + ".fetched"}
                arguments = [places.get(word, word) for word in arguments]
                done = b.cli(*arguments, "--json")
                check_equal((done.code, done.stderr), (0, ""), f"{' '.join(arguments)}: {done}")
                document = done.json
                check_equal(isinstance(document, list), is_list, f"{name} is a list")
                if fields and is_list:
                    check(document, f"{' '.join(arguments)} lists nothing")
                check_fields(" ".join(arguments), document if is_list else [document], fields)
        waiting.kill()
        waiting.communicate()
        for alias, arguments in (("IndexGet", ("longlist",)), ("FileHash", ("verify", "a.txt"))):
            check_equal(b.cli(alias, *arguments, "--json").code, 0, alias)
        check_equal(b.cli("hash", "verify", "a.txt", "--json").json["md5"], hashlib.md5(b"text\n").hexdigest(), "MD5")
        thin.start("--settle", "200ms", "--on-demand")
        thin.wait(peers=2)
        for command in ("get", "drop"):
            done = thin.cli(command, "a.txt", "--json")
            check_equal((done.code, done.stderr), (0, ""), f"{command}: {done}")
            check_equal(os.path.exists(os.path.join(thin.path, "a.txt")), command == "get", f"{command}: the file is there")
            check(isinstance(done.json, (dict, list)), f"{command}: {done.json!r}")
        for name in ("confirm", "reject"):
            done = b.cli(name, "--json")
            check_equal((done.code, done.json["error"]["code"]), (1, 1), f"{name} with nothing held: {done}")
            check(done.json["error"]["message"] in done.stderr, f"{name}: {done}")
        check_equal(b.cli("stop", "--json").code, 0, "stop")


if __name__ == "__main__":
    main(__name__)

"""The shells' completions know every command and option that the program knows."""
import os
import re
import subprocess
import tempfile

import lan
from cases import check, check_equal, main

PACKAGING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging")


def help_of(*command):
    return subprocess.run([lan.program(), *command, "--help"], capture_output=True, text=True, check=True).stdout


def commands():
    text = help_of()
    section = text[text.index("Commands:"):text.index("\nEvery")]
    return re.findall(r"^  ([a-z]+) ", section, re.MULTILINE)


def options(command):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", help_of(command))) - {"--no-on-demand"}


def read(name):
    with open(os.path.join(PACKAGING, name), encoding="utf-8") as file:
        return file.read()


def bash(*words, cwd=None):
    """What bash offers for the last word."""
    script = f"source {PACKAGING}/lansync.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _lansync; " \
             "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True, cwd=cwd,
                          env={**os.environ, "PATH": os.path.dirname(lan.program()) + ":" + os.environ["PATH"]})
    check_equal(done.stderr, "", "errors")
    return set(done.stdout.split())


def test_every_command_and_option():
    """Each command, and each option of `run` and of the commands, stands in all three."""
    names = commands()
    check(len(names) >= 16, f"the help lists {names}")
    for shell in ("lansync.bash", "_lansync", "lansync.fish"):
        text = read(shell)
        for name in names:
            check(re.search(rf"(?<![\w-]){name}(?![\w-])", text), f"{shell} lacks {name}")
            for option in options(name):
                word = f"-l {option[2:]} " if shell.endswith("fish") else option
                check(re.search(rf"{re.escape(word.strip())}(?![\w-])", text), f"{shell} lacks {option} of {name}")


def test_bash_offers_what_fits():
    """bash offers commands, the options of the command that stands there, and values."""
    check({"status", "stop"} <= bash("lansync", "st"), f"{bash('lansync', 'st')}")
    check_equal(bash("lansync", "--carrier", ""), {"auto", "enet", "lane", "tcp"}, "carriers")
    check("--timeout" in bash("lansync", "wait", "--t"), "wait has --timeout")
    check("--timeout" not in bash("lansync", "status", "--t"), "status has no --timeout")
    check_equal(bash("lansync", "-C", "/nowhere", "tr"), {"trash"}, "a command after -C")
    for name in commands():
        if name == "run":
            continue
        offered = bash("lansync", name, "--")
        check(options(name) <= offered, f"{name}: {sorted(options(name) - offered)} are not offered")
    check(options("run") <= bash("lansync", "--") | {"--json"}, f"run: {options('run') - bash('lansync', '--')}")


def test_bash_offers_names():
    """Where a path is due bash offers those of the folder, and those where one stands."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, ".lansync"))
        os.makedirs(os.path.join(folder, "notes"))
        for name in ("plan.txt", "notes/plain.txt"):
            open(os.path.join(folder, name), "w", encoding="utf-8").close()
        for command in (("why",), ("get",), ("drop",), ("download",), ("hash", "verify"), ("search",), ("copies",)):
            check_equal(bash("lansync", "-C", folder, *command, "pl"), {"plan.txt"}, f"names for {command}")
        check("--json" in bash("lansync", "-C", folder, "why", "--"), "options after names are offered")
        check_equal(bash("lansync", "-C", folder, "why", ""), {"plan.txt", "notes"}, "what is ours is no name")
        check_equal(bash("lansync", "get", "pl", cwd=os.path.join(folder, "notes")), {"plan.txt", "plain.txt"},
                    "from within the folder")


if __name__ == "__main__":
    main(__name__)

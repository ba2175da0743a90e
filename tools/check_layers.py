#!/usr/bin/env python3
"""House rules as a test: layers, banned calls, lengths, and that what is written is also built.

`check_layers.py` looks at the whole tree, prints one line for each finding, exit 1 if there is any.
`check_layers.py --self-test` shows that each rule can fail. Both are in ctest (tests/e2e/CMakeLists.txt).
"""
import os
import re
import sys
import tempfile

# What a layer may include besides itself. Arrows point down only (docs/architecture.md).
LAYERS = {
    "base": set(),
    "discovery": {"base"},
    "transport": {"base"},
    "sync": {"base"},
    "roles": {"base", "discovery", "transport", "sync"},
    # Implements interfaces that the layers above it own: it sees them, but decides nothing for them.
    "platform": {"base", "discovery", "transport", "sync", "roles"},
    "app": {"base", "discovery", "transport", "sync", "roles", "platform"},
}

# Which layers may include a library, and whether headers may: a heavy header in one of ours is paid by all.
LIBRARIES = {
    "asio": ({"platform", "app"}, False),
    "sqlite3": ({"platform"}, False),
    "spdlog": ({"platform", "app"}, False),
    "msgpack": ({"transport"}, False),
    "enet": ({"transport", "platform"}, True),
    "openssl": ({"discovery", "transport", "sync"}, True),
    "nlohmann": ({"app"}, True),
    "CLI": ({"app"}, False),
    "toml++": ({"app"}, False),
    "re2": ({"sync", "app"}, False),
    "xxhash": ({"transport", "platform"}, False),
    "pcap": (set(), False),  # tools/ only
    "catch2": (set(), False),
}
# message_fields.h is the one header that msgpack's readers and writers share; nothing else includes it.
HEADER_EXCEPTIONS = {("src/transport/message_fields.h", "msgpack")}

# Reaching for what has to be passed in. Not in platform and app, which are where it is passed in from.
BANNED = [
    (r"::now\s*\(\s*\)", "the clock is passed in: take `Instant now` or a Clock"),
    (r"\b(std::)?(random_device|mt19937\w*|s?rand\s*\(|getrandom)\b", "randomness is passed in: RandomSource"),
    (r"\bRAND_(priv_)?bytes\b", "randomness is passed in: RandomSource"),
    (r"\b(secure_)?getenv\s*\(", "the environment is read in app"),
    (r"\bstd::(j?thread|mutex|shared_mutex|condition_variable|async)\b", "threads stand in platform"),
    (r"\bsleep(_for|_until)?\s*\(|\b[un]sleep\s*\(", "nothing sleeps: report a deadline"),
    (r"\b(system|popen)\s*\(", "a shell"),
    (r"#include <(thread|mutex|filesystem|fstream|iostream)>", "files and threads stand in platform"),
    (r"\b(clock_gettime|gettimeofday|time\s*\((nullptr|NULL|0)\))", "the clock is passed in"),
]
# Everywhere.
BANNED_EVERYWHERE = [
    (r"#include <(format|print|expected)>", "gcc 12 does not have it: str(...) of base/log.h"),
    (r"\b(TODO|FIXME|XXX|HACK)\b", "finish it, or write an issue"),
    (r"\bassert\s*\(", "LS_ASSERT: it also holds in release"),
    (r"\b(strcpy|strcat|sprintf|gets)\s*\(", "unbounded"),
]
BANNED_IN_HEADERS = [(r"^\s*using namespace\b", "a header's `using namespace` is everybody's")]

MAX_LINES = 700
MAX_COLUMNS = 100  # of code; clang-format leaves long strings and comments alone
SUFFIXES = (".h", ".cpp")


def strip_comments(text):
    """The code with comments and the contents of strings blanked, line numbers kept."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)

    def blank(match):
        token = match.group(0)
        if token.startswith(("//", "/*")):
            return re.sub(r"[^\n]", " ", token)
        return '"' + re.sub(r"[^\n]", " ", token[1:-1]) + '"'

    # Includes name files in quotes: they are read from the text itself, before this.
    return pattern.sub(blank, text)


class Findings:
    def __init__(self):
        self.lines = []

    def add(self, path, line, text):
        self.lines.append(f"{path}:{line}: {text}")


def check_includes(path, layer, text, out):
    for number, line in enumerate(text.splitlines(), 1):
        own = re.match(r'\s*#include "([a-z_0-9]+)/', line)
        if own and own.group(1) in LAYERS and own.group(1) != layer:
            if own.group(1) not in LAYERS[layer]:
                out.add(path, number, f"{layer} may not include {own.group(1)}")
        library = re.match(r'\s*#include [<"]([A-Za-z0-9_+]+)[/.]', line)
        if library and library.group(1) in LIBRARIES:
            name = library.group(1)
            layers, in_headers = LIBRARIES[name]
            if layer not in layers:
                out.add(path, number, f"{name} is not used in {layer}")
            elif path.endswith(".h") and not in_headers and (path, name) not in HEADER_EXCEPTIONS:
                out.add(path, number, f"{name} stays out of headers: include it in the .cpp")


def check_banned(path, layer, text, out):
    code = strip_comments(text).splitlines()
    raw = text.splitlines()
    rules = list(BANNED_EVERYWHERE)
    if path.endswith(".h"):
        rules += BANNED_IN_HEADERS
    if layer and layer not in ("platform", "app"):
        rules += BANNED
    for number, (clean, line) in enumerate(zip(code, raw), 1):
        for pattern, why in rules:
            # Words of shame hide in comments, includes in what the strings' blanking took away.
            where = line if "TODO" in pattern or "#include" in pattern else clean
            if re.search(pattern, where):
                out.add(path, number, f"{re.search(pattern, where).group(0).strip()}: {why}")


def check_shape(path, text, out):
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        out.add(path, len(lines), f"{len(lines)} lines, {MAX_LINES} at most: split it by subject")
    for number, line in enumerate(lines, 1):
        if line.rstrip() != line:
            out.add(path, number, "trailing white space")
        if "\t" in line:
            out.add(path, number, "a tab")
    if path.endswith(".h"):
        if "#pragma once" not in text:
            out.add(path, 1, "no #pragma once")
        if not lines or not lines[0].startswith("//"):
            out.add(path, 1, "a header opens with what it is and its invariant")


ASSERTS_PAGE = "docs/security-asserts.md"


def check_asserts(root, counted, out):
    """Each file's number of LS_ASSERT against the reviewed one: a new one needs a reason on that page."""
    full = os.path.join(root, ASSERTS_PAGE)
    reviewed = {}
    if os.path.exists(full):
        with open(full, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                row = re.match(r"\| (src/\S+) \| (\d+) \| \S", line)
                if row:
                    reviewed[row.group(1)] = (int(row.group(2)), number)
    for path, count in sorted(counted.items()):
        known = reviewed.get(path, (0, 0))[0]
        if count != known:
            out.add(path, 1, f"{count} LS_ASSERT, {known} reviewed: say in {ASSERTS_PAGE} why nobody outside drives it")
    for path, (_, number) in sorted(reviewed.items()):
        if path not in counted:
            out.add(ASSERTS_PAGE, number, f"{path} has no LS_ASSERT: take the row out")


def listed_sources(root):
    """The names of all sources that a CMakeLists.txt speaks of."""
    found = set()
    for top in ("src", "tests", "tools"):
        for directory, _, names in os.walk(os.path.join(root, top)):
            if "CMakeLists.txt" in names:
                with open(os.path.join(directory, "CMakeLists.txt"), encoding="utf-8") as file:
                    words = re.sub(r"#[^\n]*", "", file.read())
                found.update(os.path.basename(w) for w in re.findall(r"[\w./${}-]+\.(?:cpp|py)\b", words))
    return found


def check(root):
    out = Findings()
    listed = listed_sources(root)
    asserts = {}
    for top in ("src", "tests", "tools"):
        for directory, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in ("corpus", "__pycache__"))
            for name in sorted(names):
                full = os.path.join(directory, name)
                path = os.path.relpath(full, root)
                if name.endswith(SUFFIXES):
                    with open(full, encoding="utf-8") as file:
                        text = file.read()
                    layer = path.split("/")[1] if top == "src" else None
                    found = len(re.findall(r"\bLS_ASSERT\s*\(", strip_comments(text)))
                    if top == "src" and found and path != "src/base/assert.h":
                        asserts[path] = found
                    if layer:
                        if layer not in LAYERS:
                            out.add(path, 1, f"{layer} is no layer")
                            continue
                        check_includes(path, layer, text, out)
                    check_banned(path, layer, text, out)
                    check_shape(path, text, out)
                if name.endswith((".cpp", "_test.py")) and name not in listed:
                    out.add(path, 1, "is in no CMakeLists.txt: it is never built or run")
    check_asserts(root, asserts, out)
    return out.lines


def self_test():
    """Each rule, broken once in a tree of its own, must be found."""
    header = "// What it is.\n#pragma once\n"
    broken = {
        "base may not include sync": ("src/base/a.h", header + '#include "sync/index.h"\n'),
        "sync may not include transport": ("src/sync/a.h", header + '#include "transport/session.h"\n'),
        "roles may not include platform": ("src/roles/a.h", header + '#include "platform/posix.h"\n'),
        "asio is not used in roles": ("src/roles/a.h", header + "#include <asio.hpp>\n"),
        "sqlite3 is not used in sync": ("src/sync/a.h", header + "#include <sqlite3.h>\n"),
        "stays out of headers": ("src/platform/a.h", header + "#include <spdlog/spdlog.h>\n"),
        "the clock is passed in": ("src/sync/a.h", header + "auto t = std::chrono::steady_clock::now();\n"),
        "randomness is passed in": ("src/roles/a.h", header + "std::random_device device;\n"),
        "environment is read in app": ("src/transport/a.h", header + 'auto x = std::getenv("HOME");\n'),
        "threads stand in platform": ("src/discovery/a.h", header + "std::mutex mutex_;\n"),
        "nothing sleeps": ("src/roles/a.h", header + "std::this_thread::sleep_for(x);\n"),
        "gcc 12 does not have it": ("src/app/a.h", header + "#include <format>\n"),
        "finish it": ("src/app/a.h", header + "// TO" "DO: more\n"),
        "LS_ASSERT": ("src/app/a.h", header + "void f() { assert(x); }\n"),
        "everybody's": ("src/app/a.h", header + "using namespace std;\n"),
        "700 at most": ("src/app/a.h", header + "\n" * 700),
        "trailing white space": ("src/app/a.h", header + "int x; \n"),
        "no #pragma once": ("src/app/a.h", "// What it is.\n"),
        "a header opens with": ("src/app/a.h", "#pragma once\n"),
        "never built": ("tests/unit/base/forgotten_test.cpp", "int x;\n"),
        "is no layer": ("src/misc/a.h", header),
        "1 LS_ASSERT, 0 reviewed": ("src/app/a.h", header + "void f() { LS_ASSERT(x); }\n"),
        "take the row out": (ASSERTS_PAGE, "| src/app/a.h | 1 | why |\n"),
    }
    harmless = {
        "src/sync/a.h": header + '// steady_clock::now() is not for us\nconst char* k = "getenv(x)";\n',
        "src/platform/a.h": header + '#include "sync/file_system.h"\nauto t = std::chrono::steady_clock::now();\n',
    }
    failed = 0
    for expected, (path, text) in broken.items():
        found = _check_one({path: text})
        if len(found) != 1 or expected not in found[0]:
            print(f"self-test: {expected!r} expected in {path}, found {found}")
            failed += 1
    found = _check_one(harmless)
    if found:
        print(f"self-test: nothing expected, found {found}")
        failed += 1
    print(f"{len(broken) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


def _check_one(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        return check(root)


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = check(root)
    for line in found:
        print(line)
    print(f"{len(found)} findings" if found else "layers and house rules: good")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""What a folder holds, as a value: for comparing the folders of several nodes, and with what they should be."""
import hashlib
import os
import stat


def snapshot(root, mtimes=False):
    """{path: (kind, mode, content)} of everything below `root` but .lansync. Links are not followed.

    A file that vanishes under the reader is left out: callers compare again until they agree.
    """
    found = {}

    def enter(directory, prefix):
        try:
            names = sorted(os.listdir(directory))
        except FileNotFoundError:
            return
        for name in names:
            if not prefix and name == ".lansync":
                continue
            path, inner = os.path.join(directory, name), prefix + name
            try:
                info = os.lstat(path)
                mode = stat.S_IMODE(info.st_mode)
                if stat.S_ISDIR(info.st_mode):
                    found[inner] = ("dir", mode, None)
                    enter(path, inner + "/")
                elif stat.S_ISLNK(info.st_mode):
                    found[inner] = ("link", None, os.readlink(path))
                elif stat.S_ISREG(info.st_mode):
                    content = digest(path)
                    if mtimes:
                        content += f" @{info.st_mtime_ns}"
                    found[inner] = ("file", mode, content)
                else:
                    found[inner] = ("special", mode, None)
            except FileNotFoundError:
                continue

    enter(os.fspath(root), "")
    return found


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(root):
    """The digests of all files at user paths: what must not get lost."""
    return {entry[2] for entry in snapshot(root).values() if entry[0] == "file"}


def differences(first, second, names=("first", "second"), limit=12):
    """Lines that say how two snapshots differ; empty if they do not."""
    lines = []
    for path in sorted(set(first) | set(second)):
        a, b = first.get(path), second.get(path)
        if a == b:
            continue
        if b is None:
            lines.append(f"{path!r}: only on {names[0]} ({a[0]})")
        elif a is None:
            lines.append(f"{path!r}: only on {names[1]} ({b[0]})")
        else:
            lines.append(f"{path!r}: {_show(a)} on {names[0]}, {_show(b)} on {names[1]}")
    if len(lines) > limit:
        lines = lines[:limit] + [f"... and {len(lines) - limit} more"]
    return lines


def _show(entry):
    kind, mode, content = entry
    text = kind if mode is None else f"{kind} {mode:04o}"
    return f"{text} {content[:12]}" if content else text


def payload(size, seed):
    """`size` bytes that no compressor and no copy makes smaller, the same for the same seed."""
    out = hashlib.shake_128(str(seed).encode()).digest(min(size, 1 << 20))
    if size <= len(out):
        return out
    blocks = [out]
    made = len(out)
    while made < size:
        out = hashlib.shake_128(out[:32] + made.to_bytes(8, "big")).digest(min(size - made, 1 << 20))
        blocks.append(out)
        made += len(out)
    return b"".join(blocks)

"""Runs the test_* functions of one file: `python3 NAME_test.py [WORD...]` runs those whose title has a word.

A test's title is its docstring's first line. Exit 0: all passed; 1: some failed; 77: cannot run here (ctest
shows it as skipped, with the reason).
"""
import os
import signal
import sys
import time
import traceback

import lan
import netns

TIMEOUT = 180  # seconds that one test may take; a test that needs more says so with @timeout


class Failure(AssertionError):
    """A test found what must not be."""


class TimedOut(Exception):
    """A test took longer than it may."""


def timeout(seconds):
    def mark(function):
        function.timeout = seconds
        return function
    return mark


def check(condition, message):
    if not condition:
        raise Failure(message() if callable(message) else message)


def check_equal(actual, expected, what):
    check(actual == expected, lambda: f"{what}: {actual!r}, expected {expected!r}")


def eventually(ask, seconds, what, every=0.02):
    """Asks until the answer is true and returns it; fails with `what` after that many seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise Failure(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(every)


def _on_alarm(_signal, _frame):
    raise TimedOut("the test took too long")


def _on_terminate(_signal, _frame):
    sys.exit(143)  # as an exception: every `with` cleans up on its way out


def _title(function):
    return (function.__doc__ or function.__name__).strip().splitlines()[0].rstrip(".")


def _run_one(function):
    signal.alarm(getattr(function, "timeout", TIMEOUT))
    started = time.monotonic()
    try:
        function()
        signal.alarm(0)
        print(f"passed  {_title(function)}  ({time.monotonic() - started:.1f} s)", flush=True)
        return True
    except (Exception, KeyboardInterrupt) as error:
        signal.alarm(0)
        print(f"FAILED  {_title(function)}  ({time.monotonic() - started:.1f} s)")
        if isinstance(error, AssertionError):
            where = traceback.extract_tb(error.__traceback__)
            lines = [f for f in where if os.path.basename(f.filename).endswith("_test.py")]
            print(f"    line {lines[-1].lineno if lines else '?'}: {error}")
        else:
            print("    " + traceback.format_exc().replace("\n", "\n    "))
        for text in lan.last_words():
            print(text)
        sys.stdout.flush()
        if isinstance(error, KeyboardInterrupt):
            raise
        return False


def main(module):
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.signal(signal.SIGTERM, _on_terminate)
    signal.signal(signal.SIGHUP, _on_terminate)
    tests = [value for name, value in vars(sys.modules[module]).items()
             if name.startswith("test_") and callable(value)]
    words = [word.lower() for word in sys.argv[1:]]
    if words:
        tests = [t for t in tests if any(w in (t.__name__ + " " + _title(t)).lower() for w in words)]
    netns.own_mounts()
    reason = netns.why_impossible()
    if reason is None and not os.access(lan.program(), os.X_OK):
        reason = f"{lan.program()} is not there: build `lansync` first, or set LANSYNC_BIN"
        print(f"cannot run: {reason}")
        sys.exit(1)
    if reason:
        print(f"skipped: network namespaces are needed: {reason}")
        sys.exit(77)
    netns.sweep(lan.scratch())
    failed = 0
    for test in tests:
        lan.forget_last_words()
        if not _run_one(test):
            failed += 1
    print(f"{len(tests) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not tests else 0)

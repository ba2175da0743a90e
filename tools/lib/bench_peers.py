"""The programs that tools/bench measures lansync beside: rsync over an sshd of our own, Syncthing.

Invariant: throwaway keys and homes below the run's folder; nothing listens outside the run's namespaces.
"""
import getpass
import http.client
import json
import os
import re
import resource
import shutil
import subprocess
import time

import netns
from bench_support import cpu_seconds


class Sshd:
    """An sshd for one run, on the second host; rsync goes there from the first."""

    def __init__(self, net, args):
        self._home = os.path.join(net.root, "ssh")
        os.makedirs(self._home, mode=0o700, exist_ok=True)
        self._from, to = net.host("n1"), net.host("n2")
        self._address, self._port = net.address("n2"), 22022
        for key in ("host", "user"):
            netns.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self._home}/{key}")
        shutil.copy(f"{self._home}/user.pub", f"{self._home}/authorized")
        with open(f"{self._home}/config", "w", encoding="utf-8") as config:
            config.write(f"Port {self._port}\nListenAddress {self._address}\nHostKey {self._home}/host\n"
                         f"AuthorizedKeysFile {self._home}/authorized\nPidFile none\nStrictModes no\n"
                         "PasswordAuthentication no\nPermitRootLogin prohibit-password\nUsePAM no\n"
                         "Compression no\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd insists on it
        self._log = open(f"{self._home}/log", "wb")
        self._process = netns.popen(to, ["/usr/sbin/sshd", "-D", "-e", "-f", f"{self._home}/config"],
                                    stdout=self._log, stderr=self._log)
        self._shell = (f"ssh -F none -p {self._port} -i {self._home}/user -o BatchMode=yes "
                       f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={self._home}/known "
                       "-o Compression=no -o LogLevel=ERROR")
        end = time.monotonic() + 5
        while self._run(["ssh", *self._shell.split()[1:], self._target(), "true"]).returncode != 0:
            if time.monotonic() > end:
                with open(f"{self._home}/log", encoding="utf-8", errors="replace") as log:
                    raise AssertionError("sshd does not work here: " + log.read()[-300:])
            time.sleep(0.1)

    def _target(self):
        return f"{getpass.getuser()}@{self._address}"

    def _run(self, command):
        process = netns.popen(self._from, command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
        _, words = process.communicate()
        process.words = words.decode(errors="replace")
        return process

    def best_of_two(self, source, target):
        """(seconds, CPU seconds of rsync and ssh at both ends) of the faster of two runs."""
        runs = []
        for _ in range(2):
            shutil.rmtree(target, ignore_errors=True)
            before, started = self._cpu(), time.monotonic()
            done = self._run(["rsync", "-a", "-e", self._shell, source + "/", f"{self._target()}:{target}/"])
            took = time.monotonic() - started
            if done.returncode != 0:
                raise AssertionError(f"rsync failed: {done.words}")
            time.sleep(0.2)  # sshd collects its child, whose CPU time is counted only then
            runs.append((took, self._cpu() - before))
        shutil.rmtree(target, ignore_errors=True)
        return min(runs)

    def _cpu(self):
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ours.ru_utime + ours.ru_stime + cpu_seconds(self._process.pid, children=True)

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._log.close()


class Syncthing:
    """Two Syncthing nodes that know each other and nobody else, a folder each; driven by their REST interface."""
    PORT, GUI, KEY = 22000, 8384, "bench"

    def __init__(self, net, args):
        self._net, self._hosts = net, ("n1", "n2")
        self._homes = [os.path.join(net.root, f"syncthing-{host}") for host in self._hosts]
        self.folders = [os.path.join(home, "folder") for home in self._homes]
        self._processes = []
        identities = []
        for home, folder in zip(self._homes, self.folders):
            os.makedirs(folder)
            netns.run("syncthing", "generate", f"--home={home}", "--no-default-folder")
            with open(f"{home}/config.xml", encoding="utf-8") as made:
                identities.append(re.search(r'device id="([A-Z0-9-]{63})"', made.read()).group(1))
        for home, folder, host in zip(self._homes, self.folders, self._hosts):
            devices = "".join(f'<device id="{identity}" name="{name}"><address>tcp://{net.address(name)}:{self.PORT}'
                              "</address></device>" for identity, name in zip(identities, self._hosts))
            members = "".join(f'<device id="{identity}"/>' for identity in identities)
            with open(f"{home}/config.xml", "w", encoding="utf-8") as config:
                config.write(
                    f'<configuration version="35"><folder id="bench" path="{folder}" type="sendreceive" '
                    f'rescanIntervalS="0" fsWatcherEnabled="false">{members}</folder>{devices}'
                    f'<gui enabled="true" tls="false"><address>127.0.0.1:{self.GUI}</address><apikey>{self.KEY}</apikey>'
                    f"</gui><options><listenAddress>tcp://{net.address(host)}:{self.PORT}</listenAddress>"
                    "<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false"
                    "</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>"
                    "<urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled>"
                    "<autoUpgradeIntervalH>0</autoUpgradeIntervalH><startBrowser>false</startBrowser>"
                    "</options></configuration>")
            self._processes.append(netns.popen(
                net.host(host), ["syncthing", "serve", f"--home={home}", "--no-browser", "--no-restart", "--no-upgrade"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "STNOUPGRADE": "1", "STMONITORED": "yes"}))
        self._until(lambda: any(one["connected"] for one in
                                self._ask(1, "GET", "/rest/system/connections")["connections"].values()), 60,
                    "Syncthing's nodes are connected")

    def _ask(self, node, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.GUI, timeout=30)
        with netns.Inside(self._net.host(self._hosts[node])):
            connection.connect()
        try:
            connection.request(method, path, headers={"X-API-Key": self.KEY})
            answer = connection.getresponse().read()
        finally:
            connection.close()
        return json.loads(answer) if answer.strip() else None

    def _until(self, ask, seconds, what):
        end = time.monotonic() + seconds
        while True:
            try:
                if ask():
                    return
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                pass
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}")
            time.sleep(0.02)

    def move(self, source):
        """(seconds from the order to scan to `all is there`, CPU seconds of both) for a folder put into the first."""
        target = os.path.join(self.folders[0], os.path.basename(source))
        shutil.copytree(source, target)
        size = sum(os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(source) for name in names)
        have = self._ask(1, "GET", "/rest/db/status?folder=bench")["localBytes"]
        before, started = self._cpu(), time.monotonic()
        self._ask(0, "POST", "/rest/db/scan?folder=bench")

        def there():
            status = self._ask(1, "GET", "/rest/db/status?folder=bench")
            return status["localBytes"] >= have + size and status["needTotalItems"] == 0 and status["state"] == "idle"

        self._until(there, 300, "Syncthing has it there")
        return time.monotonic() - started, self._cpu() - before

    def _cpu(self):
        return sum(cpu_seconds(process.pid, children=True) for process in self._processes)

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()


def syncthing_row(net, args, table, name, source, figure):
    """What Syncthing takes for the same, where it is installed; figure(seconds) → (number, unit)."""
    if args.interface == "lo" or not shutil.which("syncthing"):
        table.add_text(f"{name}: Syncthing", "not installed" if args.interface != "lo" else "needs namespaces")
        return
    syncthing = None
    try:
        syncthing = Syncthing(net, args)
        took, cpu = syncthing.move(source)
    except (AssertionError, OSError, netns.CommandFailed, AttributeError) as error:
        table.add_text(f"{name}: Syncthing", "did not work", str(error))
        return
    finally:
        if syncthing:
            syncthing.close()
        for host in ("n1", "n2"):
            shutil.rmtree(os.path.join(net.root, f"syncthing-{host}"), ignore_errors=True)
    table.add(f"{name}: Syncthing", *figure(took), note=f"{took:.2f} s with its hashing, CPU {cpu:.2f} s at both ends")

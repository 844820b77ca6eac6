"""Deployments of the store as operators make them, from real processes of the embedded server."""

from __future__ import annotations

import contextlib
import subprocess
import time

import redis

from streamcount.core.sharing import SLOTS
from streamcount.store.embedded import get_binary_path
from tests.stack import free_port

SENTINEL = """
port {port}
dir {folder}
sentinel monitor counting 127.0.0.1 {master} 2
sentinel down-after-milliseconds counting 2000
sentinel failover-timeout counting 6000
sentinel parallel-syncs counting 1
"""


class Server:
    """One server process, which can be killed and started again: empty, as it keeps nothing."""

    def __init__(self, folder, *options, sentinel=None):
        self.port = free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir()
        plain = [str(get_binary_path()), "--port", str(self.port), "--dir", str(self.folder)]
        plain += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
        if sentinel is not None:
            path = self.folder / "sentinel.conf"
            path.write_text(SENTINEL.format(port=self.port, folder=self.folder, master=sentinel))
            plain = [str(get_binary_path()), str(path), "--sentinel"]
        self.command = plain
        self.client = redis.Redis(port=self.port, socket_timeout=30)
        self.process = None
        self.start()

    def start(self, *options):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*self.command, *options], stdout=log, stderr=log)
        until(self.answers)

    def answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.BusyLoadingError:
            return False
        except redis.exceptions.ConnectionError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    @property
    def place(self):
        return f"127.0.0.1:{self.port}"


def until(reached, seconds=120.0):
    limit = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < limit, "did not happen in time"
        time.sleep(0.05)


class Cluster:
    """Masters of a cluster, each with an equal range of slots, in order."""

    def __init__(self, servers):
        self.servers = servers
        self.url = "redis+cluster://" + ",".join(server.place for server in servers)

    def join(self):
        first, count = self.servers[0], len(self.servers)
        for number, server in enumerate(self.servers):
            ends = -(-SLOTS * number // count), -(-SLOTS * (number + 1) // count) - 1
            server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", *ends)
            if server is not first:
                port, bus = server.port, server.bus
                first.client.execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        until(lambda: all(self.whole(server) for server in self.servers))

    def whole(self, server):
        if not server.answers():
            return False
        told = server.client.execute_command("CLUSTER", "INFO")
        told = told if isinstance(told, dict) else parse(told)
        return (told["cluster_state"], told["cluster_known_nodes"], told["cluster_slots_ok"]) == (
            "ok", str(len(self.servers)), str(SLOTS),
        )  # fmt: skip

    def id(self, server):
        return server.client.execute_command("CLUSTER", "MYID").decode()

    def move(self, slot, source, target, pause_s=0.0):
        """Move a slot as an operator's tool does: mark, migrate key by key, hand over."""
        ids = self.id(source), self.id(target)
        target.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        source.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        moved = 0
        while keys := source.client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10):
            source.client.execute_command(
                "MIGRATE", "127.0.0.1", target.port, "", 0, 30_000, "REPLACE", "KEYS", *keys
            )
            moved += len(keys)
        time.sleep(pause_s)
        for server in (target, source, *self.servers):
            server.client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        return moved


def parse(told):
    lines = told.decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


@contextlib.contextmanager
def cluster(folder, masters=3):
    """Run a cluster of masters without replicas; one that is lost takes only its slots along."""
    servers = []
    try:
        for _ in range(masters):
            bus = free_port()
            servers.append(
                Server(
                    folder, "--cluster-enabled", "yes", "--cluster-port", str(bus),
                    "--cluster-node-timeout", "1500", "--cluster-require-full-coverage", "no",
                )
            )  # fmt: skip
            servers[-1].bus = bus
        made = Cluster(servers)
        made.join()
        yield made
    finally:
        for server in servers:
            server.kill()


class Replicated:
    """A master, a replica, and three sentinels that watch over them."""

    def __init__(self, master, replica, sentinels):
        self.master, self.replica, self.sentinels = master, replica, sentinels
        places = ",".join(server.place for server in sentinels)
        self.url = f"redis+sentinel://{places}/counting"

    def ready(self):
        """Tell whether the replica is in step and every sentinel knows of all others."""
        told = self.sentinels[0].client.execute_command("SENTINEL", "MASTER", "counting")
        told = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
        known = {str_of(k): str_of(v) for k, v in told.items()}
        linked = self.replica.client.info("replication")["master_link_status"] == "up"
        return linked and (known["num-slaves"], known["num-other-sentinels"]) == ("1", "2")

    def named(self):
        """Return the ports of the masters that the sentinels name."""
        return {
            int(server.client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "counting")[1])
            for server in self.sentinels
        }


def str_of(value):
    return value.decode() if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def replicated(folder):
    """Run a master with a replica and three sentinels."""
    servers = []
    try:
        servers.append(Server(folder, "--repl-diskless-sync-delay", "0"))
        master = servers[0]
        servers.append(Server(folder, "--replicaof", "127.0.0.1", str(master.port)))
        servers += [Server(folder, sentinel=master.port) for _ in range(3)]
        made = Replicated(master, servers[1], servers[2:])
        until(made.ready)
        yield made
    finally:
        for server in servers:
            server.kill()

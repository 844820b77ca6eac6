"""Rows of the fault matrix: an event in three buckets over the three masters of a cluster."""

from __future__ import annotations

import signal
import time

from streamcount.core.sharing import slot_of, tags
from tests import deployments
from tests.faults.trial import row

BUCKETS = 3


def begin(trial):
    """Run a cluster and the service on it; return the cluster."""
    cluster = trial.enter(deployments.cluster(trial.folder, BUCKETS))
    trial.begin("--redis-url", cluster.url, "--buckets", str(BUCKETS))
    for server in cluster.servers:
        assert server.client.keys("sc:{lesson.*}:meta"), "a master without a bucket"
    return cluster


def slots(trial):
    """The hash slots of the event's buckets, in order."""
    origin = trial.service.api("/api/events/lesson")["origin"]
    return [slot_of(tag) for tag in tags(f"lesson.{origin.rpartition('/')[2]}", BUCKETS)]


@row(3, "cluster: a master of three killed, restarted empty")
def cluster_master_killed(trial):
    cluster = begin(trial)
    for server in cluster.servers if trial.full else cluster.servers[1:2]:
        server.kill()
        trial.injected()
        trial.uncertain()
        time.sleep(1)
        server.start()
        trial.healed()
        assert not server.client.keys("*:p:*") or server.client.keys("sc:{lesson.*}:meta")


@row(4, "cluster: a master of three hangs (SIGSTOP)")
def cluster_master_hangs(trial):
    cluster = begin(trial)
    for server in cluster.servers if trial.full else cluster.servers[:1]:
        server.process.send_signal(signal.SIGSTOP)
        try:
            trial.injected()
            trial.uncertain()
            time.sleep(2)
        finally:
            server.process.send_signal(signal.SIGCONT)
        trial.healed()


@row(8, "cluster: the slot of a bucket moved to another master, key by key")
def cluster_slot_moved(trial):
    cluster = begin(trial)
    found = slots(trial)
    for number in range(BUCKETS) if trial.full else (1,):
        source, target = cluster.servers[number], cluster.servers[(number + 1) % BUCKETS]
        before = trial.counts()["epoch"]
        assert cluster.move(found[number], source, target, pause_s=2) > 3
        trial.injected()
        trial.healed()
        assert trial.counts()["epoch"] > before
        assert len(target.client.keys("sc:{lesson.*}:meta")) == 2
        assert source.client.keys("sc:{lesson.*}:meta") == []
        if trial.full:
            # And back, so that each of them is moved from where it belongs.
            cluster.move(found[number], target, source)
            trial.injected()
            trial.healed()

"""Rows of the fault matrix: a master, its replica and three sentinels."""

from __future__ import annotations

import signal
import time

from tests import deployments
from tests.faults.trial import row


@row(6, "Sentinel: the master killed, its replica behind; the old master comes back")
def sentinel_failover(trial):
    """What comes next has old data, or none; every worker and the notary find it by themselves."""
    made = trial.enter(deployments.replicated(trial.folder))
    trial.begin("--redis-url", made.url)
    old, new = made.master, made.replica
    for _ in range(2 if trial.full else 1):
        new.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        old.kill()
        new.process.send_signal(signal.SIGCONT)
        trial.injected()
        deployments.until(lambda port=new.port: made.named() == {port})
        trial.healed()
        # A zombie: it believes that it is a master until a sentinel tells it otherwise.
        old.start()
        trial.injected()
        trial.healed()
        if trial.full:
            deployments.until(lambda server=old: is_replica(server))
            trial.healed()
        old, new = new, old


@row(7, "Sentinel: the master hangs, is deposed meanwhile, and goes on with its clients")
def sentinel_zombie(trial):
    made = trial.enter(deployments.replicated(trial.folder))
    trial.begin("--redis-url", made.url)
    old, new = made.master, made.replica
    old.process.send_signal(signal.SIGSTOP)
    try:
        trial.injected()
        deployments.until(lambda: made.named() == {new.port})
        trial.healed()
    finally:
        old.process.send_signal(signal.SIGCONT)
    trial.injected()
    trial.healed()
    deployments.until(lambda: is_replica(old))
    trial.healed()


def is_replica(server):
    info = server.client.info("replication")
    return info["role"] == "slave" and info["master_link_status"] == "up"

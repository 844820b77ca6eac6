"""What goes wrong in a history, and when.

calm     nothing
within   one fault at a time, each healed within the hold before the next begins: nothing may be lost
clock    the store's clock is set when most are there, and they leave soon after
beyond   anything, at any time, for any length, several at once
"""

from __future__ import annotations

from tests.sim.servers import Server
from tests.sim.world import HOLD_S, VIEWERS_MAX

FIRST_S = 4.0
RECOVERY_S = 7.0
# Of a partition: so that, with the tick before it and what is on the way, it stays within the hold.
WITHIN_S = 2.0


def plan(world, kind):
    """Plan a history's faults; return when the event is to be closed, and when they begin."""
    rng = world.rng
    judge = world.judge
    judge.exact = kind != "beyond"
    if kind == "calm":
        return FIRST_S + rng.uniform(6, 14), []
    now = FIRST_S + rng.uniform(0, 3)
    times = []
    if kind == "clock":
        judge.exact, judge.exact_from_s = False, float("inf")
        now += rng.uniform(4, 8)
        world.at(now, _begin, world, store_clock_set, 0.1)
        return now + HOLD_S + 6, [now]
    if kind == "within":
        for _ in range(rng.choice([1, 1, 2, 3])):
            fault, most_s = rng.choice(WITHIN)
            seconds = rng.uniform(0.05, 1) * most_s
            world.at(now, _begin, world, fault, seconds)
            times.append(now)
            now += seconds + RECOVERY_S
            # A viewer for whom there was no room is told so; a repeated flush is told "late" instead.
            judge.exact = world.settings.viewers_max == VIEWERS_MAX
        judge.exact_from_s = 0.0 if judge.exact else float("inf")
        return now, times
    last_s = now
    for _ in range(rng.randint(2, 5)):
        fault, most_s = rng.choice(BEYOND)
        begin, seconds = now + rng.uniform(0, 12), rng.uniform(0.05, 1) * most_s
        world.at(begin, _begin, world, fault, seconds)
        times.append(begin)
        last_s = max(last_s, begin + seconds)
    world.at(last_s, _heal, world)
    healed_s = last_s + HOLD_S + 4
    judge.exact_from_s = healed_s if world.settings.viewers_max == VIEWERS_MAX else float("inf")
    return healed_s + rng.uniform(2, 5), times


def _begin(world, fault, seconds):
    world.count(fault.__name__.replace("_", " "))
    world.say("  for %.2f s", seconds)
    fault(world, seconds)


def _heal(world):
    """Whatever is still wrong ends now."""
    for host in hosts(world):
        host.weather.cut = False
        host.weather.lost = host.weather.late = host.weather.slow_s = 0.0
        host.clings_to.clear()
        if host.process.stopped:
            host.process.go_on()
    for master in world.masters:
        master.up = True
    world.disk.full, world.disk.broken, world.disk.kill_in, world.disk.slow_s = (
        False,
        False,
        None,
        0.0,
    )
    world.say("all has healed")


def hosts(world):
    return [world.notary, *world.workers]


# --- The store ----------------------------------------------------------------------------------------


def _one(world):
    """The number of one of the masters."""
    return world.rng.randrange(len(world.masters))


def store_killed(world, seconds):
    """It is gone, and comes back empty."""
    number = _one(world)
    master = world.masters[number]
    master.up = False
    world.after(seconds, _restart, world, number, master)


def _restart(world, number, master):
    if world.masters[number] is master:
        world.masters[number] = Server(world, master.skew_us)


def store_clock_set(world, seconds):
    """Its clock is set forward or back, by a little or a lot; it stays so."""
    rng = world.rng
    world.judge.clock_was_set = True
    world.masters[_one(world)].skew_us += round(rng.choice([-1, 1]) * 10 ** rng.uniform(4, 7))


def store_flushed(world, seconds):
    """FLUSHALL: the same server, nothing in it."""
    master = world.masters[_one(world)]
    master.buckets.clear()
    master.directory = None


def failover(world, seconds):
    """A replica that was behind becomes master; until then nobody answers."""
    _fail_over(world, down_s=seconds, zombie_s=0.0, skew_us=0)


def failover_with_a_zombie(world, seconds):
    """The old master lives on, and some processes go on talking to it."""
    _fail_over(world, down_s=0.0, zombie_s=seconds, skew_us=0)


def failover_to_another_clock(world, seconds):
    """The new master's clock is another."""
    world.judge.clock_was_set = True
    skew_us = world.rng.choice([-1, 1]) * world.rng.randint(10**5, 10**7)
    _fail_over(world, down_s=seconds, zombie_s=0.0, skew_us=skew_us)


def _fail_over(world, *, down_s, zombie_s, skew_us):
    number = _one(world)
    master = world.masters[number]
    replica = Server(world, master.skew_us + skew_us, master.snapshot())
    behind_s = world.rng.random() * 0.8
    world.after(behind_s, _promote, world, number, master, replica, down_s, zombie_s)


def _promote(world, number, master, replica, down_s, zombie_s):
    if world.masters[number] is not master:
        return
    world.masters[number] = replica
    if zombie_s:
        some = [host for host in hosts(world) if world.rng.random() < 0.5]
        for host in some:
            host.clings_to[number] = master
        world.after(zombie_s, _let_go, some, number)
    else:
        master.up = False
    if down_s:
        replica.up = False
        world.after(down_s, _up, replica)


def _let_go(some, number):
    for host in some:
        host.clings_to.pop(number, None)


def _up(server):
    server.up = True


# --- The network --------------------------------------------------------------------------------------


def store_unreachable(world, seconds):
    """For everybody."""
    for host in hosts(world):
        _cut(world, host, seconds)


def one_cut_off(world, seconds):
    """One process of several does not reach the store."""
    _cut(world, world.rng.choice(hosts(world)), seconds)


def _cut(world, host, seconds):
    host.weather.cut = True
    world.after(seconds, _mend, host.weather)


def _mend(weather):
    weather.cut = False
    weather.lost = weather.late = weather.slow_s = 0.0


def lossy(world, seconds):
    """Requests and answers are lost."""
    for host in hosts(world):
        host.weather.lost = world.rng.uniform(0.05, 0.4)
        world.after(seconds, _mend, host.weather)


def late(world, seconds):
    """Requests are executed after their caller gave up."""
    for host in hosts(world):
        host.weather.late = world.rng.uniform(0.05, 0.5)
        world.after(seconds, _mend, host.weather)


def slow(world, seconds):
    """Everything takes longer."""
    for host in hosts(world):
        host.weather.slow_s = world.rng.uniform(0.05, 0.3)
        world.after(seconds, _mend, host.weather)


# --- Processes ----------------------------------------------------------------------------------------


def _stop(world, host, seconds):
    process = host.process
    if not process.dead:
        process.stop()
        world.after(seconds, _go_on, process)


def _go_on(process):
    if process.stopped:
        process.go_on()


def worker_stopped(world, seconds):
    _stop(world, world.rng.choice(world.workers), seconds)


def notary_stopped(world, seconds):
    _stop(world, world.notary, seconds)


def notary_killed(world, seconds):
    world.notary.kill("killed")


def notary_killed_while_writing(world, seconds):
    world.disk.kill_in = world.rng.randint(0, 12)


def worker_killed(world, seconds):
    world.rng.choice(world.workers).kill("killed")


def worker_left(world, seconds):
    """SIGTERM."""
    world.rng.choice(world.workers).leave()


# --- The disk -----------------------------------------------------------------------------------------


def power_lost(world, seconds):
    """The notary's machine."""
    if not world.notary.process.dead:
        world.notary.kill("power lost")
    world.disk.lose_power()


def disk_full(world, seconds):
    world.disk.full = True
    world.after(seconds, _room, world.disk)


def _room(disk):
    disk.full = False


def fsync_fails(world, seconds):
    world.disk.broken = True


def disk_slow(world, seconds):
    world.disk.slow_s = world.rng.uniform(0.1, 1.0)
    world.after(seconds, _fast, world.disk)


def _fast(disk):
    disk.slow_s = 0.0


# Fault, and the most seconds it lasts.
WITHIN = [
    (store_killed, WITHIN_S), (store_flushed, 0.1), (failover, 1.0), (failover_with_a_zombie, WITHIN_S),
    (failover_to_another_clock, 1.0),
    (store_unreachable, WITHIN_S), (one_cut_off, WITHIN_S), (lossy, 1.5), (late, 1.5), (slow, 3.0),
    (worker_stopped, 0.9), (notary_stopped, 3.0), (notary_killed, 0.1), (notary_killed_while_writing, 3.0),
    (power_lost, 0.1), (disk_full, 3.0), (fsync_fails, 0.1), (disk_slow, 3.0), (worker_left, 3.0),
]  # fmt: skip
BEYOND = (
    [(fault, 4 * HOLD_S) for fault, _ in WITHIN]
    + [(worker_killed, 0.1)] * 3
    + [(store_clock_set, 0.1)] * 2
)

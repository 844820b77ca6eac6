"""Virtual time: an event loop that never waits, and the processes whose callbacks it runs.

One thread, one queue. A timer is run when everything due before it has been run, and time is then what it
was set for; nothing else moves time. So a history is the same whenever it is run, however long that takes.

Every callback belongs to the process in whose context it was made, or to the world (network, servers,
people), which never stops. Those of a process that is stopped wait, in the order in which they were due;
those of a process that was killed never run again: nothing it was about to do happens, no matter what
`finally` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import time
from collections import deque

# What the world's clocks say when a history begins, in Unix seconds.
BEGIN_S = 1_795_000_000
CALLBACKS_MAX = 500_000
PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class StuckError(Exception):
    """Far more happens than in any history that goes on."""


class Process:
    """One process, with a monotonic clock of its own that runs a little fast or slow."""

    def __init__(self, loop, name, to_thread, *, rate_ppm, begin_us):
        self.loop, self.name, self.to_thread = loop, name, to_thread
        self.stopped = self.dead = False
        self.held: deque[Handle] = deque()
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)
        self._rate, self._begin_us = 1 + rate_ppm / 1e6, begin_us

    def monotonic_ns(self):
        return (int(self.loop.now * 1e6 * self._rate) + self._begin_us) * 1000

    def start(self, coroutine):
        """Run a coroutine as this process."""
        return self.loop.create_task(coroutine, context=self.context)

    def post(self, at, call, *arguments):
        """Have something happen to this process, as from a socket."""
        self.loop.call_at(at, call, *arguments, context=self.context)

    def stop(self):
        """SIGSTOP."""
        self.stopped = True

    def go_on(self):
        """SIGCONT: what was due meanwhile is run at once, in the order in which it was."""
        self.stopped = False
        self.loop.ready.extend(self.held)
        self.held.clear()

    def kill(self):
        """SIGKILL."""
        self.dead = True
        self.held.clear()


class Handle(asyncio.TimerHandle):
    """A callback, when it is due, and whose it is."""

    __slots__ = ("process",)

    def __init__(self, when, callback, args, loop, context):
        super().__init__(when, callback, args, loop, context)
        self.process = self._context.get(PROCESS)


class Loop(asyncio.AbstractEventLoop):
    """An event loop without input or output, in virtual time."""

    def __init__(self):
        self.now = 0.0
        self.ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._made = 0
        self.callbacks = 0
        # So that what a killed process left behind is not cleared away in the middle of a history.
        self._tasks: list[asyncio.Task] = []

    def time(self):
        return self.now

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def is_closed(self):
        return False

    def call_soon(self, callback, *args, context=None):
        handle = Handle(self.now, callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = Handle(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, handle))
        return handle

    def _timer_handle_cancelled(self, handle):
        pass

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        # Those of a process that was killed are never finished.
        task._log_destroy_pending = False
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context):
        """A task failed and nobody looked: whoever runs a process looks at all that matter."""

    def run(self, until):
        """Run everything that is due by `until`, in seconds since the history began."""
        ready, timers = self.ready, self._timers
        while True:
            while ready:
                self._run(ready.popleft())
            if not timers or timers[0][0] > until:
                break
            when, _, handle = heapq.heappop(timers)
            self.now = max(self.now, when)
            self._run(handle)
        self.now = until

    def _run(self, handle):
        if handle._cancelled:
            return
        process = handle.process
        if process is not None:
            if process.dead:
                return
            if process.stopped:
                process.held.append(handle)
                return
        self.callbacks += 1
        if self.callbacks > CALLBACKS_MAX:
            raise StuckError(f"at {self.now:.3f} s, time does not go on")
        handle._context.run(handle._callback, *handle._args)


@contextlib.contextmanager
def virtual_time(loop):
    """Make the clocks of this Python tell the loop's time, to each process its own.

    A thread is what the process's host makes of it: `Process.to_thread`.
    """

    async def to_thread(call, *arguments):
        return await PROCESS.get().to_thread(call, *arguments)

    def monotonic_ns():
        process = PROCESS.get()
        return int(loop.now * 1e6) * 1000 if process is None else process.monotonic_ns()

    patches = {
        "monotonic_ns": monotonic_ns,
        "monotonic": lambda: monotonic_ns() / 1e9,
        "perf_counter": lambda: monotonic_ns() / 1e9,
        "time_ns": lambda: int((BEGIN_S + loop.now) * 1e6) * 1000,
        "time": lambda: BEGIN_S + loop.now,
    }
    before = {name: getattr(time, name) for name in patches}
    threads, running = asyncio.to_thread, asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    asyncio.to_thread = to_thread
    for name, patch in patches.items():
        setattr(time, name, patch)
    try:
        yield
    finally:
        for name, real in before.items():
            setattr(time, name, real)
        asyncio.to_thread = threads
        asyncio._set_running_loop(running)

"""What a store is armed with, and when it must not be: pure."""

from __future__ import annotations

from streamcount.core.bucket import Arming, Published
from streamcount.core.course import Course
from streamcount.notary.buckets import Servers
from streamcount.notary.drain import DisagreementError
from streamcount.notary.log import Log


def make_arming(
    log: Log, published: Published, servers: Servers, offset_us: int, wait_us: int
) -> Arming:
    """Return what all buckets are armed with: what the archive holds, and nothing else.

    `offset_us`: event time minus the clock of bucket 0's server. `wait_us`: for how long nothing is sealed.
    """
    course = log.course
    return Arming(
        epoch=course.epoch,
        run_id=servers.run_ids[0],
        offset_us=offset_us,
        open=course.first or 0,
        close=course.close or 0,
        archived=log.archived,
        not_before_us=servers.time_us + offset_us + wait_us,
        pseudonyms=log.counting.pseudonyms,
        bitmaps=list(log.counting.recent),
        members={},
        published=published,
        streams=len(log.event.streams),
    )


def check_newest(course: Course, epoch: int, archived: int) -> None:
    """Refuse to go on from a copy of an archive when the store was armed by a later one.

    `epoch`, `archived`: what the store was last armed in, and had archived then; 0 when it does not know.

    Raises:
        DisagreementError: it was.
    """
    if epoch > course.epoch or archived > (course.next_tick or 1) - 1:
        raise DisagreementError(
            f"this archive ends in epoch {course.epoch} before tick {course.next_tick}, but the store "
            f"was armed from a newer one, in epoch {epoch}, archived to tick {archived}. So this is an "
            f"older copy: what was acknowledged since is not in it. Put the newest copy back; if there "
            f"is none, this event cannot go on (docs/runbook.md)"
        )

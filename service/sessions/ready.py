"""ReadyIndex: which segments exist already, so that nothing is made twice and everything is told at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

from service.clock import Clock
from service.ids import SegmentId, SessionId
from service.store.catalogue import Catalogue
from service.store.records import SceneRecord, SegmentRecord
from service.work.table import JobTable

LOOK_AGAIN_S = 5.0
"""After how long the catalogue is asked again for a segment: others may have made or evicted it."""

OffLoop = Callable[[Callable[[], "dict[SegmentId, ReadyContent]"]], Awaitable["dict[SegmentId, ReadyContent]"]]


@dataclass(frozen=True)
class ReadyContent:
    """A segment with its scene, and the sessions that waited for it while it was made."""

    segment: SegmentRecord
    scene: SceneRecord
    waited: frozenset[SessionId]


class ReadyIndex:
    """What the catalogue said lately of some segments. Touched by the event loop only; reads run off it."""

    def __init__(self, catalogue: Catalogue, jobs: JobTable, clock: Clock, off_loop: OffLoop, size: int = 8192) -> None:
        self._catalogue = catalogue
        self._jobs = jobs
        self._clock = clock
        self._off_loop = off_loop
        self._size = size
        self._answers: OrderedDict[SegmentId, tuple[float, ReadyContent | None]] = OrderedDict()

    def get(self, segment: SegmentId) -> ReadyContent | None:
        """The content by the newest answer; None where it does not exist or nobody asked."""
        answer = self._answers.get(segment)
        return None if answer is None else answer[1]

    def forget(self, segments: Iterable[SegmentId]) -> None:
        """Ask again for these: something happened to them."""
        for segment in segments:
            self._answers.pop(segment, None)

    async def look_up(self, segments: Collection[SegmentId], *, anew: bool = False) -> None:
        """Ask the catalogue for those of the segments whose answers are old or missing; all of them if `anew`."""
        now_s = self._clock()
        asked = {segment for segment in segments if anew or self._is_old(segment, now_s)}
        if not asked:
            return
        found = await self._off_loop(lambda: self._read(asked))
        for segment in asked:
            self._answers[segment] = (now_s, found.get(segment))
            self._answers.move_to_end(segment)
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)

    def _is_old(self, segment: SegmentId, now_s: float) -> bool:
        answer = self._answers.get(segment)
        return answer is None or now_s - answer[0] >= LOOK_AGAIN_S

    def _read(self, asked: Collection[SegmentId]) -> dict[SegmentId, ReadyContent]:
        records = self._catalogue.ready_segments(asked)
        jobs = self._jobs.by_request([content_request(segment) for segment in records])
        found = {}
        for segment, record in records.items():
            scene = None if record.scene_id is None else self._catalogue.scene(record.scene_id)
            if scene is not None:
                job = jobs.get(content_request(segment))
                waiters = () if job is None else job.request.waiters
                found[segment] = ReadyContent(record, scene, frozenset(waiter.session for waiter in waiters))
        return found


def content_request(segment: SegmentId) -> str:
    """The request id of the job that makes a segment."""
    return f"content/{segment}"

"""What a worker does for a job: the interface of handlers, and how they are found."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.clock import Clock
from service.errors import InvalidInput
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.work.claim import JobResult
from service.work.job import Job

DEFAULT_HANDLERS = "service.work.content:make_handlers"


class JobRun(Protocol):
    """One job on its way, a chunk at a time; between chunks it can be put down and taken up elsewhere."""

    @property
    def stage(self) -> str:
        """The name of the next chunk's stage: "denoise", "decode" ...; "done" when there is none."""

    @property
    def chunks_done(self) -> int:
        """Chunks that have run, those before a resumption counted."""

    @property
    def chunks_total(self) -> int:
        """Chunks in all; may be corrected as the job goes on."""

    @property
    def done(self) -> bool:
        """True once every chunk has run and `result` may be called."""

    def advance(self) -> None:
        """Run the next chunk."""

    def state_bytes(self) -> bytes:
        """Everything that `Handlers.start` needs to go on from here, besides the job."""

    def result(self) -> JobResult:
        """What was made, its blobs stored; `spent_s` and `stage_s` are the worker's to fill in."""


class Handlers(Protocol):
    """Does jobs."""

    def warm_up(self, say: Callable[[str], None]) -> None:
        """Load and compile whatever the first job would have to wait for; `say` names what is going on."""

    def start(self, job: Job, checkpoint: bytes | None) -> JobRun:
        """A run of the job, from its checkpoint where there is one.

        Raises:
            StaleCheckpoint: the checkpoint does not fit the job; the caller starts without it.
        """


class StaleCheckpoint(Exception):
    """A checkpoint is damaged or was written by another version."""


@dataclass(frozen=True)
class HandlerContext:
    """What handlers work with."""

    blobs: BlobStore
    catalogue: Catalogue
    clock: Clock
    weights_dir: Path | None
    threads: int


HandlerFactory = Callable[[HandlerContext], Handlers]


def load_handlers(entry_point: str, context: HandlerContext) -> Handlers:
    """The handlers that `module:function` makes. The module is imported here, not before: it may be heavy.

    Raises:
        InvalidInput: there is no such function.
    """
    module_name, _, name = entry_point.partition(":")
    try:
        factory: HandlerFactory = getattr(importlib.import_module(module_name), name)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        raise InvalidInput(f"--handlers: got {entry_point!r}, expected MODULE:FUNCTION ({error})") from error
    return factory(context)

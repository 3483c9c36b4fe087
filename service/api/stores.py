"""What of the server is durable: database, blobs, catalogue and job table of one data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from service.clock import Clock
from service.errors import InvalidInput
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.work.platform_posix import lock_file
from service.work.table import JobTable
from service.work.worker_table import WorkerTable

DATABASE_FILE = "narthex.db"
BLOB_FOLDER = "blobs"
LOCK_FILE = "server.lock"


@dataclass(frozen=True)
class Stores:
    """What is durable."""

    engine: Engine
    blobs: BlobStore
    catalogue: Catalogue
    jobs: JobTable
    workers: WorkerTable


def open_stores(data_dir: Path, clock: Clock, max_attempts: int) -> Stores:
    """The stores of a data folder, made where they are missing. The modules of all tables must be imported."""
    data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_database(data_dir / DATABASE_FILE)
    create_tables(engine)
    return Stores(
        engine,
        BlobStore(data_dir / BLOB_FOLDER),
        Catalogue(engine, clock),
        JobTable(engine, clock, max_attempts=max_attempts),
        WorkerTable(engine, clock),
    )


@contextmanager
def only_server(data_dir: Path) -> Iterator[None]:
    """Nothing; while it lasts no other server can open the data folder. A server that was killed leaves no lock.

    Raises:
        InvalidInput: another server has it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = lock_file(data_dir / LOCK_FILE)
    if lock is None:
        raise InvalidInput(f"{data_dir} is in use by another narthex serve; stop that one, or choose another --data")
    try:
        yield
    finally:
        os.close(lock)

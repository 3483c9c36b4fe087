"""Fixtures of the job table."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from service.store.database import create_tables, open_database
from service.work.table import JobTable
from tests.service.work.job_samples import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_database(tmp_path / "test.db")
    create_tables(engine)
    return engine


@pytest.fixture
def table(engine: Engine, clock: FakeClock) -> JobTable:
    return JobTable(engine, clock, max_attempts=3)

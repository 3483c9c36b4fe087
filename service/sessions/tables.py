"""The tables of sessions. Rows are never changed except where a comment says so."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, String, Table, Text

from service.store.database import metadata

worlds = Table(
    "worlds",
    metadata,
    Column("world_id", String(63), primary_key=True),
    Column("revision", String(64), nullable=False),  # of the newest source; changes with every put
    Column("update_s", Double, nullable=False),
)
"""Worlds that sessions can be opened of."""

world_sources = Table(
    "world_sources",
    metadata,
    Column("world_id", String(63), primary_key=True),
    Column("revision", String(64), primary_key=True),
    Column("source", LargeBinary, nullable=False),
)
"""Every revision that was ever put: sessions keep theirs."""

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", String(63), primary_key=True),
    Column("world_id", String(63), nullable=False),
    Column("world_revision", String(64), nullable=False),
    Column("profile", Text, nullable=False),
    Column("players", Text, nullable=False),  # at its creation; PartyChanged is an event
    Column("create_s", Double, nullable=False),
    Column("status", Integer, nullable=False),  # follows the session
    Column("active_s", Double, nullable=False),  # follows its newest event, by up to half a minute
    Index("sessions_by_activity", "status", "active_s"),
)
"""One row a session."""

session_requests = Table(
    "session_requests",
    metadata,
    Column("request_id", String(128), primary_key=True),
    Column("session_id", String(63), nullable=False),
    Column("create_s", Double, nullable=False, index=True),
)
"""Which session a CreateSession request made. Rows go after a week."""

events = Table(
    "events",
    metadata,
    Column("session_id", String(63), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("event_id", String(128), nullable=False),
    Column("time_s", Double, nullable=False),
    Column("trace_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("rejection", Text),  # why it could not be applied; set later for an event that was held
)
"""Every event that was acknowledged, applied, held or rejected."""

updates = Table(
    "updates",
    metadata,
    Column("session_id", String(63), primary_key=True),
    Column("cursor", BigInteger, primary_key=True),
    Column("time_s", Double, nullable=False),
    Column("trace_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
)
"""The newest updates of each session; older rows are deleted."""

announcements = Table(
    "announcements",
    metadata,
    Column("session_id", String(63), primary_key=True),
    Column("cursor", BigInteger, primary_key=True),
    Column("applied_sequence", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
"""All content that was ever announced to a session, and after which event: a fold needs both in order."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("session_id", String(63), primary_key=True),
    Column("applied_sequence", BigInteger, nullable=False),  # all columns follow the session
    Column("cursor", BigInteger, nullable=False),
    Column("layout", String(16), nullable=False),
    Column("body", Text, nullable=False),
)
"""The state after some event, so that a long session loads quickly. One a session; can be thrown away."""

"""CommitSign: whether anybody has committed anything to the database, at next to no cost."""

from __future__ import annotations

from sqlalchemy import Engine


class CommitSign:
    """Keeps one connection of its own. For one thread.

    SQLite counts the commits of other connections in its shared memory (`PRAGMA data_version`); asking takes
    microseconds and waits for nobody. Other databases have nothing like it: there, the answer is always yes.
    """

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection() if engine.dialect.name == "sqlite" else None
        self._seen: int | None = None

    def changed(self) -> bool:
        """Whether anybody committed since the last call; True in the first."""
        if self._connection is None:
            return True
        cursor = self._connection.cursor()
        try:
            cursor.execute("PRAGMA data_version")
            row = cursor.fetchone()
        finally:
            cursor.close()
        version = int(row[0]) if row else None
        before, self._seen = self._seen, version
        return version is None or version != before

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

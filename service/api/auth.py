"""Who calls: server keys (everything) and player tokens (one session, for a while).

A player token is `npt.{claims}.{mac}`: claims are the JSON {"s": session, "e": expiry} in base64url, mac is
HMAC-SHA256 over them. Nothing is stored, so a token cannot be taken back before it expires.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from service.clock import Clock
from service.errors import FieldProblem, Forbidden, InvalidInput, Unauthenticated
from service.ids import SessionId

TOKEN_PREFIX = "npt"  # noqa: S105 (the mark of a token, not a secret)
SECRET_FILE = "token_secret"  # noqa: S105 (a file name)
DEFAULT_TTL_S = 3_600.0
MAX_TTL_S = 86_400.0


class Role(Enum):
    """SERVER may do everything; PLAYER may watch one session and say what it shows."""

    SERVER = "server"
    PLAYER = "player"


@dataclass(frozen=True)
class Caller:
    """Who makes a call; `session` and `expire_s` (epoch) are of a player's token."""

    role: Role
    session: SessionId | None = None
    expire_s: float = float("inf")

    def check_session(self, session: SessionId) -> None:
        """Raises Forbidden where this is a player of another session."""
        if self.role is Role.PLAYER and session != self.session:
            raise Forbidden(f"the player token is for sessions/{self.session}, not for sessions/{session}")


class Doorkeeper:
    """Knows callers by their `authorization` header, and issues player tokens."""

    def __init__(self, server_keys: Sequence[str], secret: bytes, clock: Clock) -> None:
        self._keys = [hashlib.sha256(key.encode()).digest() for key in server_keys]
        self._secret = secret
        self._clock = clock
        self._server = Caller(Role.SERVER)

    def caller(self, authorization: str | None) -> Caller:
        """Who sends this header; without configured keys, everybody on this machine who sends none is a server.

        Raises:
            Unauthenticated: no header where one is needed, or a wrong or expired one.
        """
        if not authorization:
            if not self._keys:
                return self._server
            raise Unauthenticated("this server needs a key: send the metadata `authorization: Bearer KEY`")
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer" or not credential:
            raise Unauthenticated("the authorization metadata must be `Bearer` and a key or token")
        if credential.startswith(f"{TOKEN_PREFIX}."):
            return self._player(credential)
        digest = hashlib.sha256(credential.encode()).digest()
        # Every key is compared, so that the time taken does not tell which one was near.
        matches = [hmac.compare_digest(digest, key) for key in self._keys]
        if not self._keys or any(matches):
            return self._server
        raise Unauthenticated("the key is not one of this server's", reason="UNKNOWN_KEY")

    def issue(self, session: SessionId, ttl_s: float) -> tuple[str, float]:
        """A token for one session's player, and the epoch second when it expires."""
        expire_s = self._clock() + ttl_s
        claims = json.dumps({"s": session, "e": round(expire_s, 3)}, separators=(",", ":")).encode()
        body = _encode(claims)
        return f"{TOKEN_PREFIX}.{body}.{_encode(self._mac(body))}", round(expire_s, 3)

    def _player(self, token: str) -> Caller:
        _, _, rest = token.partition(".")
        body, _, mac = rest.partition(".")
        if not hmac.compare_digest(_encode(self._mac(body)).encode(), mac.encode()):
            raise Unauthenticated("the player token is not one of this server's", reason="BAD_TOKEN")
        claims = json.loads(_decode(body))
        caller = Caller(Role.PLAYER, SessionId(claims["s"]), float(claims["e"]))
        if caller.expire_s <= self._clock():
            raise Unauthenticated("the player token has expired; ask for another", reason="TOKEN_EXPIRED")
        return caller

    def _mac(self, body: str) -> bytes:
        return hmac.digest(self._secret, body.encode(), "sha256")


def token_secret(configured: str, data_dir: Path) -> bytes:
    """The configured secret, else the one in the data folder, which is made at first use (only the owner reads it)."""
    if configured:
        return configured.encode()
    path = data_dir / SECRET_FILE
    fresh = data_dir / f"{SECRET_FILE}.{os.getpid()}"
    if not path.exists():
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two servers that start at once, the second takes the first one's secret.
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()


def check_exposure(host: str, server_keys: Sequence[str]) -> None:
    """Raises InvalidInput where others could reach the server and no key keeps them out."""
    if server_keys or is_loopback(host):
        return
    message = (
        f"got {host!r} without auth.server_keys, allowed is loopback only (127.0.0.1, ::1, localhost). "
        "Set auth.server_keys in narthex.toml or NARTHEX_AUTH_SERVER_KEYS; `openssl rand -hex 24` makes a key"
    )
    raise InvalidInput(
        f"server.host: {message}", fields=(FieldProblem("server.host", message),), reason="NO_SERVER_KEYS"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("the player token is malformed", reason="BAD_TOKEN") from error

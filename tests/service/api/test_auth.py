from __future__ import annotations

import stat
from pathlib import Path

import pytest

from service.api.auth import Doorkeeper, Role, check_exposure, is_loopback, token_secret
from service.errors import Forbidden, InvalidInput, Unauthenticated
from service.ids import SessionId

KEY, SECRET = "k" * 24, b"s" * 64


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def doorkeeper(*keys: str, secret: bytes = SECRET, clock: Clock | None = None) -> Doorkeeper:
    return Doorkeeper(keys, secret, clock or Clock())


def test_without_keys_everybody_is_a_server():
    assert doorkeeper().caller(None).role is Role.SERVER
    assert doorkeeper().caller("Bearer anything").role is Role.SERVER


def test_with_keys_only_those_who_know_one_are_let_in():
    keeper = doorkeeper(KEY, "o" * 24)
    assert keeper.caller(f"Bearer {KEY}").role is Role.SERVER
    assert keeper.caller(f"bearer {'o' * 24}").role is Role.SERVER
    for header in (None, "", "Bearer", "Bearer ", f"Basic {KEY}", KEY, "Bearer x", f"Bearer {KEY}x", "Bearer ü"):
        with pytest.raises(Unauthenticated):
            keeper.caller(header)


@pytest.mark.parametrize("keys", [(), (KEY,)])
def test_a_player_token_is_for_one_session_and_a_while(keys: tuple[str, ...]):
    clock = Clock()
    keeper = doorkeeper(*keys, clock=clock)
    token, expire_s = keeper.issue(SessionId("alpha"), 60.0)
    assert expire_s == clock.now_s + 60
    caller = keeper.caller(f"Bearer {token}")
    assert (caller.role, caller.session, caller.expire_s) == (Role.PLAYER, "alpha", expire_s)
    caller.check_session(SessionId("alpha"))
    with pytest.raises(Forbidden, match="sessions/alpha, not for sessions/beta"):
        caller.check_session(SessionId("beta"))
    clock.now_s += 61
    with pytest.raises(Unauthenticated, match="expired"):
        keeper.caller(f"Bearer {token}")


def test_tokens_that_were_changed_or_made_elsewhere_are_refused():
    keeper = doorkeeper()
    token, _ = keeper.issue(SessionId("alpha"), 60.0)
    other, _ = doorkeeper(secret=b"t" * 64).issue(SessionId("alpha"), 60.0)
    claims = token.split(".")[1]
    swapped, _ = keeper.issue(SessionId("betas"), 60.0)
    mixed = f"npt.{swapped.split('.')[1]}.{token.split('.')[2]}"
    for bad in (
        other,
        mixed,
        f"npt.{claims}",
        f"npt.{claims}.",
        "npt.",
        "npt..",
        f"{token}x",
        "npt.ä.ö",
        f"npt.{claims}.ü",
    ):
        with pytest.raises(Unauthenticated):
            keeper.caller(f"Bearer {bad}")


def test_the_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path):
    first = token_secret("", tmp_path)
    assert len(first) == 64
    assert token_secret("", tmp_path) == first
    path = tmp_path / "token_secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["token_secret"]
    assert token_secret("c" * 32, tmp_path) == b"c" * 32


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_keys(host: str):
    assert is_loopback(host)
    check_exposure(host, ())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_other_hosts_need_keys_and_the_error_says_how(host: str):
    with pytest.raises(InvalidInput, match=r"NARTHEX_AUTH_SERVER_KEYS.*openssl") as caught:
        check_exposure(host, ())
    assert caught.value.fields[0].field == "server.host"
    check_exposure(host, (KEY,))

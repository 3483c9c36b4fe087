from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest

from service.api.pages import MAX_PAGE_SIZE, cut_page, read_page
from service.errors import InvalidInput


@dataclass(frozen=True)
class Item:
    name: str


ITEMS = [Item(f"i{number:03}") for number in range(120)]


def listed(size: int, token: str) -> tuple[list[Item], str]:
    page = read_page(size, token, "items")
    rest = [item for item in ITEMS if page.after is None or item.name > page.after]
    found, following = cut_page(rest[: page.size + 1], page, lambda item: item.name, "items")
    return list(found), following


@pytest.mark.parametrize("size", [1, 7, 40, 119, 120, 121, 0])
def test_pages_give_everything_once_and_in_order(size: int):
    seen, token = listed(size, "")
    while token:
        more, token = listed(size, token)
        assert more
        seen += more
    assert seen == ITEMS


def test_sizes_are_defaulted_and_limited():
    assert read_page(0, "", "items").size == 50
    assert read_page(1_000_000, "", "items").size == MAX_PAGE_SIZE
    with pytest.raises(InvalidInput, match="page_size: got -1"):
        read_page(-1, "", "items")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "%%%",
        "ä",
        "a" * 5_000,
        *(base64.b64encode(body).decode() for body in (b"[1]", b'["items", 3]', b"[" * 1_000, b"\xff\xfe")),
    ],
)
def test_tokens_that_are_not_ours_are_refused(token: str):
    with pytest.raises(InvalidInput, match="page_token"):
        read_page(10, token, "items")


def test_a_token_is_good_for_its_own_listing_only():
    _, token = listed(10, "")
    with pytest.raises(InvalidInput, match="page_token"):
        read_page(10, token, "items?world=other")

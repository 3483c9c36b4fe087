"""Pages of lists: sizes within limits, and tokens that say where the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.api.convert.names import bad_field

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1_000
MAX_TOKEN_CHARACTERS = 2_000

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page:
    """What to list: `size` items after the one with id `after` (None: from the beginning)."""

    size: int
    after: str | None


def read_page(size: int, token: str, listing: str, default: int = DEFAULT_PAGE_SIZE) -> Page:
    """The page that a request asks for.

    `listing` says what is listed and how it is filtered ("sessions?world=x"): a token is good for the listing
    that it was made for only. Sizes beyond the limit are taken as the limit (AIP-158).

    Raises:
        InvalidInput: a negative size, or a token that is not one of ours or of another listing.
    """
    if size < 0:
        raise bad_field("page_size", f"got {size}, allowed 0 .. {MAX_PAGE_SIZE}")
    size = min(size or default, MAX_PAGE_SIZE)
    if not token:
        return Page(size, None)
    try:
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise ValueError("too long")
        made_for, after = json.loads(base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True))
        if made_for != listing or not isinstance(after, str):
            raise ValueError("of another listing")
    except (ValueError, TypeError, binascii.Error, RecursionError):
        message = "got a token that no earlier page of this listing gave out; begin again without one"
        raise bad_field("page_token", message) from None
    return Page(size, after)


def cut_page(
    items: Sequence[Item], page: Page, id_of: Callable[[Item], str], listing: str
) -> tuple[Sequence[Item], str]:
    """The page's items of one more than its size that were read, and the token of the next page ("" for none).

    `id_of` gives the id by which items are listed.
    """
    if len(items) <= page.size:
        return items, ""
    kept = items[: page.size]
    token = base64.urlsafe_b64encode(json.dumps([listing, id_of(kept[-1])], separators=(",", ":")).encode())
    return kept, token.decode()

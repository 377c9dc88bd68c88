"""Messages as JSON texts, so that a shared header is stored once and a request is never parsed to be hashed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import orjson

from assay.types import Message

_SEAM = '"}]'


def turns_json(turns: list[tuple[str, str]]) -> str:
    """The JSON of (role, text) turns, role before content: the one form in which messages are stored and hashed."""
    return orjson.dumps([{"role": role, "content": text} for role, text in turns]).decode()


def with_images(messages: str, images: Sequence[str]) -> str:
    """The JSON of some turns with images, by their SHA-256, before the text of the last user's."""
    turns: list[Message] = orjson.loads(messages)
    asked = next(turn for turn in reversed(turns) if turn["role"] == "user")
    parts: list[dict[str, str]] = [{"type": "image", "sha256": sha256} for sha256 in images]
    asked["content"] = [*parts, {"type": "text", "text": asked["content"]}]
    return orjson.dumps(turns).decode()


def splice(header: str | None, messages: str) -> str:
    """The JSON of header and messages as one dialogue; where the two turns at the seam have one role, their texts are
    one turn, with nothing between them."""
    if not header or header == "[]":
        return messages
    opening = f'[{{"role":"{_last_role(header)}","content":"'
    if not header.endswith(_SEAM) or not messages.startswith(opening):
        return f"{header[:-1]},{messages[1:]}"
    return header[: -len(_SEAM)] + messages[len(opening) :]


@lru_cache(maxsize=64)
def _last_role(header: str) -> str:
    return str(orjson.loads(header)[-1]["role"])


def join_messages(header: str | None, messages: str) -> list[Message]:
    """The turns of header and messages as one dialogue."""
    joined: list[Message] = orjson.loads(splice(header, messages))
    return joined

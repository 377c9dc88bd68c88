"""Messages as JSON texts, so that a shared header is stored once and a request is never parsed to be hashed."""

from __future__ import annotations

import orjson

from assay.types import Message

_SEAM = '"}]'


def turns_json(turns: list[tuple[str, str]]) -> str:
    """The JSON of (role, text) turns, role before content: the one form in which messages are stored and hashed."""
    return orjson.dumps([{"role": role, "content": text} for role, text in turns]).decode()


def splice(header: str | None, messages: str) -> str:
    """The JSON of header and messages as one dialogue; where the two turns at the seam have one role, their texts are
    one turn, with nothing between them."""
    if not header or header == "[]":
        return messages
    head, tail = orjson.loads(header)[-1], orjson.loads(messages)[0]
    if head["role"] != tail["role"] or not (isinstance(head["content"], str) and isinstance(tail["content"], str)):
        return f"{header[:-1]},{messages[1:]}"
    opening = '[{"role":' + orjson.dumps(tail["role"]).decode() + ',"content":"'
    return header[: -len(_SEAM)] + messages[len(opening) :]


def join_messages(header: str | None, messages: str) -> list[Message]:
    """The turns of header and messages as one dialogue."""
    joined: list[Message] = orjson.loads(splice(header, messages))
    return joined

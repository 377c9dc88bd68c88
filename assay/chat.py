"""A dialogue as a model sees it: one string by the model's meta template, or the messages of a chat server.

The benchmark writes the dialogue and knows no model; the model's meta template says how each role begins and ends, and
knows no benchmark (OpenCompass's division of labour). A dialogue is cut into rounds: a new one starts where a role does
not come later in the template's round than the one before it. Contents are put in as they are: braces, or what looks
like another role's marker, mean nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from assay.errors import SpecError
from assay.spec import MetaItem, MetaTemplate
from assay.types import Message

_OURS = {"human": "user", "bot": "assistant"}


class Piece(NamedTuple):
    """One turn with what the meta template writes around it."""

    role: str
    begin: str
    content: Any
    end: str


def render(messages: Sequence[Message], meta: MetaTemplate | None, mode: Literal["gen", "ppl"]) -> str:
    """The one text of a dialogue.

    `gen` ends where the model is to go on: after the beginning of the role with `generate`, and the response prefix
    where the dialogue's last turn is that role's. `ppl` is the whole dialogue, the template's end included. Without a
    meta template: the contents that are not empty, joined by newlines. Raises SpecError for a role that the meta
    template does not know (a system text becomes a user's turn), and for an image.
    """
    if meta is None:
        return "\n".join(text for text in map(text_of, messages) if text)
    pieces = _pieces(messages, meta, mode)
    text = meta.begin + "".join(p.begin + _text(p.content) + p.end for p in pieces)
    return text if mode == "gen" and _speaker(meta) is not None else text + meta.end


def api_messages(messages: Sequence[Message], meta: MetaTemplate | None) -> list[Message]:
    """The turns for a chat server, ending where the model is to go on; a last assistant turn is a response prefix.

    Turns of one role in a row are one, joined by a newline; empty ones are left out. The meta template's own begin and
    end belong to no role and are not sent. Raises SpecError for a role that the meta template does not know.
    """
    if meta is None:
        pieces = [Piece(role_of(m), "", m["content"], "") for m in messages]
    else:
        pieces = _pieces(messages, meta, "gen")
        speaker = _speaker(meta)
        if speaker is not None and pieces and pieces[-1].role == _role(meta.round[speaker]) and not pieces[-1].content:
            pieces.pop()  # the server opens the model's turn itself
    merged: list[Message] = []
    for piece in pieces:
        content = _wrapped(piece)
        if not content:
            continue
        if merged and merged[-1]["role"] == piece.role:
            merged[-1] = {"role": piece.role, "content": _joined(merged[-1]["content"], content)}
        else:
            merged.append({"role": piece.role, "content": content})
    return merged or [{"role": "user", "content": ""}]


def text_of(message: Message) -> str:
    """The text of a message: its content, or its text parts put together. Raises SpecError where a part is an image."""
    return _text(message["content"])


def role_of(message: Message) -> str:
    """The role in our words: `system`, `user`, `assistant` (OpenCompass's HUMAN and BOT are the last two)."""
    role = str(message["role"]).lower()
    return _OURS.get(role, role)


def _text(content: str | Sequence[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    for part in content:
        if part["type"] != "text":
            raise SpecError(f"a message holds a part of type {part['type']!r}: as one text, only text can be written")
    return "".join(part["text"] for part in content)


def _role(item: MetaItem) -> str:
    return role_of({"role": item.role})


def _speaker(meta: MetaTemplate) -> int | None:
    """Where in the round the model's own role stands."""
    return next((i for i, item in enumerate(meta.round) if item.generate), None)


def _pieces(messages: Sequence[Message], meta: MetaTemplate, mode: Literal["gen", "ppl"]) -> list[Piece]:
    rounds = list(_rounds(messages, meta))
    speaker = _speaker(meta) if mode == "gen" else None
    if speaker is None:
        return [piece for r in rounds for piece in _written(r, meta)]
    last: dict[int, Any] = {}
    if rounds and isinstance(rounds[-1], dict) and max(rounds[-1]) <= speaker:
        last = rounds[-1]
        del rounds[-1]
    pieces = [piece for r in rounds for piece in _written(r, meta)]
    if last:
        pieces += _written(last, meta, speaker)
    own = meta.round[speaker]
    return [*pieces, Piece(_role(own), own.begin, last.get(speaker, ""), "")]


def _rounds(messages: Sequence[Message], meta: MetaTemplate) -> Iterator[dict[int, Any] | Piece]:
    """The dialogue's rounds, as place in the template's round -> content, and the turns that stand outside of one."""
    places = {_role(item): i for i, item in enumerate(meta.round)}
    reserved = {_role(item): item for item in meta.reserved_roles}
    current: dict[int, Any] = {}
    for message in messages:
        role, content = role_of(message), message["content"]
        place = places.get(role)
        if place is None or (current and place <= max(current)):
            if current:
                yield current
            current = {}
        if place is not None:
            current[place] = content
        elif role in reserved:
            yield _piece(reserved[role], content)
        elif role == "system" and "user" in places:
            yield _piece(meta.round[places["user"]], content)
        else:
            known = ", ".join([*places, *reserved])
            raise SpecError(f"the dialogue has a turn of role {role!r}, the meta template knows {known}")
    if current:
        yield current


def _written(part: dict[int, Any] | Piece, meta: MetaTemplate, until: int | None = None) -> list[Piece]:
    """A round's turns up to a position; a role that the round lacks is written where it has a default prompt."""
    if isinstance(part, Piece):
        return [part]
    shown = enumerate(meta.round[:until])
    return [_piece(item, part.get(i, item.prompt)) for i, item in shown if i in part or item.prompt]


def _piece(item: MetaItem, content: Any) -> Piece:
    return Piece(_role(item), item.begin, content, item.end)


def _wrapped(piece: Piece) -> Any:
    """The content between its begin and end, as text or as parts."""
    if isinstance(piece.content, str):
        return piece.begin + piece.content + piece.end
    return [*_parts(piece.begin), *piece.content, *_parts(piece.end)]


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n{second}"
    return [*_parts(first), *_parts("\n"), *_parts(second)]


def _parts(content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, str):
        return list(content)
    return [{"type": "text", "text": content}] if content else []

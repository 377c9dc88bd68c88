"""Reasoning kept apart from the answer: what a model wrote between `<think>` and `</think>` is read by nobody.

So that a thought is not taken for an answer, above all one that was cut off before it came to any.
"""

from __future__ import annotations

import re
from dataclasses import replace

from assay.types import Reply

MARKS = ("think", "thinking", "thought", "reasoning", "seed:think")
"""The tags around reasoning, of DeepSeek-R1, Qwen and others; recipes name other marks by `after_thinking`."""

_ANY = re.compile(rf"</?(?:{'|'.join(MARKS)})>")
_START, _END = (re.compile(rf"<{slash}(?:{'|'.join(MARKS)})>") for slash in ("", "/"))


def apart(reply: Reply) -> Reply:
    """The reply with its reasoning taken out of the text; without any it is the same.

    A template may have written the first mark, so all before a last end mark is reasoning. One that never ended is cut
    off, whatever the server said: its `finish` is `length`, and an answer that is not found then counts as truncated.
    """
    if not _ANY.search(reply.text):
        return reply
    thought, answer, closed = divide(reply.text, _START, _END)
    return replace(reply, text=answer, reasoning=thought, finish=reply.finish if closed else "length")


def opened(prompt: str) -> str:
    """The mark, with what blanks follow it, that a prompt ends with: of reasoning that a template began; else ''."""
    ends = re.search(rf"{_START.pattern}\s*\Z", prompt[-100:])
    return ends[0] if ends else ""


def divide(text: str, start: re.Pattern[str], end: re.Pattern[str]) -> tuple[str, str, bool]:
    """The thoughts of a text, the rest without them, and whether the last thought was ended."""
    thoughts: list[str] = []
    rest: list[str] = []
    place = 0
    for found in end.finditer(text):
        opened = start.search(text, place, found.start())
        if opened is None:  # what was kept until here was thought too
            thoughts, rest = [text[: found.start()]], []
        else:
            rest.append(text[place : opened.start()])
            thoughts.append(text[opened.end() : found.start()])
        place = found.end()
    opened = start.search(text, place)
    rest.append(text[place : opened.start() if opened else len(text)])
    if opened:
        thoughts.append(text[opened.end() :])
    return "\n".join(thoughts).strip(), "".join(rest).lstrip("\n"), opened is None

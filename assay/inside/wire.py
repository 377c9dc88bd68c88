"""Values on the wire between a tester and a program: one line of JSON, and nothing but plain data of built-in types.

What is none of None, bool, int, float, str, bytes, complex, list, tuple, set, frozenset, dict stays where it is; only a
number crosses, by which it can be asked for its attributes and called, and which equals nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

SCALARS = {type(None), bool, int, float, str}
NESTED: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "f"}
MADE: dict[str, Callable[[list[Any]], Any]] = {"t": tuple, "s": set, "f": frozenset}
LONG = 1000
"""Bits of an integer that is written otherwise: its decimal digits take the square of the time."""
LONGEST = 1 << 28
"""Bytes of one line."""


class Ended(Exception):
    """The other side is no more, or wrote what is none of this."""


def pack(value: Any, keep: Callable[[Any], Any]) -> Any:
    """A value as JSON holds it; `keep(value)` gives what crosses in place of one that has to stay."""
    kind = type(value)
    if kind is int and value.bit_length() > LONG:
        return {"i": hex(value)}
    if kind in SCALARS:
        return value
    if kind is list:
        return value if _flat(value) else [pack(one, keep) for one in value]
    if kind is dict:
        return {"d": [[pack(k, keep), pack(v, keep)] for k, v in value.items()]}
    if kind in NESTED:
        return {NESTED[kind]: pack(list(value), keep)}
    if kind is bytes:
        return {"b": value.hex()}
    if kind is complex:
        return {"c": [value.real, value.imag]}
    plain = _plain(value, kind)
    return {"o": keep(value)} if plain is None else pack(plain, keep)


def _flat(values: list[Any]) -> bool:
    """Whether a list is one as JSON holds it: of scalars, and no integer is long."""
    kinds = set(map(type, values))
    if kinds <= {int, float}:
        return not kinds or (min(values) > -(1 << LONG) and max(values) < 1 << LONG)
    return kinds <= SCALARS - {int}


def _plain(value: Any, kind: type) -> Any:
    """What a value of a class made from a built-in one holds, a Counter's dict or a named tuple's tuple; else None."""
    for scalar in (int, float, str, bytes):
        if issubclass(kind, scalar):
            return scalar.__getnewargs__(value)[0]
    for base in NESTED:
        if issubclass(kind, base):
            return base(base.__iter__(value))  # type: ignore[attr-defined]
    if issubclass(kind, dict):
        return dict(dict.items(value))
    if issubclass(kind, complex):
        return complex(complex.real.__get__(value), complex.imag.__get__(value))
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return None


def unpack(data: Any, far: Callable[[Any], Any]) -> Any:
    """The value of what `pack` made; `far(data)` makes what stands for a value that stayed. Raises Ended."""
    kind = type(data)
    if kind in SCALARS:
        return data
    if kind is list:
        return data if set(map(type, data)) <= SCALARS else [unpack(one, far) for one in data]
    try:
        [(tag, held)] = data.items()
        if tag == "d":
            return {unpack(k, far): unpack(v, far) for k, v in held}
        if tag == "b":
            return bytes.fromhex(held)
        if tag == "c":
            return complex(*held)
        if tag == "i":
            return int(held, 16)
        if tag == "o":
            return far(held)
        return MADE[tag](unpack(held, far) if type(held) is list else held)
    except (ValueError, TypeError, KeyError) as error:
        raise Ended(f"no plain data: {error}") from None


class Line:
    """Both ends of the line, taken from standard input and output, which are then empty and mute."""

    def __init__(self) -> None:
        self.source, self.sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        self.ended = False

    def send(self, message: Any) -> None:
        """Write a message. Raises Ended where nobody reads it."""
        try:
            self.sink.write(json.dumps(message).encode() + b"\n")
            self.sink.flush()
        except OSError:
            raise self.end("the program is no more") from None

    def get(self) -> Any:
        """The next message. Raises Ended where there is none."""
        line = self.source.readline(LONGEST)
        if not line.endswith(b"\n"):
            raise self.end("the program is no more")
        try:
            return json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self.end(f"no JSON: {error}") from None

    def end(self, why: str) -> Ended:
        """What is raised where the line is dead; it stays so."""
        self.ended = True
        return Ended(why)

"""The trusted tests in their box: `test.py` is run with the program of the other box at hand as `program`.

The verdict is the last line on standard error, which the program cannot reach: what comes from there is plain data, or
a `Far` that equals nothing.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.inside.wire import Ended, Line, pack, unpack

NO_ERRORS = (StopIteration, StopAsyncIteration, UnicodeError)
"""What would end a loop of the tests quietly, or cannot be made of a text alone."""


class ProgramError(Exception):
    """What the program raised, where it is no built-in exception."""


class Far:
    """A value that stayed in the program's box: what is done to it is done there, and it equals nothing, itself too."""

    __slots__ = ("_kind", "_line", "_number", "_true")

    def __init__(self, line: Line, number: Any, kind: Any, true: Any) -> None:
        for name, value in (("_line", line), ("_number", number), ("_kind", kind), ("_true", true is True)):
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return bool(self._true)

    def __repr__(self) -> str:
        return f"<{self._kind} of the program>"

    def __getattr__(self, name: str) -> Any:
        return ask(self._line, "get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        ask(self._line, "set", self, name, value)

    def __call__(self, *places: Any, **names: Any) -> Any:
        return ask(self._line, "call", self, "__call__", places, names)

    def __getitem__(self, place: Any) -> Any:
        return ask(self._line, "call", self, "__getitem__", (place,), {})

    def __len__(self) -> int:
        return int(ask(self._line, "call", self, "__len__", (), {}))

    def __iter__(self) -> Iterator[Any]:
        return iter(ask(self._line, "list", self, ""))


def ask(line: Line, what: str, *arguments: Any) -> Any:
    """Have the program's box do something: its value. Raises what it raised there, Ended where it is no more."""
    line.send([what, *(pack(one, number_of) for one in arguments)])
    answer = line.get()
    if type(answer) is dict and "value" in answer:
        try:
            return unpack(answer["value"], lambda held: Far(line, *held))
        except Ended as error:
            raise line.end(str(error)) from None
    raise raised(line, answer)


def number_of(value: Any) -> Any:
    """The number of a value that the program has. Raises TypeError for any other that is no plain data."""
    if type(value) is not Far:
        raise TypeError(f"a test gives the program plain data, not {type(value).__name__}")
    return value._number


def raised(line: Line, answer: Any) -> Exception:
    """The nearest built-in exception of what was raised."""
    try:
        kinds, text = answer["raised"]
        for name in kinds:
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, NO_ERRORS):
                return ProgramError(f"{kinds[0]}: {text}") if kind is Exception else kind(str(text))
        return ProgramError(f"{kinds[0]}: {text}")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return line.end(f"no answer: {error}")


def run(line: Line, path: str) -> None:
    """Run the tests; they end without an exception where the program passes."""
    ask(line, "begin", "program.py")
    names = {"__name__": "tests", "program": Far(line, 0, "module", True)}
    exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), names)  # noqa: S102  # trusted, and in a box
    if line.ended:
        raise Ended("the program is no more")


def main() -> None:
    """Run the tests and write the verdict."""
    verdict: dict[str, Any] = {"passed": True}
    try:
        run(Line(), "test.py")
    except BaseException as error:  # noqa: BLE001  # whatever ends the tests, the program did not pass them
        place = error.__traceback__
        while place and place.tb_frame.f_code.co_filename != "test.py":
            place = place.tb_next
        why = f"{type(error).__name__}: {error}".removesuffix(": ")[:500]
        verdict = {"passed": False, "why": why, "line": place.tb_lineno if place else None}
    sys.stderr.write("\n" + json.dumps(verdict) + "\n")
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

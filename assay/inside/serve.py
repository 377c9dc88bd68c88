"""A model's program in its box: it is run once, then does what the tester asks of it. Nothing here is trusted."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

from assay.inside.wire import Ended, Line, pack, unpack

kept: list[Any] = []


def keep(value: Any) -> list[Any]:
    """A number for a value that stays here, what it is, and whether it is true."""
    kept.append(value)
    try:
        true = bool(value)
    except Exception:  # noqa: BLE001  # a program's own, and an array of several values has no truth
        true = True
    return [len(kept) - 1, type(value).__name__, true]


def begin(path: str) -> None:
    """Run the program, as a module that is not the main one: it is the first value that is kept."""
    module = types.ModuleType("program")
    module.__file__ = path
    sys.modules["program"] = module
    kept.append(module)
    exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), module.__dict__)  # noqa: S102  # in a box


def act(what: str, *arguments: Any) -> Any:
    """What a message of the tester asks for."""
    if what == "begin":
        return begin(*arguments)
    owner, name, *rest = (unpack(one, lambda number: kept[number]) for one in arguments)
    if what == "get":
        return getattr(owner, name)
    if what == "set":
        return setattr(owner, name, *rest)
    if what == "list":
        return list(owner)
    places, names = rest
    return getattr(owner, name)(*places, **names)


def answer(message: Any) -> dict[str, Any]:
    """The value of what was asked for, or what was raised."""
    try:
        return {"value": pack(act(*message), keep)}
    except BaseException as error:  # noqa: BLE001  # a program may raise anything, SystemExit too
        return {"raised": [[kind.__name__ for kind in type(error).__mro__], said(error)]}


def said(error: BaseException) -> str:
    """The text of an exception, which may fail to have one."""
    try:
        return str(error)[:500]
    except BaseException:  # noqa: BLE001  # as above
        return ""


def main() -> None:
    """Answer until the tester has no more questions."""
    line = Line()
    while True:
        try:
            message = line.get()
        except Ended:
            os._exit(0)
        line.send(answer(message))


if __name__ == "__main__":
    main()

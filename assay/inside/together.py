"""A program and its tests in one process, where they share objects that no line can carry.

The last act is to write the word that came in on standard input: what ends before says nothing. A program that looks
for the word in its own process finds it; `tester.py` is what keeps the two apart.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the tests, which run the program where they say so."""
    word = sys.stdin.readline().strip()
    errors, nothing = os.dup(2), os.open(os.devnull, os.O_RDWR)
    for place in (0, 1):
        os.dup2(nothing, place)
    verdict: dict[str, Any] = {"word": word}
    try:
        exec(compile(Path("test.py").read_text(encoding="utf-8"), "test.py", "exec"), {"__name__": "tests"})  # noqa: S102
    except BaseException as error:  # noqa: BLE001  # a program may raise anything
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        verdict = {"why": f"{type(error).__name__}: {error}"[:500], "missing": missing}
    os.write(errors, ("\n" + json.dumps(verdict) + "\n").encode())
    os._exit(0)


if __name__ == "__main__":
    main()

"""`python FILE …` without starting Python: a process that was just forked from one that has done nothing yet is one."""

from __future__ import annotations

import atexit
import builtins
import gc
import os
import sys
import types
from pathlib import Path
from typing import NoReturn


def be_python(arguments: list[str]) -> NoReturn:
    """Run the file that is the first argument as Python does, and end."""
    path = str(Path(arguments[0]).absolute())
    _standard_files()
    sys.argv = arguments
    sys.path.insert(0, str(Path(path).parent))
    ours = [name for name in sys.modules if name.partition(".")[0] == "adapters"]
    still_running = [sys.modules.pop(name) for name in (*ours, "__main__")]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins, __annotations__={}, __cached__=None)
    gc.enable()
    try:
        exec(compile(Path(path).read_bytes(), path, "exec"), main.__dict__)  # noqa: S102  (this process is the box)
        code = 0
    except SystemExit as error:
        code = _exit_code(error.code)
    except BaseException as error:  # noqa: BLE001  (as the interpreter itself does)
        error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    _finish(main, code)
    del still_running


def _exit_code(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def _finish(main: types.ModuleType, code: int) -> NoReturn:
    """End as Python ends, but without taking its modules apart, which takes longer than most programs."""
    if "threading" in sys.modules:  # with it imported here, each fork would take twice the time
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    main.__dict__.clear()
    gc.collect()
    for file in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if file is not None and not getattr(file, "closed", False):
            try:
                file.flush()
            except Exception:  # noqa: BLE001  (a program may have put anything there)
                code = 120
    os._exit(code)


def _standard_files() -> None:
    """Python's standard files, made anew for what the open files 0, 1 and 2 are now."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # type: ignore[misc]  # noqa: SIM115

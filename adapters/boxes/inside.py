"""A program's way into its box: its namespaces, its user, its limits, and then itself."""

from __future__ import annotations

import builtins
import json
import math
import os
import resource
import signal
import socket
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from adapters.boxes import linux
from adapters.boxes.root import SCRATCH, own_space

OPEN_FILES = 256
STACK = 64 << 20
_NOBODY = 65534
_MIB = 1 << 20


def first_process(plan: Mapping[str, Any], uid: int, limits: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    """The first process of a program's pid namespace: enters the other ones, starts the program, tells its end.

    The files: what the program is (JSON), its standard input, output and error, and where its end is told: its exit
    status, a signal's number below zero, or `F` and why it could not be started.
    """
    status = files[-1]
    try:
        linux.die_with_parent()
        linux.unshare(linux.NEWNS | linux.NEWIPC | linux.NEWUTS | linux.NEWNET)
        socket.sethostname("sandbox")
        own_space(limits["scratch"], uid)
        program = os.fork()
        if not program:
            _program(plan, uid, limits, files)
    except (OSError, ValueError, MemoryError) as error:
        os.write(status, f"F{error}".encode())
        os._exit(1)
    os.dup2(status, 0)
    os.closerange(1, OPEN_FILES)
    while True:
        pid, end = os.wait()
        if pid == program:
            os.write(0, str(os.waitstatus_to_exitcode(end)).encode())
            os._exit(0)


def _program(plan: Mapping[str, Any], uid: int, limits: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    text, *stdio, status = files
    program = json.loads(os.pread(text, os.fstat(text).st_size, 0))
    os.setsid()
    for number, file in enumerate(stdio):
        os.dup2(file, number)
    _drop(plan["root"], uid)
    _limit(limits)
    linux.no_new_privileges()
    linux.seccomp(bytes.fromhex(plan["filter"]))
    os.chdir(SCRATCH)
    for name, content in program["files"].items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    command = program["command"]
    if command[0] == "python" and len(command) > 1 and not command[1].startswith("-"):
        os.closerange(3, OPEN_FILES)
        _python(command[1:])
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    os.set_inheritable(status, False)
    os.execvp(command[0], command)


def _drop(root: bool, uid: int) -> None:
    """Be a user with no rights at all; where this is not root's, one of a new user namespace."""
    if root:
        linux.drop_bounding()
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        linux.dumpable(True)
    else:
        linux.dumpable(True)
        new_user(_NOBODY)
        linux.drop_bounding()
        linux.drop_capabilities()
    Path("/proc/self/oom_score_adj").write_text("1000")


def new_user(uid: int) -> None:
    """A new user namespace, in which this process's user has this number. Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{uid} {group} 1")


def _limit(limits: Mapping[str, Any]) -> None:
    seconds = math.ceil(limits["cpu"])
    values = {
        resource.RLIMIT_AS: (limits["memory"] * _MIB,) * 2,
        resource.RLIMIT_CPU: (seconds, seconds + 1),
        resource.RLIMIT_NPROC: (limits["processes"],) * 2,
        resource.RLIMIT_FSIZE: (limits["scratch"] * _MIB,) * 2,
        resource.RLIMIT_NOFILE: (OPEN_FILES,) * 2,
        resource.RLIMIT_STACK: (STACK,) * 2,
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    for name, wanted in values.items():
        most = resource.getrlimit(name)[1]
        soft, hard = wanted if most == resource.RLIM_INFINITY else (min(wanted[0], most), min(wanted[1], most))
        resource.setrlimit(name, (soft, hard))


def _python(arguments: list[str]) -> NoReturn:
    """Be `python FILE …` in this process, which is a fresh Python already."""
    path = arguments[0]
    utf8 = {"encoding": "utf-8", "errors": "surrogateescape", "closefd": False}
    sys.stdin = sys.__stdin__ = open(0, **utf8)  # type: ignore[misc, call-overload]
    sys.stdout = sys.__stdout__ = open(1, "w", **utf8)  # type: ignore[misc, call-overload]
    utf8["errors"] = "backslashreplace"
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, **utf8)  # type: ignore[misc, call-overload]
    sys.argv = arguments
    sys.path.insert(0, str(Path(path).absolute().parent))
    ours = [name for name in sys.modules if name.partition(".")[0] == "adapters"]
    kept = [sys.modules.pop(name) for name in (*ours, "__main__")]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins, __annotations__={})
    try:
        code = compile(Path(path).read_bytes(), path, "exec")
        exec(code, main.__dict__)  # noqa: S102  (this process is the box)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  (as the interpreter itself does)
        sys.excepthook(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
        raise SystemExit(1) from None
    raise SystemExit(kept is None)

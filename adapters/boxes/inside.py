"""A program's way into its box: its namespaces, its user, its limits, and then itself."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from adapters.boxes import linux
from adapters.boxes.commands import bwrap_command, docker_command, this_python
from adapters.boxes.limits import OPEN_FILES, kernel_number, resource_limits
from adapters.boxes.python import be_python
from adapters.boxes.root import SCRATCH, own_space

NOBODY = 65534
Plan = Mapping[str, Any]
Values = Mapping[str, Any]


def first_process(plan: Plan, name: str, uid: int, limits: Values, files: Sequence[int]) -> NoReturn:
    """The first process of a box: enters its namespaces, starts the program, tells its end.

    The files: what the program is (JSON), its standard input, output and error, and where its end is told: its exit
    status, a signal's number below zero, or `F` and why it could not be started.
    """
    status = files[-1]
    try:
        linux.die_with_parent()
        if plan["tier"] == "namespaces":
            linux.unshare(linux.NEWNS | linux.NEWIPC | linux.NEWUTS | linux.NEWNET)
            socket.sethostname("sandbox")
            own_space(limits["scratch"], uid, plan["binds"])
        program = os.fork()
        if not program:
            _program(plan, name, uid, limits, files)
    except (OSError, ValueError, MemoryError) as error:
        os.write(status, f"F{getattr(error, 'strerror', None) or error}\n".encode())
        os._exit(1)
    os.dup2(status, 0)
    os.closerange(1, OPEN_FILES)
    while True:  # orphans of the namespace, too
        pid, end = os.wait()
        if pid == program:
            os.write(0, str(os.waitstatus_to_exitcode(end)).encode())
            os._exit(0)


def _program(plan: Plan, name: str, uid: int, limits: Values, files: Sequence[int]) -> NoReturn:
    text, *stdio, status = files
    program = json.loads(os.pread(text, os.fstat(text).st_size, 0))
    os.setsid()
    for number, file in enumerate(stdio):
        os.dup2(file, number)
    os.closerange(3, status)
    os.closerange(status + 1, OPEN_FILES)
    if plan["tier"] == "namespaces":
        _drop(plan["root"], uid)
        _limit(limits)
        linux.no_new_privileges()
        linux.seccomp(bytes.fromhex(plan["filter"]))
        _run(program, Path(SCRATCH), status)
    linux.die_with_parent()
    if plan["tier"] == "bwrap":
        if plan["root"]:
            _drop(True, uid)
        linux.no_new_privileges()
        _execute(bwrap_command(plan, limits, program))
    folder = Path(plan["folder"], name)
    folder.mkdir()
    if plan["tier"] == "docker":
        _put(program["files"], folder)
        _execute(docker_command(plan, limits, name, folder, program["command"]))
    os.environ.update(HOME=str(folder), TMPDIR=str(folder))
    _limit({**limits, "processes": resource.getrlimit(resource.RLIMIT_NPROC)[1]})  # it would count all of the user's
    _run(program, folder, status)


def _run(program: Values, folder: Path, status: int) -> NoReturn:
    """Be the program."""
    _put(program["files"], folder)
    os.chdir(folder)
    command = program["command"]
    if command[0] == "python" and len(command) > 1 and not command[1].startswith("-"):
        os.close(status)
        be_python(command[1:])
    _execute(this_python(command))


def _put(files: Mapping[str, str], folder: Path) -> None:
    for name, content in files.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"a program's file lies in its scratch directory, not at {name}")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode(errors="surrogatepass"))


def _execute(command: Sequence[str]) -> NoReturn:
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        raise OSError(error.errno, f"{command[0]}: {error.strerror}") from error


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
        new_user(NOBODY)
        linux.drop_bounding()
        linux.drop_capabilities()
    linux.write("/proc/self/oom_score_adj", b"1000")


def new_user(uid: int) -> None:
    """A new user namespace, in which this process's user has this number. Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.NEWUSER)
    linux.write("/proc/self/setgroups", b"deny")
    linux.write("/proc/self/uid_map", f"{uid} {user} 1".encode())
    linux.write("/proc/self/gid_map", f"{uid} {group} 1".encode())


def _limit(limits: Values) -> None:
    for name, soft_and_hard in resource_limits(limits).items():
        resource.setrlimit(kernel_number(name), soft_and_hard)

"""The command lines of boxes that other programs make: bubblewrap and docker."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.boxes.limits import resource_limits
from adapters.boxes.root import SCRATCH, SHM, TMP

_MIB = 1 << 20
Values = Mapping[str, Any]


def bwrap_command(plan: Values, limits: Values, program: Values) -> list[str]:
    """Bubblewrap with a program; its files and the filter of system calls are opened, to be inherited."""
    command = this_python(program["command"])
    if not any(os.access(os.path.join(place, command[0]), os.X_OK) for place in os.environ["PATH"].split(":")):  # noqa: PTH118
        raise FileNotFoundError(f"{command[0]}: No such file or directory")
    words = [
        plan["bwrap"], "--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv",
    ]  # fmt: skip
    for name, value in plan["environ"].items():
        words += ["--setenv", name, value]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for path, size in (("/dev/shm", SHM), (SCRATCH, limits["scratch"]), ("/tmp", TMP)):
        words += ["--size", str(size * _MIB), "--tmpfs", path]
    for path, source in plan["binds"].items():
        words += ["--ro-bind", path if plan["root"] else source, path]  # root's keeper sees them in place already
    for name, target in plan["links"].items():
        words += ["--symlink", target, name]
    for name, content in program["files"].items():
        words += ["--file", str(_file(content.encode(errors="surrogatepass"))), f"{SCRATCH}/{name}"]
    words += ["--remount-ro", "/dev", "--chdir", SCRATCH, "--remount-ro", "/"]
    words += ["--seccomp", str(_file(bytes.fromhex(plan["filter"]))), "--", "prlimit"]
    words += [f"--{name}={soft}:{hard}" for name, (soft, hard) in resource_limits(limits).items()]
    return [*words, "--", *command]


def this_python(command: Sequence[str]) -> Sequence[str]:
    """A command in which `python` is the interpreter that runs us."""
    return [sys.executable, *command[1:]] if command[0] == "python" else command


def _file(content: bytes) -> int:
    """An open file with this content that whatever is executed inherits."""
    file = os.memfd_create("file", 0)
    while content:
        content = content[os.write(file, content) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


BEGUN = b"\x06begun\n"
"""What a container writes to its standard error just before its program: whatever came until then is docker's."""
LABEL = "assay.sandbox"
"""By which all containers of one sandbox are found."""
_OVERDUE = 30
_ENTER = f"""
command -v -- "$1" > /dev/null || {{ printf '%s: No such file or directory\\n' "$1" >&2; exit 127; }}
cp -R /files/. . && ulimit -v MEMORY && printf '{BEGUN.decode()}' >&2 && exec timeout -s KILL SECONDS "$@"
"""


def docker_command(plan: Values, limits: Values, name: str, folder: Path, command: Sequence[str]) -> list[str]:
    """Docker with a program, in a container of this name that is thrown away; its files lie in the folder."""
    # a working directory has the mode that docker gives it, whatever is said here
    safe = "rw,exec,nosuid,nodev,nr_inodes=4096,mode=1777,uid=65534,gid=65534"
    words = [
        plan["docker"], "run", "--rm", "--interactive", "--init", "--pull", "never", "--log-driver", "none",
        "--name", name, "--label", f"{LABEL}={plan['name']}", "--hostname", "sandbox",
        "--network", "none", "--ipc", "private", "--read-only",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534", "--cpus", "1",
        "--memory", f"{limits['memory']}m", "--memory-swap", f"{limits['memory']}m",
        "--pids-limit", str(limits["processes"]), "--shm-size", f"{SHM}m",
        "--tmpfs", f"{SCRATCH}:{safe},size={limits['scratch']}m", "--tmpfs", f"/tmp:{safe},size={TMP}m",
        "--volume", f"{folder}:/files:ro", "--workdir", SCRATCH,
    ]  # fmt: skip
    for resource in ("cpu", "fsize", "nofile", "core", "memlock"):
        soft, hard = resource_limits(limits)[resource]
        words += ["--ulimit", f"{resource}={soft}:{hard}"]
    for variable, value in plan["environ"].items():
        words += ["--env", f"{variable}={value}"]
    # the guard ends a container in time; where all that watch were ended, the container does it itself, later
    enter = _ENTER.replace("MEMORY", str(limits["memory"] << 10)).replace("SECONDS", f"{limits['wall'] + _OVERDUE:g}")
    return [*words, plan["image"], "sh", "-c", enter, "sh", *command]

"""The languages of this machine: what of it programs need to see, and what can be run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from assay.programs import Job, Limits, Program, Sandbox

VERSION = {
    "python": ["python", "--version"],
    "bash": ["bash", "--version"],
    "node": ["node", "--version"],
    "java": ["java", "-version"],
    "javac": ["javac", "-version"],
    "gcc": ["gcc", "-dumpfullversion"],
    "g++": ["g++", "-dumpfullversion"],
    "go": ["go", "version"],
    "rustc": ["rustc", "--version"],
}
"""How each language's program tells its version."""
_HOME = {"go": ["go", "env", "GOROOT"], "rustc": ["rustc", "--print", "sysroot"]}
"""How those that are often not in /usr tell where they are."""
_SYSTEM = ("/usr", "/etc/alternatives", "/etc/ld.so.cache", "/etc/java-*-openjdk")
_ROOT_LINKS = ("/bin", "/sbin", "/lib", "/lib64")
_ROOMY = Limits(memory=1 << 16, processes=256, wall=60)
"""What Java and Node reserve is far more than what they use."""


@cache
def homes() -> tuple[str, ...]:
    """Where languages are that have a place of their own."""
    found = []
    for name, command in _HOME.items():
        if shutil.which(name):
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            if told.returncode == 0:
                found.append(os.path.realpath(told.stdout.strip()))
    return tuple(found)


def packages() -> list[str]:
    """Where packages can be imported from that do not lie where Python is, as those of `pip install --user`."""
    inside = (sys.prefix, sys.base_prefix)
    places = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    return [place for place in places if not any(Path(place).is_relative_to(above) for above in inside)]


def visible() -> dict[str, str]:
    """The paths that programs can read, none of which is below another, with what really lies there."""
    system = [str(path) for name in _SYSTEM for path in sorted(Path("/").glob(name[1:]))]
    whole = [link for link in _ROOT_LINKS if Path(link).is_dir() and not Path(link).is_symlink()]
    wanted = [*system, *whole, sys.base_prefix, sys.prefix, *packages(), *homes()]
    kept: dict[str, str] = {}
    for path in sorted({str(place) for name in wanted for place in (Path(name).absolute(), Path(name).resolve())}):
        if not any(Path(path).is_relative_to(above) for above in kept):
            kept[path] = str(Path(path).resolve())
    return kept


def root_links() -> dict[str, str]:
    """The symbolic links of `/` that programs count on: name to target."""
    return {link: str(Path(link).readlink()) for link in _ROOT_LINKS if Path(link).is_symlink()}


def environ(home: str) -> dict[str, str]:
    """All of a program's environment."""
    places = [f"{sys.prefix}/bin", *(f"{place}/bin" for place in homes()), "/usr/local/bin", "/usr/bin", "/bin"]
    extra = {"PYTHONPATH": ":".join(packages())} if packages() else {}
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        "PATH": ":".join(places), "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1", **one_thread, **extra,
    }  # fmt: skip


def versions(box: Sandbox) -> dict[str, str]:
    """The languages whose program runs in this sandbox, with their versions."""
    jobs = [Job(name, (Program(command, limits=_ROOMY),)) for name, command in VERSION.items()]
    found = {}
    for ran in box.run(jobs):
        (outcome,) = ran.outcomes
        number = re.search(r"\d+(\.\d+)+", outcome.stdout + outcome.stderr)
        if (outcome.end, outcome.code) == ("exit", 0) and number:
            found[ran.key] = number[0]
    return {name: found[name] for name in VERSION if name in found}

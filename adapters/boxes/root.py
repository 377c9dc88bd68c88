"""The file system that boxed programs see: their languages, read-only, and scratch space of their own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from adapters.boxes import linux

SCRATCH = "/scratch"
INODES = 4096
TMP, SHM = 8, 8
"""MiB of /tmp and of /dev/shm."""
SAFE = linux.NOSUID | linux.NODEV
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def new_root(binds: Mapping[str, str], links: Mapping[str, str]) -> None:
    """Leave the file system for one that has these paths only (path to what lies there), read-only, and these symbolic
    links (name to target).

    The process is in a mount and a pid namespace of its own. Raises OSError.
    """
    linux.mount("", "/", flags=linux.REC | linux.PRIVATE)
    linux.mount("tmpfs", "/tmp", "tmpfs", SAFE, "size=1m,mode=0755")
    Path("/tmp/old").mkdir()
    linux.pivot("/tmp", "/tmp/old")
    os.chdir("/")
    for name, target in links.items():
        Path(name).symlink_to(target)
    for path in ("/proc", "/dev/shm", "/tmp", SCRATCH):
        Path(path).mkdir(parents=True)
    linux.mount("proc", "/proc", "proc", SAFE)
    for path, source in binds.items():
        _bind(source, path)
        linux.protect(path)
    for device in _DEVICES:
        _bind(f"/dev/{device}", f"/dev/{device}")
        linux.protect(f"/dev/{device}", devices=True)
    for name, target in _DEVICE_LINKS.items():
        Path("/dev", name).symlink_to(target)
    linux.detach("/old")
    Path("/old").rmdir()
    linux.protect("/", recursive=False)


def _bind(source: str, path: str) -> None:
    place = Path(path)
    if Path(f"/old{source}").is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    linux.mount(f"/old{source}", path, flags=linux.BIND | linux.REC)


def own_space(scratch: int, uid: int, binds: Iterable[str]) -> None:
    """Fresh scratch space (so many MiB, of this user), /tmp, /dev/shm and /proc. Raises OSError.

    Where a path that has to be seen lies in one of them, as an environment in /tmp, that one stays read-only.
    """
    for path, size in ((SCRATCH, scratch), ("/tmp", TMP), ("/dev/shm", SHM)):
        if any(bind.startswith(f"{path}/") for bind in binds):
            continue
        options = f"size={size}m,nr_inodes={INODES},mode=0700,uid={uid},gid={uid}"
        linux.mount("tmpfs", path, "tmpfs", SAFE, options)
    linux.mount("proc", "/proc", "proc", SAFE)

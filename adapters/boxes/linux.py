"""The calls of Linux that Python has no functions for, by ctypes."""

from __future__ import annotations

import ctypes
import os
import struct
from errno import ENOSYS

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
NOSUID, NODEV, BIND, REC, PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
_DETACH, _AT_RECURSIVE, _SYS_MOUNT_SETATTR = 2, 0x8000, 442
_PDEATHSIG, _DUMPABLE, _SECCOMP, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS = 1, 4, 22, 24, 36, 38
_CAPABILITIES_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *values: object) -> int:
    result: int = getattr(_libc, function)(*values)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")
    return result


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. Raises OSError, as all of these do."""
    _call("unshare", flags)


def setns(fd: int, flags: int) -> None:
    """Enter the namespace that an open file of /proc/PID/ns is."""
    _call("setns", fd, flags)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    try:
        _call("mount", *(text.encode() for text in (source, target, kind)), ctypes.c_ulong(flags), options.encode())
    except OSError as error:
        raise OSError(error.errno, f"mount {source} on {target}: {os.strerror(error.errno or 0)}") from error


def protect(target: str, recursive: bool = True, devices: bool = False) -> None:
    """Make a mount read-only without set-uid programs (and devices), with all that is mounted below it."""
    attributes = struct.pack("4Q", 1 | NOSUID | (0 if devices else NODEV), 0, 0, 0)  # the bits of mount_setattr(2)
    flags = _AT_RECURSIVE if recursive else 0
    try:
        _call("syscall", _SYS_MOUNT_SETATTR, -1, target.encode(), flags, attributes, len(attributes))
    except OSError as error:
        why = "Linux is older than 5.12" if error.errno == ENOSYS else os.strerror(error.errno or 0)
        raise OSError(error.errno, f"mount {target} read-only: {why}") from error


def pivot(root: str, old: str) -> None:
    """Make a mount the root; the old root is then at `old`, which lies below it."""
    _call("pivot_root", root.encode(), old.encode())


def detach(target: str) -> None:
    """Unmount, at once and with all that is below."""
    _call("umount2", target.encode(), _DETACH)


def _prctl(option: int, value: object = 0, more: object = 0) -> None:
    _call("prctl", option, ctypes.c_ulong(value) if isinstance(value, int) else value, more, 0, 0)


def die_with_parent() -> None:
    """Be killed when the parent ends."""
    _prctl(_PDEATHSIG, 9)


def adopt_orphans() -> None:
    """Be the parent of whichever descendant loses its own."""
    _prctl(_SUBREAPER, 1)


def dumpable(yes: bool) -> None:
    """Whether processes of the same user may look into this one's memory and /proc files."""
    _prctl(_DUMPABLE, int(yes))


def drop_bounding() -> None:
    """No program that is executed can bring a capability back."""
    last = int(read("/proc/sys/kernel/cap_last_cap"))
    for capability in range(last + 1):
        _prctl(_CAPBSET_DROP, capability)


def drop_capabilities() -> None:
    """Have no capability."""
    _call("capset", struct.pack("Ii", _CAPABILITIES_3, 0), bytes(24))


def no_new_privileges() -> None:
    """Nothing that is executed can have more rights."""
    _prctl(_NO_NEW_PRIVS, 1)


def seccomp(program: bytes) -> None:
    """Have the kernel filter this process's system calls from now on."""
    buffer = ctypes.create_string_buffer(program, len(program))
    _prctl(_SECCOMP, 2, struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))


def read(path: str) -> str:
    """A small file's text. (What a forked process does not touch is not copied, so no pathlib here.)"""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    text = os.read(file, 1 << 16).decode()
    os.close(file)
    return text


def write(path: str, data: bytes) -> None:
    """Make a file's content this. Raises OSError."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    while data:
        data = data[os.write(file, data) :]
    os.close(file)

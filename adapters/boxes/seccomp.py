"""The filter of system calls: what a program has no need of and what has let programs out of boxes before.

The kernel's classic BPF, made by struct.pack: see seccomp(2) and linux/filter.h.
"""

from __future__ import annotations

import platform
import struct
from errno import ENOSYS, EPERM

from assay.errors import SandboxError

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ARCH, _NUMBER, _FIRST, _SECOND = 4, 0, 16, 24
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X86_64, _X32 = 0xC000003E, 0x40000000
_NEWEST = 463
"""System calls from this number on are unknown to the list below."""
_AF_UNIX, _ITSELF, _TIOCSTI, _TIOCLINUX = 1, 0, 0x5412, 0x541C
_NEW_NAMESPACES = 0x7E020080
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, and NEWTIME."""
_CLONE, _CLONE3, _SOCKET, _SOCKETPAIR, _IOCTL, _PRLIMIT = 56, 435, 41, 53, 16, 302

_DENIED = {
    # other processes' memory and handles
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "process_madvise": 440, "pidfd_open": 434,
    "pidfd_getfd": 438, "kcmp": 312,
    # mounts and namespaces
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    # parts of the kernel that few programs need
    "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "fanotify_init": 300, "modify_ldt": 154, "personality": 135, "vmsplice": 278,
    "lookup_dcookie": 212, "uselib": 134, "ustat": 136, "sysfs": 139, "_sysctl": 156, "nfsservctl": 180,
    "inotify_init": 253, "inotify_init1": 294,
    # the machine's own
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "settimeofday": 164, "clock_settime": 227,
    "adjtimex": 159, "clock_adjtime": 305, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173,
    "syslog": 103, "quotactl": 179, "quotactl_fd": 443, "vhangup": 153,
    # memory that no limit counts
    "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240,
    "move_pages": 279, "mbind": 237, "set_mempolicy": 238, "migrate_pages": 256,
}  # fmt: skip


def program() -> bytes:
    """The filter for this machine. Raises SandboxError where its architecture has no list of system calls here."""
    if platform.machine() != "x86_64" or struct.calcsize("P") != 8:
        raise SandboxError(f"no filter of system calls for {platform.machine()}; there is x86_64")
    code = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_AT_LEAST, 0, 1, _NEWEST),
        (_RETURN, 0, 0, _ERROR | ENOSYS),
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERROR | ENOSYS),  # the C library then calls clone, whose flags can be seen
    ]
    for number in _DENIED.values():
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | EPERM)]
    code += _where(_CLONE, _FIRST, [(_ANY_BIT, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, _ERROR | EPERM)])
    for number in (_SOCKET, _SOCKETPAIR):
        code += _where(number, _FIRST, [(_EQUAL, 1, 0, _AF_UNIX), (_RETURN, 0, 0, _ERROR | EPERM)])
    code += _where(_PRLIMIT, _FIRST, [(_EQUAL, 1, 0, _ITSELF), (_RETURN, 0, 0, _ERROR | EPERM)])
    for request in (_TIOCSTI, _TIOCLINUX):
        code += _where(_IOCTL, _SECOND, [(_EQUAL, 0, 1, request), (_RETURN, 0, 0, _ERROR | EPERM)])
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


_Instruction = tuple[int, int, int, int]


def _where(number: int, argument: int, then: list[_Instruction]) -> list[_Instruction]:
    """Look at an argument of one system call, and load the number again for what follows."""
    block = [(_LOAD, 0, 0, argument), *then, (_LOAD, 0, 0, _NUMBER)]
    return [(_EQUAL, 0, len(block), number), *block]

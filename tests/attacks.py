"""What a program may try in order to get out of its box, or to harm what is outside, and what has to come of it.

Each is the body of a function. What it returns or raises is reported: an errno's name, an exception's, or a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PRELUDE = """
import ctypes, errno, glob, json, mmap, os, resource, signal, socket, subprocess, sys, threading, time
_libc = ctypes.CDLL(None, use_errno=True)
def call(number, *values):
    result = _libc.syscall(number, *values)
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result
def tried(action, *values):
    try:
        action(*values)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        return type(error).__name__
    return "allowed"
def fill(place):
    size = 0
    try:
        for number in range(100):
            with open(f"{place}/{number}", "wb", 0) as file:
                for _ in range(8):
                    size += file.write(bytes(1 << 20))
    except OSError:
        pass
    return size >> 20
"""
REPORT = """
try:
    report = attack()
except OSError as error:
    report = errno.errorcode.get(error.errno, str(error))
except Exception as error:
    report = type(error).__name__
print(json.dumps(report), flush=True)
"""
NO, NOT_THERE = ("EPERM",), ("ENOENT",)
DENIED = ("EACCES", "EPERM", "EROFS", "ENOENT")


@dataclass(frozen=True)
class Attack:
    """What is tried, and one of the reports or of the ends (`wall`, `signal 9` …) that are right."""

    body: str
    right: tuple[object, ...]
    limits: Mapping[str, float] = field(default_factory=dict)
    not_by: str = ""
    """The tier that does not keep this in, which docs/sandbox.md says."""


def syscall(number: int, *values: object) -> Attack:
    """A system call that has to be denied."""
    return Attack(f"call({', '.join(map(str, (number, *values)))})", NO)


def write(path: str) -> Attack:
    """A file that must not be opened for writing."""
    return Attack(f"open({path}, 'r+' if os.path.exists({path}) else 'w')", DENIED)


ATTACKS: dict[str, Attack] = {
    # the longest first
    "deaf to the processor's limit": Attack(
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", ("signal 9",), {"cpu": 1, "wall": 120}),
    # the network
    "tcp to a listener outside": Attack("socket.create_connection(('127.0.0.1', PORT), 1)", NO),
    "listen on all addresses": Attack("socket.socket().bind(('0.0.0.0', 0))", NO),
    "ask for a name": Attack("return tried(socket.getaddrinfo, 'example.com', 80) != 'allowed'", (True,)),
    "netlink": Attack("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", NO),
    "vsock": Attack("socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)", NO),
    "raw packets": Attack("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", NO),
    "the kernel's ciphers": Attack("socket.socket(38, socket.SOCK_SEQPACKET)", NO),
    "an abstract unix socket": Attack("socket.socket(socket.AF_UNIX).connect(ABSTRACT)", ("ECONNREFUSED",)),
    "a unix socket": Attack("socket.socket(socket.AF_UNIX).connect(UNIX)", NOT_THERE),
    "docker's socket": Attack("socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')", NOT_THERE),
    # what can be read
    "a private file": Attack("return open(SECRET_FILE).read()", NOT_THERE),
    "a private file by the parent's root": Attack(
        "return open(f'/proc/{os.getppid()}/root{SECRET_FILE}').read()", DENIED),
    "a private file by a symbolic link": Attack(
        "os.symlink(SECRET_FILE, 'link')\nreturn open('link').read()", NOT_THERE),
    "a private file by many dots": Attack("return open('../' * 40 + SECRET_FILE).read()", NOT_THERE),
    "passwords": Attack("return open('/etc/shadow').read()", NOT_THERE),
    "the home directory": Attack("return sorted(set(os.listdir(HOME)) - set(SHOWN))", ([], "ENOENT", "EACCES")),
    "its own environment": Attack("return [name for name, value in os.environ.items() if SECRET in value]", ([],)),
    "others' environments": Attack(
        "texts = []\nfor path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    tried(lambda: texts.append(open(path, 'rb').read()))\n"
        "return [len(texts) > 0, sum(SECRET.encode() in text for text in texts)]", ([True, 0],)),
    "others' command lines": Attack(
        "return sum(SECRET.encode() in open(path, 'rb').read() for path in glob.glob('/proc/[0-9]*/cmdline'))", (0,)),
    "see processes": Attack("return len(glob.glob('/proc/[0-9]*')) > 3", (False,)),
    "open files of the parent": Attack(
        "return os.listdir(f'/proc/{os.getppid()}/fd')", ("EACCES",), not_by="bwrap"),
    "inherited files": Attack(
        "return [file for file in range(3, 1024) if tried(os.fstat, file) == 'allowed']", ([],)),
    "what earlier programs left": Attack(
        "return [path for place in ('.', '/tmp', '/dev/shm') for path in os.listdir(place) if path != 'main.py']",
        ([],)),
    "control groups": Attack("return os.listdir('/sys/fs/cgroup')", NOT_THERE),
    # what can be written
    "a file outside": write("OUTSIDE"),
    "a system library": write("'/usr/lib/os-release'"),
    "a new file beside the libraries": write("'/usr/lib/new'"),
    "a new file in the root": write("'/new'"),
    "Python's own library": write("json.__file__"),
    "a new file among the packages": write("sys.prefix + '/new'"),
    "a device": write("'/dev/new'"),
    "where core dumps go": write("'/proc/sys/kernel/core_pattern'"),
    "what loads modules": write("'/proc/sys/kernel/modprobe'"),
    "the machine's name by /proc": write("'/proc/sys/kernel/hostname'"),
    "the magic key": write("'/proc/sysrq-trigger'"),
    "a lower badness": Attack("with open('/proc/self/oom_score_adj', 'w', 1) as file: file.write('-900\\n')", DENIED),
    "its own input": Attack("os.write(os.open('/proc/self/fd/0', os.O_RDWR), b'x')", DENIED),
    # too much
    "many processes": Attack(
        "number = 0\nwhile number < 400:\n    if not os.fork(): time.sleep(60)\n    number += 1", ("EAGAIN",)),
    "a fork bomb": Attack("while True: tried(os.fork)", ("wall",), {"wall": 0.5}),
    "many threads": Attack(
        "for _ in range(400): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", ("RuntimeError",)),
    "much memory": Attack("kept = []\nwhile True: kept.append(bytearray(16 << 20))", ("MemoryError",), {"memory": 256}),
    "memory in a file without a name": Attack("os.memfd_create('a')", NO),
    "memory shared the old way": syscall(29, 0, 1 << 30, 0o1600),
    "a queue of messages": syscall(68, 0, 0o1600),
    "semaphores": syscall(64, 0, 1, 0o1600),
    "fill the scratch directory": Attack("return fill('.') <= 8", (True,), {"scratch": 8}),
    "fill /tmp": Attack("return fill('/tmp') <= 8", (True,)),
    "fill /dev/shm": Attack("return fill('/dev/shm') <= 8", (True,)),
    "a huge file with nothing in it": Attack("open('a', 'w').truncate(1 << 40)", ("EFBIG",)),
    "many files": Attack("for number in range(6000): open(str(number), 'w').close()", ("ENOSPC",), not_by="bwrap"),
    "many open files": Attack("kept = [open('/dev/null') for _ in range(2000)]", ("EMFILE",)),
    "endless output": Attack("while True: os.write(1, bytes(1 << 16))", ("output",)),
    "endless errors": Attack("while True: os.write(2, bytes(1 << 16))", ("output",)),
    # going on for ever
    "deaf to signals": Attack(
        "for number in range(1, 65):\n    tried(signal.signal, number, signal.SIG_IGN)\nwhile True: pass",
        ("wall",), {"wall": 0.5}),
    "asleep": Attack("time.sleep(600)", ("wall",), {"wall": 0.5}),
    "silent": Attack("for file in (0, 1, 2): os.close(file)\ntime.sleep(600)", ("wall",), {"wall": 0.5}),
    "a daemon": Attack(
        "if not os.fork():\n    os.setsid()\n    if os.fork(): os._exit(0)\n    time.sleep(600)\nreturn 'left'",
        ("left",)),
    "a daemon that holds the output": Attack(
        "if not os.fork():\n    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n    os.setpgid(0, 0)\n"
        "    time.sleep(600)\nprint(json.dumps('left'), flush=True)\nos.kill(os.getpid(), 9)", ("signal 9",)),
    # other processes
    "kill the parent": Attack(
        "end = tried(os.kill, os.getppid(), 9)\ntime.sleep(0.2)\nreturn [end, os.getppid() > 0]",
        (["EPERM", True], ["allowed", True])),
    "kill everybody": Attack("os.kill(-1, 9)", ("ESRCH", "EPERM")),
    "kill every number": Attack(
        "for pid in range(2, 5000):\n    if pid != os.getpid(): tried(os.kill, pid, 9)\nreturn 'alive'", ("alive",)),
    "kill a process outside": Attack("os.kill(VICTIM, 9)", ("ESRCH",)),
    "trace the parent": syscall(101, 16, "os.getppid()", 0, 0),
    "be traced": syscall(101, 0, 0, 0, 0),
    "write into the parent": syscall(311, "os.getppid()", 0, 0, 0, 0, 0),
    "read the parent": syscall(310, "os.getppid()", 0, 0, 0, 0, 0),
    "the parent's memory": Attack("open(f'/proc/{os.getppid()}/mem', 'rb')", ("EACCES",), not_by="bwrap"),
    "a handle of the parent": syscall(434, "os.getppid()", 0),
    "the parent's limits": Attack("resource.prlimit(os.getppid(), resource.RLIMIT_NPROC, (1, 1))", NO),
    # namespaces and mounts
    "mount": syscall(165, 0, "b'/tmp'", "b'tmpfs'", 0, 0),
    "unmount": syscall(166, "b'/proc'", 2),
    "another root": syscall(161, "b'/tmp'"),
    "turn the root": syscall(155, "b'.'", "b'.'"),
    "clone a mount": syscall(428, -100, "b'/'", 1),
    "another's namespace": Attack("call(308, os.open(f'/proc/self/ns/net', 0), 0)", NO),
    "a user namespace": syscall(272, 0x10000000),
    "a mount namespace": syscall(272, 0x20000),
    "a process in a user namespace": syscall(56, 0x10000000 | 17, 0, 0, 0, 0),
    "a process by clone3": Attack("call(435, 0, 0)", ("ENOSYS",)),
    # rights
    "be root": Attack("os.setuid(0)", ("EPERM", "EINVAL")),
    "be in root's group": Attack("os.setgid(0)", ("EPERM", "EINVAL")),
    "more groups": Attack("os.setgroups([0])", NO),
    "more capabilities": syscall(126, "(ctypes.c_uint * 2)(0x20080522, 0)", "(ctypes.c_uint * 6)(*[0xffffffff] * 6)"),
    "programs that make root": Attack("return bool(os.statvfs('/usr').f_flag & os.ST_NOSUID)", (True,)),
    "higher limits": Attack(
        "most = resource.RLIM_INFINITY\nreturn sorted({tried(resource.setrlimit, kind, (most, most)) for kind in "
        "(resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)})", (["ValueError"],)),
    # the kernel
    "the machine's name": Attack("socket.sethostname('x')", NO),
    "keys": syscall(250, 0, -3, 0),
    "add a key": syscall(248, "b'user'", "b'x'", "b'x'", 1, -3),
    "bpf": syscall(321, 0, 0, 0),
    "counters": syscall(298, 0, 0, -1, -1, 0),
    "faults": syscall(323, 0),
    "io_uring": syscall(425, 1, 0),
    "restart the machine": syscall(169, 0, 0, 0, 0),
    "load a module": syscall(313, 0, "b''", 0),
    "another kernel": syscall(320, 0, 0, 0, 0, 0),
    "another personality": syscall(135, 0x40000),
    "the clock": syscall(227, 0, "(ctypes.c_long * 2)(0, 0)"),
    "type into the terminal": Attack("import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSTI, b'x')", NO),
    "the terminal": Attack("open('/dev/tty')", ("ENXIO", "ENOENT")),
    "calls by their other numbers": Attack("call(0x40000000 | 39)", ("signal 31",)),
    "calls of 32 bits": Attack(
        "code = mmap.mmap(-1, 4096, prot=7)\ncode.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(code))\nreturn ctypes.CFUNCTYPE(ctypes.c_int)(at)()",
        ("signal 31",)),
}  # fmt: skip

BY_DOCKER: dict[str, tuple[object, ...]] = {
    # a network of its own, in which nobody listens; which sockets can be made is docker's filter's matter
    "tcp to a listener outside": ("ECONNREFUSED",),
    "listen on all addresses": (None,),
    "netlink": (None,),
    "vsock": (None,),
    "the kernel's ciphers": ("EAFNOSUPPORT", None),
    # the image's own, or of no use to a program without rights
    "passwords": ("EACCES",),
    "control groups": (["blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd"], []),
    "programs that make root": (False,),
    "its own input": (None,),
    # memory that the container's limit counts
    "memory in a file without a name": (None,),
    "memory shared the old way": (None,),
    "a queue of messages": (None,),
    "semaphores": (None,),
    # the parent is of the container, and with it the container ends
    "open files of the parent": (["0", "1", "2"],),
    "kill the parent": ("signal 9",),
    "kill everybody": ("signal 9",),
    "kill every number": ("signal 9",),
    "trace the parent": ("wall",),
    "be traced": (None,),
    "the parent's memory": (None,),
    "a handle of the parent": (None,),
    "the parent's limits": (None,),
    # what docker's filter lets through
    "io_uring": ("EFAULT", "EPERM"),
    "type into the terminal": ("ENOTTY",),
    "calls by their other numbers": ("ENOSYS", "EPERM"),
    "calls of 32 bits": tuple(range(2, 99)),
}
"""What comes of some in a container, whose filter is docker's own: nothing gets out of it, as docs/sandbox.md says."""

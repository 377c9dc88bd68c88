"""The keeper: a small process of one thread with nothing in it, which forks a guard for each job.

It is told a plan, and then jobs: what they may use, and open files with the programs' texts, which it never reads. It
ends when the other side of its socket does, and with it, as it is the first process of a pid namespace, all others.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
from collections.abc import Mapping
from typing import Any

from adapters.boxes import linux
from adapters.boxes.guard import guard
from adapters.boxes.inside import new_user
from adapters.boxes.root import new_root

_MESSAGE = 1 << 17


def main(number: int) -> None:
    """Serve the socket that is this open file."""
    control = socket.socket(fileno=number)
    plan = json.loads(control.recv(_MESSAGE))
    try:
        if not plan["root"]:
            new_user(0)
        linux.unshare(linux.NEWNS | linux.NEWPID | linux.NEWNET | linux.NEWIPC | linux.NEWUTS)
        parent = os.getppid()
        child = os.fork()
        if child:
            control.close()
            return _outlive(child, parent)
        linux.die_with_parent()
        linux.dumpable(False)
        new_root(plan["binds"], plan["links"])
    except OSError as error:
        control.send(str(error).encode())
        return
    control.send(b"ready")
    serve(control, plan)


def _outlive(child: int, parent: int) -> None:
    """Wait for the keeper, and end it where our own parent ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while not os.waitpid(child, os.WNOHANG)[0] and os.getppid() == parent:
        signal.sigtimedwait({signal.SIGCHLD}, 1)


def serve(control: socket.socket, plan: Mapping[str, Any]) -> None:
    """Fork a guard for each job until nobody is there to send one."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards need no waiting for
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(control, _MESSAGE, 5)
        if not request:
            return
        if not os.fork():
            control.close()
            guard(plan, json.loads(request), files)
        for file in files:
            os.close(file)

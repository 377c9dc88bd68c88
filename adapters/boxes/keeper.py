"""The keeper: a small process of one thread with nothing in it, which forks a guard for each job.

It is told a plan, and then jobs: what they may use, and open files with the programs' texts, which it never reads. It
ends when the other side of its socket does. It is the first process of a pid namespace, where there are namespaces,
so that with it all others end.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
from collections.abc import Mapping
from typing import Any

from adapters.boxes import linux
from adapters.boxes.commands import LABEL
from adapters.boxes.guard import guard
from adapters.boxes.inside import new_user
from adapters.boxes.root import new_root

_MESSAGE = 1 << 17


def main(number: int) -> None:
    """Serve the socket that is this open file."""
    control = socket.socket(fileno=number)
    plan = json.loads(control.recv(_MESSAGE))
    boxed = plan["tier"] == "namespaces" or (plan["tier"] == "bwrap" and plan["root"])
    parent = os.getppid()
    try:
        if boxed:
            if not plan["root"]:
                new_user(0)
            linux.unshare(linux.NEWNS | linux.NEWPID | linux.NEWNET | linux.NEWIPC | linux.NEWUTS)
        child = os.fork()
        if child:
            control.close()
            _outlive(child, parent)
            if plan["tier"] == "docker":
                _remove_containers(plan)
            if plan["folder"]:
                shutil.rmtree(plan["folder"], ignore_errors=True)
            return
        linux.die_with_parent()
        linux.dumpable(False)
        if boxed:
            new_root(plan["binds"], plan["links"])
    except OSError as error:
        control.send((error.strerror or str(error)).encode())
        return
    control.send(b"ready")
    _serve(control, plan)


def _outlive(child: int, parent: int) -> None:
    """Until the keeper ends, or our own parent."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while not os.waitpid(child, os.WNOHANG)[0]:
        if os.getppid() != parent:
            os.kill(child, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, 1)


def _remove_containers(plan: Mapping[str, Any]) -> None:
    """Those whose guards were ended before them."""
    import subprocess  # not before: guards are forks of a process with as little in it as can be

    of_ours = ["ps", "--all", "--quiet", "--filter", f"label={LABEL}={plan['name']}"]
    listed = subprocess.run([plan["docker"], *of_ours], capture_output=True, text=True, check=False).stdout.split()
    if listed:
        subprocess.run([plan["docker"], "rm", "--force", *listed], capture_output=True, check=False)


def _serve(control: socket.socket, plan: Mapping[str, Any]) -> None:
    """Fork a guard for each job until nobody is there to send one."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards need no waiting for
    gc.disable()  # it would touch, and so copy, all memory of each process
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

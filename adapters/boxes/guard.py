"""One job: its programs are started, what they write is read, the clock is watched, and all of them are ended."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from adapters.boxes import linux
from adapters.boxes.commands import BEGUN
from adapters.boxes.inside import first_process

_CHUNK = 1 << 16
_TO_BEGIN = 60
"""Seconds that a container has to start."""
Values = Mapping[str, Any]


class Box:
    """A program under way."""

    def __init__(self, tier: str, first: int, files: tuple[int, int | None, int], limits: Values) -> None:
        """The files: where its end is told, its standard output, its standard error."""
        self.tier, self.first = tier, first
        self.status, self.output, self.errors = files
        self.most, self.wall = limits["output"], limits["wall"]
        self.begun = tier != "docker"
        """A container begins later than docker does, which tells of it."""
        self.started = time.monotonic()
        self.deadline = self.started + (self.wall if self.begun else _TO_BEGIN)
        self.starved = killed_for_memory()
        self.written = {file: bytearray() for file in files[1:] if file is not None}
        self.end, self.code, self.seconds = "", 0, 0.0

    def read(self, file: int) -> bool:
        """Take what there is to read. False: nothing more will come."""
        data = os.read(file, _CHUNK)
        self.written[file] += data
        if not self.begun and file == self.errors:
            self._begin()
        return bool(data)

    def _begin(self) -> None:
        _, begun, own = self.written[self.errors].partition(BEGUN)
        if begun:
            self.begun, self.written[self.errors] = True, own
            if not self.end:
                self.started = time.monotonic()
                self.deadline = self.started + self.wall

    def wrote_too_much(self) -> bool:
        """More than is kept."""
        return any(len(data) > self.most for data in self.written.values())

    def hear(self) -> None:
        """Its first process tells its end, or that of bwrap or docker."""
        message = os.read(self.status, 4096).decode() or "Fits first process was ended\n"
        starved = killed_for_memory() > self.starved and self.tier != "docker"  # whose containers are ended so, too
        if message in ("-9", "137") and starved:  # by no fault of its own, most likely
            message = "Fthe machine ran out of memory and the kernel ended programs\n"
        if message.startswith("F"):
            self.finish("failed")
            self.written[self.errors] = bytearray(message[1:].splitlines()[0].encode())
            return
        code = int(message)
        if self.tier in ("bwrap", "docker") and 128 < code <= 128 + signal.NSIG:  # as shells tell a signal
            code = 128 - code
        self.finish("exit" if code >= 0 else "signal", abs(code))

    def finish(self, end: str, code: int = 0) -> None:
        """End it, and read what it had written."""
        self.end, self.code, self.seconds = end, code, time.monotonic() - self.started
        os.kill(self.first, signal.SIGKILL)
        os.waitpid(self.first, 0)  # with the first process of a pid namespace all of it has ended
        for file in self.written:
            os.set_blocking(file, False)
            try:
                while not self.wrote_too_much() and self.read(file):
                    pass
            except BlockingIOError:  # somebody has it open still
                continue
        by_the_other = (end, code) == ("signal", signal.SIGKILL)
        if not self.begun and not by_the_other:
            self.end, self.code = "failed", 0
            self.written[self.errors] = self.written[self.errors] or bytearray(b"no container started in time")
        elif self.end == "exit" and self.wrote_too_much():
            self.end, self.code = "output", 0

    def outcome(self) -> dict[str, Any]:
        """As assay.programs.Outcome."""
        stdout, stderr = (
            self.written[file][: self.most].decode(errors="replace") if file is not None else ""
            for file in (self.output, self.errors)
        )
        return {"end": self.end, "code": self.code, "stdout": stdout, "stderr": stderr, "seconds": self.seconds}


def killed_for_memory() -> int:
    """How many processes the kernel has ended as the machine had no memory left."""
    counted = linux.read("/proc/vmstat").rpartition("\noom_kill ")[2]
    return int(counted.split(None, 1)[0])


def guard(plan: Values, request: Values, files: Sequence[int]) -> NoReturn:
    """Run one job and write its outcomes (JSON). The files: where to, and each program's text and standard input."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    linux.die_with_parent()
    linux.adopt_orphans()
    result, *texts = files
    names = [f"{plan['name']}-{os.getpid()}-{number}" for number in range(len(request["limits"]))]
    boxes = _start(plan, request, names, texts)
    _watch(plan, boxes, result)
    _clean(plan, names, boxes)
    data = json.dumps([box.outcome() for box in boxes]).encode()
    while data:
        data = data[os.write(result, data) :]
    os._exit(0)


def _start(plan: Values, request: Values, names: Sequence[str], texts: Sequence[int]) -> list[Box]:
    outputs = [os.pipe() for _ in names]
    crossed = len(names) == 2  # what one writes the other reads
    inputs = [outputs[1][0], outputs[0][0]] if crossed else [texts[1]]
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    boxes = []
    for number, (name, limits) in enumerate(zip(names, request["limits"], strict=True)):
        errors, status = os.pipe(), os.pipe()
        if plan["tier"] == "namespaces":
            linux.setns(own, linux.NEWPID)  # what a second one asks for
            linux.unshare(linux.NEWPID)
        first = os.fork()
        if not first:
            uid = plan["uid"] + 2 * request["slot"] + number if plan["root"] else 0
            stdio = (inputs[number], outputs[number][1], errors[1])
            first_process(plan, name, uid, limits, (texts[2 * number], *stdio, status[1]))
        os.close(errors[1])
        os.close(status[1])
        boxes.append(Box(plan["tier"], first, (status[0], None if crossed else outputs[0][0], errors[0]), limits))
    for read, write in outputs:
        os.close(write)
        if crossed:
            os.close(read)
    return boxes


def _watch(plan: Values, boxes: Sequence[Box], result: int) -> None:
    """Until all have ended. With the tester, the first, the other one is ended."""
    poll = select.poll()
    poll.register(result, 0)  # that nobody is there to read it is told anyway
    owners = {file: box for box in boxes for file in (box.status, *box.written)}
    for file in owners:
        poll.register(file, select.POLLIN)
    while under_way := [box for box in boxes if not box.end]:
        left = min(box.deadline for box in under_way) - time.monotonic()
        for file, _ in poll.poll(max(0, int(left * 1000) + 1)):
            box = owners.get(file)
            if box is None:
                for other in under_way:
                    other.finish("signal", signal.SIGKILL)
            elif box.end:
                poll.unregister(file)
            elif file == box.status:
                box.hear()
            elif not box.read(file):
                poll.unregister(file)
            elif box.wrote_too_much():
                box.finish("output")
        for box in under_way:
            if not box.end and boxes[0].end:
                box.finish("signal", signal.SIGKILL)
            elif not box.end and time.monotonic() >= box.deadline:
                box.finish("wall")


def _clean(plan: Values, names: Sequence[str], boxes: Iterable[Box]) -> None:
    """Nothing is left of what has no pid namespace and no scratch space of its own."""
    if plan["tier"] == "namespaces":
        return
    for name, box in zip(names, boxes, strict=True):
        if plan["tier"] == "docker" and box.end != "exit":
            os.spawnv(os.P_WAIT, plan["docker"], ["docker", "rm", "--force", name])
        if plan["folder"]:
            shutil.rmtree(Path(plan["folder"], name), ignore_errors=True)
    while orphans := linux.read(f"/proc/self/task/{os.getpid()}/children").split():
        for orphan in orphans:  # with each of them its own children become ours
            os.kill(int(orphan), signal.SIGKILL)
            os.waitpid(int(orphan), 0)

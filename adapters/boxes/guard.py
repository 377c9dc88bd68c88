"""One job: its programs are started, what they write is read, the clock is watched, and all of them are ended."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from adapters.boxes import linux
from adapters.boxes.inside import first_process

_CHUNK = 1 << 16
Plan = Mapping[str, Any]


class Box:
    """A program under way."""

    def __init__(self, process: int, status: int, output: int | None, errors: int, limits: Mapping[str, Any]) -> None:
        self.process, self.status, self.output, self.errors, self.limits = process, status, output, errors, limits
        self.started = time.monotonic()
        self.deadline = self.started + limits["wall"]
        self.written = {file: bytearray() for file in (output, errors) if file is not None}
        self.end = ""
        self.code = 0
        self.seconds = 0.0

    def read(self, file: int) -> bool:
        """Take what there is to read. False: nothing more will come."""
        data = os.read(file, _CHUNK)
        self.written[file] += data
        return bool(data)

    def over(self) -> bool:
        """Whether it wrote more than it may."""
        return any(len(data) > self.limits["output"] for data in self.written.values())

    def told(self) -> None:
        """Its first process told its end."""
        message = os.read(self.status, 4096).decode() or "Fits first process was ended"
        if message.startswith("F"):
            self.finish("failed")
            self.written[self.errors] = bytearray(message[1:].encode())
        else:
            self.finish("exit" if int(message) >= 0 else "signal", abs(int(message)))

    def finish(self, end: str, code: int = 0) -> None:
        """End it and all of its processes, and read what they had written."""
        self.end, self.code, self.seconds = end, code, time.monotonic() - self.started
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)  # the kernel ends a pid namespace with its first process
        for file in self.written:
            os.set_blocking(file, False)
            try:
                while not self.over() and self.read(file):
                    pass
            except BlockingIOError:  # another box has it still
                continue
        if self.end == "exit" and self.over():
            self.end, self.code = "output", 0

    def outcome(self) -> dict[str, Any]:
        """As assay.programs.Outcome."""
        most = self.limits["output"]
        texts = [self.written.get(file, b"")[:most].decode(errors="replace") for file in (self.output or -1, self.errors)]
        return {"end": self.end, "code": self.code, "stdout": texts[0], "stderr": texts[1], "seconds": self.seconds}


def guard(plan: Plan, request: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    """Run one job and write its outcomes (JSON). The files: where to, and each program's text and standard input."""
    linux.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    result, *texts = files
    boxes = _start(plan, request, texts)
    _watch(boxes, result)
    data = json.dumps([box.outcome() for box in boxes]).encode()
    while data:
        data = data[os.write(result, data) :]
    os._exit(0)


def _start(plan: Plan, request: Mapping[str, Any], texts: Sequence[int]) -> list[Box]:
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    inputs, outputs = [texts[1]], [os.pipe()]
    if len(request["limits"]) == 2:  # what one writes the other reads
        outputs = [os.pipe(), os.pipe()]
        inputs = [outputs[1][0], outputs[0][0]]
    boxes = []
    for number, limits in enumerate(request["limits"]):
        errors, status = os.pipe(), os.pipe()
        linux.setns(own, linux.NEWPID)
        linux.unshare(linux.NEWPID)
        process = os.fork()
        if not process:
            uid = plan["uid"] + 2 * request["slot"] + number if plan["root"] else 0
            stdio = (inputs[number], outputs[number][1], errors[1])
            first_process(plan, uid, limits, (texts[2 * number], *stdio, status[1]))
        os.close(errors[1])
        os.close(status[1])
        boxes.append(Box(process, status[0], None if len(outputs) == 2 else outputs[0][0], errors[0], limits))
    for read, write in outputs:
        os.close(write)
        if len(outputs) == 2:
            os.close(read)
    return boxes


def _watch(boxes: Sequence[Box], result: int) -> None:
    """Until all have ended: the tester with its end ends the other."""
    poll = select.poll()
    poll.register(result, 0)  # is nobody there to read it, that is told anyway
    owner = {}
    for box in boxes:
        for file in (box.status, *box.written):
            poll.register(file, select.POLLIN)
            owner[file] = box
    while any(not box.end for box in boxes):
        left = min(box.deadline for box in boxes if not box.end) - time.monotonic()
        for file, _ in poll.poll(max(0, math_ms(left))):
            if file == result:
                os._exit(1)
            box = owner[file]
            if box.end:
                continue
            if file == box.status:
                box.told()
            elif not box.read(file):
                poll.unregister(file)
            elif box.over():
                box.finish("output")
        for box in boxes:
            if not box.end and time.monotonic() >= box.deadline:
                box.finish("wall")
            elif not box.end and boxes[0].end:
                box.finish("signal", signal.SIGKILL)


def math_ms(seconds: float) -> int:
    """Milliseconds, rounded up."""
    return int(seconds * 1000) + 1

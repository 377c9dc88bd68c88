"""Whether two answers mean the same number, set or formula: asked of a process of its own, with a time limit.

Algebra on what a model wrote may take for ever or all memory, in code that no signal reaches. So it is done by
`python -m assay.algebra`, which reads questions and writes verdicts a line each; one that is late is killed, the
verdict is `timeout`, and the next question starts another.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from assay.errors import AssayError

LIMIT = 10.0
"""Seconds for one question."""
START = 120.0
"""Seconds until the process has imported its algebra."""
UNREADABLE = "the right answer cannot be read"
"""The verdict's detail where a method finds no answer in what is right: then nothing could be equal to it."""


class Verdict(NamedTuple):
    """Whether two answers are equal."""

    equal: bool
    detail: str | None = None
    """`timeout`, `the right answer cannot be read`, or why else it could not be told."""


def equal(method: str, gold: str, answer: str, limit: float = LIMIT) -> Verdict:
    """What a method (`sympy`, `math_verify`, `opencompass`) says of two answers; not equal where it is late or fails.

    `sympy` simplifies the difference of two LaTeX formulas (Lewkowycz et al. 2022); `math_verify` finds the answers in
    two texts by itself and compares them (github.com/huggingface/Math-Verify); `opencompass` is that with OpenCompass's
    settings. Raises AssayError where the process cannot be started: then no answer at all can be scored.
    """
    with _lock:
        worker = _idle.pop() if _idle else None
    worker = worker or _Worker()
    verdict = worker.ask(method, gold, answer, limit)
    if worker.process is not None:
        with _lock:
            _idle.append(worker)
    return verdict


def close() -> None:
    """No worker process is left."""
    with _lock:
        while _idle:
            _idle.pop().kill()


_lock = threading.Lock()
_idle: list[_Worker] = []
atexit.register(close)
os.register_at_fork(after_in_child=_idle.clear)  # a child must not read its parent's verdicts


class _Worker:
    """One process, asked one question at a time."""

    def __init__(self) -> None:
        root = str(Path(__file__).parent.parent)
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        environ = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR")}
        self.process: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-m", "assay.algebra"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        )
        self.started = False

    def ask(self, method: str, gold: str, answer: str, limit: float) -> Verdict:
        """The process's verdict; it is killed where it is late or dies."""
        assert self.process is not None and self.process.stdin is not None
        if not self.started:
            said = self._line(START)
            if said != b"ready\n":
                self.kill()
                raise AssayError(f"the algebra process does not start: {(said or b'').decode().strip() or 'it died'}")
            self.started = True
        try:
            self.process.stdin.write(json.dumps([method, gold, answer]).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return self._gone("the algebra process died")
        line = self._line(limit)
        if line is None:
            return self._gone("timeout")
        if not line:
            return self._gone("the algebra process died")
        return Verdict(*json.loads(line))

    def _line(self, seconds: float) -> bytes | None:
        """The next line; b'' where the process has ended, None where it is late."""
        assert self.process is not None and self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return None
        return self.process.stdout.readline()

    def _gone(self, why: str) -> Verdict:
        self.kill()
        return Verdict(False, why)

    def kill(self) -> None:
        """The process is dead and its pipes are closed."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # a question that it never read was still in the pipe
                    continue
        self.process = None

"""A side of the race: a process of its own that is told what to do, and answers, by one JSON object a line.

Only what Python itself has is imported here, as the other harness's environment has no assay.
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent.parent

Operations = Mapping[str, Callable[..., dict[str, Any]]]


class SideError(Exception):
    """A side could not do what it was told, ended, or was too slow; it is no more."""


class Side:
    """The parent's end."""

    def __init__(self, python: str, module: str, settings: Mapping[str, Any], log: Path, *more: Path) -> None:
        """Start it; `more` are folders that it imports from, beside that of the benches.

        Raises SideError where it does not come up.
        """
        self.log = log
        threads = str(settings["threads"])
        own = {"PYTHONPATH": os.pathsep.join(map(str, [BENCH, *more])), "OMP_NUM_THREADS": threads,
               "MKL_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}  # fmt: skip
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [python, "-m", f"speed.{module}", json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, text=True, env=os.environ | own,
            )  # fmt: skip
        self.facts = self.read(None)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, do: str, seconds: float | None = None, **how: Any) -> dict[str, Any]:
        """What it answers. Raises SideError where it fails, or has not answered after so many seconds."""
        assert self.process.stdin is not None
        print(json.dumps({"do": do, **how}), file=self.process.stdin, flush=True)
        return self.read(seconds)

    def read(self, seconds: float | None) -> dict[str, Any]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.end()
            raise SideError(f"cut off after {seconds:.0f} s")
        line = self.process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"error": f"it ended: {self.last_words()}"}
        if "error" in reply:
            self.end()
            raise SideError(reply["error"])
        return reply

    def last_words(self) -> str:
        """The last line of its log: of a traceback the error itself."""
        return next(reversed(self.log.read_text().strip().splitlines()), "without a word")

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.communicate()


def serve(start: Callable[[dict[str, Any]], tuple[dict[str, Any], Operations]]) -> None:
    """The child's end: start as the command line says, tell the facts, then do what is asked until nothing is.

    Each operation's reply has the process's peak memory. Standard output is the wire; what libraries print goes to the
    log.
    """
    wire = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    settings = json.loads(sys.argv[1])
    if settings["memory"]:  # what wants more fails, as on a smaller machine, before it takes this one down
        resource.setrlimit(resource.RLIMIT_DATA, (settings["memory"],) * 2)
    facts, operations = start(settings)
    print(json.dumps(facts), file=wire)
    for line in sys.stdin:
        how = json.loads(line)
        try:
            reply = operations[how.pop("do")](**how)
        except Exception as error:  # noqa: BLE001 - the parent decides what a failure means, whatever it is
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), file=wire)


def read_lines(path: str) -> list[dict[str, Any]]:
    """The requests of a workload, as both sides read them."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]

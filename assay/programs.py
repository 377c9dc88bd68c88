"""Programs that a model wrote, and the boxes they run in. (Adapters in `adapters/sandboxes/` are the boxes.)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from assay.types import Record


class Limits(Record):
    """What a program may use; they change pass rates, so they stand beside the scores."""

    wall: float = 10.0
    """Seconds by the clock."""
    cpu: float = 10.0
    """Seconds of processor, of each of its processes."""
    memory: int = 1024
    """MiB of address space, of each of its processes."""
    processes: int = 16
    scratch: int = 32
    """MiB that it may write."""
    output: int = 1 << 20
    """Bytes of standard output and of standard error that are kept; a program that writes more is ended."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process in one box: it sees its files in a scratch directory and its language, nothing else."""

    command: Sequence[str]
    """`["python", "main.py"]`; the first word is a language's program as `Sandbox.languages` names it."""
    files: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Job:
    """One or two programs. Of two, each in a box of its own, the first is the tester: what one writes to its standard
    output the other reads from its standard input, and they have nothing else in common. The tester's verdict is what
    it writes to its standard error, which the other cannot reach."""

    key: str
    programs: tuple[Program, ...]


@dataclass(slots=True)
class Outcome:
    """How one program ended."""

    end: Literal["exit", "signal", "wall", "output", "failed"]
    """It ended itself; by a signal (a limit's, too); ran past the clock; wrote too much; could not be started."""
    code: int = 0
    """Its exit status, or the signal's number."""
    stdout: str = ""
    """What it wrote (nothing where it went to another program)."""
    stderr: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Ran:
    """A job that was run: an outcome for each of its programs, in their order."""

    key: str
    outcomes: tuple[Outcome, ...]


class Sandbox(Protocol):
    """What an adapter's `open_sandbox(workers)` returns, a context manager; opening it raises SandboxError where this
    machine does not allow it, saying why."""

    tier: str
    """What keeps programs in, as it stands beside the scores: `namespaces`, `bwrap`, `docker`, `none` …"""

    @property
    def languages(self) -> Mapping[str, str]:
        """The languages that can be run, with their versions."""
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[Ran]:
        """Every job's end, each once, in any order, as soon as it is there; all cores are kept busy."""
        ...

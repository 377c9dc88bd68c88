"""What the steps share: each is a plain function under a thin Prefect task, and a benchmark that cannot go on is
recorded as failed while the others go on.

Prefect neither caches nor keeps results: what a step made is in the ledger, under the key of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from assay.errors import AssayError, LedgerError
from tasks.context import Run

P = ParamSpec("P")
R = TypeVar("R")

_begun: list[str] = []


def step(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a Prefect task of that name, run in the flow's own thread."""

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        wrapped = task(name=name, cache_policy=NO_CACHE, persist_result=False)(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            _begun.append(name)
            return wrapped(*args, **kwargs)

        return call

    return wrap


def task_runs() -> int:
    """How many task runs this process has begun: so many the server should know of when it ends."""
    return len(_begun)


def each(run: Run, step: str, benchmarks: Sequence[str], do: Callable[[str], None], model: str = "") -> list[str]:
    """Do a step for benchmarks one after the other; the failure of one is its row in `steps`.

    They come back for the step that follows: what one task gives and another takes is an edge of Prefect's graph.
    """
    for name in run.alive(benchmarks, model):
        try:
            do(name)
        except LedgerError:  # no benchmark's fault: the disk is full or the file is gone, and the run stops
            raise
        except AssayError as error:
            run.fail(step, name, error, model)
    return list(benchmarks)

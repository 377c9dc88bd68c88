"""What the steps share: a benchmark that cannot go on is recorded as failed, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assay.errors import AssayError
from tasks.context import Run


def each(run: Run, step: str, benchmarks: Sequence[str], do: Callable[[str], None], model: str = "") -> None:
    """Do a step for benchmarks one after the other; the failure of one is its row in `steps`."""
    for name in run.alive(list(benchmarks)):
        try:
            do(name)
        except AssayError as error:
            run.fail(step, name, error, model)

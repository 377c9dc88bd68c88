"""A benchmark's questions as they will be asked, without a run: for `assay prompt`, the checks and the tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from adapters.datasets import open_source
from assay.prompt import Ask, Prompter
from assay.samples import loads, samples
from assay.spec import Benchmark
from assay.types import Sample
from tasks.examples import chooser, pool_of


class Preview(NamedTuple):
    """A sample and what is asked about it in the first round."""

    sample_key: str
    grp: str
    sample: Sample
    demos: list[Sample]
    asks: list[Ask]


def preview(
    benchmark: Benchmark, catalog: Sequence[Path] = (), limit: int | None = None, seed: int = 0
) -> Iterator[Preview]:
    """The samples in data-set order, at most `limit` of each group, each with its requests.

    Raises DatasetError, SpecError as the steps of a run would.
    """
    rows = open_source(benchmark.sources, catalog=catalog).rows
    prompter, choose = Prompter(benchmark), chooser(benchmark, pool_of(benchmark, catalog)[0], seed)
    for ordinal, prepared in enumerate(samples(benchmark, rows, limit)):
        sample = loads(prepared.fields)
        demos = [demo for _, demo in choose(prepared.grp, prepared.sample_key, sample, ordinal)]
        yield Preview(prepared.sample_key, prepared.grp, sample, demos, prompter.asks(sample, demos))

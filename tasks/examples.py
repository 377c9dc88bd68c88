"""Worked examples: where a benchmark's demonstrations come from, and which of them each question gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from adapters.datasets import open_source
from assay.errors import SpecError
from assay.retrieve import retriever
from assay.samples import demonstrations
from assay.spec import Benchmark
from assay.types import Sample

Demos = Callable[[str, str, Sample, int], list[tuple[int, Sample]]]
"""(group, sample key, sample, ordinal) -> the demonstrations with their places in the pool, group after group."""

Pool = Mapping[str, Sequence[Sample]]
"""The examples to choose from, by group; '' where they are not divided."""


def pool_of(benchmark: Benchmark, catalog: Sequence[Path]) -> tuple[Pool, Any]:
    """The worked examples to choose from, and what says which ones they are. Raises DatasetError, SpecError."""
    fewshot = benchmark.prompt.fewshot
    if fewshot is None or fewshot.k == 0:
        return {}, None
    if fewshot.samples:
        return {"": list(fewshot.samples)}, "written in the recipe"
    sources = benchmark.sources if fewshot.own else fewshot.sources
    if not sources:
        raise SpecError(f"{benchmark.id}: prompt.fewshot wants `from:` (a file, a source, self) or `samples:`")
    opened = open_source(sources, catalog=catalog)
    return demonstrations(benchmark, opened.rows), opened.facts


def chooser(benchmark: Benchmark, pool: Pool, seed: int) -> Demos:
    """A function that chooses each sample's demonstrations; one retriever a group, as each is a task of its own.

    It raises SpecError for a group without examples, or with too few.
    """
    fewshot = benchmark.prompt.fewshot
    if not pool or fewshot is None:
        return lambda grp, sample_key, sample, ordinal: []
    options = fewshot.options | ({"own": True} if fewshot.own else {})
    made: dict[str, Any] = {}
    first = dict(zip(pool, accumulate((len(group) for group in pool.values()), initial=0), strict=False))

    def choose(grp: str, sample_key: str, sample: Sample, ordinal: int) -> list[tuple[int, Sample]]:
        mine = pool.get(grp if grp in pool else "", [])
        if not mine:
            raise SpecError(f"{benchmark.id}: no demonstrations for the group {grp!r}; there are for {sorted(pool)}")
        if grp not in made:
            told = (mine, fewshot.k, seed, benchmark.name)
            made[grp] = retriever.fitting(fewshot.retriever, *told, **options)(*told, **options)
        before = first[grp if grp in pool else ""]
        return [(before + place, mine[place]) for place in made[grp](sample_key, sample, ordinal)]

    return choose

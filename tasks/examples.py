"""Worked examples: where a benchmark's demonstrations come from, and which of them each question gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.datasets import open_source
from assay.circular import unturned
from assay.errors import SpecError
from assay.retrieve import Choose, Embed, Trial, retriever
from assay.samples import demonstrations, loads
from assay.spec import Benchmark, Fewshot
from assay.template import text_template
from assay.types import Sample
from storage.ledger import Ledger

Pool = Mapping[str, Sequence[Sample]]
"""The examples to choose from, by group; '' where they are not divided."""


class Case(NamedTuple):
    """A question that is to get examples."""

    ordinal: int
    sample_key: str
    grp: str
    sample: Sample


class Shown(NamedTuple):
    """The examples of a question, the retriever's first choice in front."""

    places: Sequence[int] = ()
    """In the pool, group after group."""
    demos: Sequence[Sample] = ()
    scores: Sequence[float] | None = None
    wanted: int = 0
    """How many there were before some were left out."""

    def first(self, count: int) -> Shown:
        """The best so many of them."""
        scores = None if self.scores is None else self.scores[:count]
        return Shown(self.places[:count], self.demos[:count], scores, self.wanted)

    def arranged(self, fewshot: Fewshot | None) -> Shown:
        """As they stand in the prompt."""
        if fewshot is None or fewshot.order == "best_first":
            return self
        scores = None if self.scores is None else self.scores[::-1]
        return Shown(self.places[::-1], self.demos[::-1], scores, self.wanted)


Weigh = Callable[[Sequence[tuple[Case, Sequence[Sequence[Sample]]]]], Sequence[Sequence[float]]]
"""From questions, each with lists of examples, to how sure a model is of an answer after each list."""


class Aid(NamedTuple):
    """The models that a retriever asks."""

    embed: Embed
    ahead: Callable[[Sequence[Sample]], None]
    """Have the vectors of some samples at hand, as each is wanted by itself later."""
    weigh: Weigh | None


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


def takes(benchmark: Benchmark, name: str) -> bool:
    """Whether the benchmark's retriever, if any, has a parameter of that name: `embed` where it asks an embedder,
    `model` where a language model too. Raises SpecError for an unknown retriever."""
    fewshot = benchmark.prompt.fewshot
    return fewshot is not None and name in inspect.signature(retriever[fewshot.retriever]).parameters


def all_alike(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """In place of an embedder, where only the form of a prompt matters: every text is as near as any other."""
    return np.zeros((len(samples), 1), dtype=np.float32)


class Chooser:
    """Chooses the demonstrations of samples; one retriever a group, as each is a task of its own.

    Without an aid a retriever that asks an embedder finds all texts alike. Raises SpecError for options that there are
    not, and on use for a group without examples, or with too few.
    """

    def __init__(self, benchmark: Benchmark, pool: Pool, seed: int, aid: Aid | None = None) -> None:
        self.benchmark, self.pool, self.seed, self.aid = benchmark, pool, seed, aid
        self.made: dict[str, Choose] = {}
        sizes = accumulate((len(group) for group in pool.values()), initial=0)
        self.start = dict(zip(pool, sizes, strict=False))

    def __call__(self, cases: Sequence[Case]) -> list[Shown]:
        """The examples of each."""
        if not self.pool:
            return [Shown()] * len(cases)
        if self.benchmark.circular:  # all rotations of a question have the same examples, and it is none of them
            turned = [(case.grp, *unturned(case.sample)) for case in cases]
            cases = [Case(place, key, grp, sample) for grp, key, sample, place in turned]
        if self.aid:
            self.aid.ahead([case.sample for case in cases])
        chosen = [self._retriever(case.grp)(case.sample_key, case.sample, case.ordinal) for case in cases]
        trials = [(case, one.lists) for case, one in zip(cases, chosen, strict=True) if isinstance(one, Trial)]
        tried = iter(self._tried(trials))
        return [
            self._shown(case.grp, next(tried) if isinstance(one, Trial) else one)
            for case, one in zip(cases, chosen, strict=True)
        ]

    def _group(self, grp: str) -> str:
        return grp if grp in self.pool else ""

    def _retriever(self, grp: str) -> Choose:
        if grp in self.made:
            return self.made[grp]
        fewshot, mine = self.benchmark.prompt.fewshot, self.pool.get(self._group(grp), [])
        assert fewshot is not None
        if not mine:
            name, there = self.benchmark.id, sorted(self.pool)
            raise SpecError(f"{name}: no demonstrations for the group {grp!r}; there are for {there}")
        options = fewshot.options | ({"own": True} if fewshot.own else {})
        if takes(self.benchmark, "text"):
            options["text"] = text_template(fewshot.text, f"{self.benchmark.id}: fewshot.text")
        if takes(self.benchmark, "embed"):
            options["embed"] = self.aid.embed if self.aid else all_alike
        told = (mine, fewshot.k, self.seed, self.benchmark.name)
        self.made[grp] = retriever.fitting(fewshot.retriever, *told, **options)(*told, **options)
        return self.made[grp]

    def _tried(self, trials: Sequence[tuple[Case, list[list[int]]]]) -> list[list[tuple[int, float]]]:
        """Of each trial's lists the one that makes the model surest, of equals the first."""
        if not self.aid or not self.aid.weigh:
            return [[(place, 0.0) for place in lists[0]] for _, lists in trials]
        asked = [
            (case, [[self.pool[self._group(case.grp)][place] for place in one] for one in lists])
            for case, lists in trials
        ]
        found = []
        for (_, lists), sure in zip(trials, self.aid.weigh(asked), strict=True):
            best = max(range(len(lists)), key=lambda one: (sure[one], -one))
            found.append([(place, sure[best]) for place in lists[best]])
        return found

    def _shown(self, grp: str, chosen: Sequence[Any]) -> Shown:
        mine, start = self.pool[self._group(grp)], self.start[self._group(grp)]
        scored = bool(chosen) and isinstance(chosen[0], tuple)
        places = [place for place, _ in chosen] if scored else list(chosen)
        scores = [score for _, score in chosen] if scored else None
        return Shown([start + place for place in places], [mine[place] for place in places], scores, len(places))


def recorded(ledger: Ledger, prompted: str) -> dict[str, list[Sample]]:
    """The demonstrations of each sample that has some, by its key, as a prompt step had them written."""
    with ledger.read() as con:
        examples = con.execute("SELECT place, demo FROM examples WHERE prompted = ?", [prompted]).fetchall()
        shown = con.execute("SELECT sample_key, places FROM shown WHERE prompted = ?", [prompted]).fetchall()
    known = {place: loads(demo) for place, demo in examples}
    return {sample_key: [known[place] for place in places] for sample_key, places in shown}

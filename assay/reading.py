"""How a benchmark's answers are read and scored: its `extract:`, `score:` and `metrics:`, resolved to functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from assay.extract import extractor
from assay.keys import canonical
from assay.metrics import metric
from assay.registry import Step, name_of, version_of
from assay.score import scorer
from assay.spec import Benchmark


class Reading(NamedTuple):
    """One way of reading a reply: a filter."""

    filter: str
    chain: tuple[Any, ...]
    functions: list[str]
    """The names of its extractors."""
    identity: list[Any]
    """What changes what is read: the steps and the versions of their functions."""


class Scoring(NamedTuple):
    """One figure of a benchmark: a scorer over a filter's predictions, and the metric over its scores."""

    shown: str
    """What tables call it."""
    filter: str
    scorer: str
    """Its name, and its options where it has any."""
    function: Callable[..., Any]
    options: dict[str, Any]
    metric: str
    metric_options: dict[str, Any]
    keeps: bool = False
    """Whether the metric wants what was read in each answer."""


def readings(benchmark: Benchmark) -> list[Reading]:
    """The filters that a benchmark's scorers read: what one says itself, else the benchmark's own.

    Raises SpecError for an extractor or an option of one that is not there.
    """
    chains: dict[str, tuple[Any, ...]] = {}
    for step in benchmark.score:
        if reads := _reads(step):
            chains.setdefault(reads, (reads,))
        else:
            chains |= benchmark.extract or {"": ("stripped",)}
    found = []
    for name, chain in chains.items():
        steps = _steps(chain)
        versions = [version_of(extractor.fitting(called, None, None, **options)) for called, options in steps]
        found.append(Reading(name, chain, [called for called, _ in steps], [chain, versions]))
    return found


def _reads(step: Step) -> str | None:
    name, options = name_of(step)
    if name == "rotated" and "of" in options:  # it reads what the scorer reads that it asks
        return _reads(options["of"])
    reads: str | None = getattr(scorer[name], "reads", None)
    return reads


def _steps(chain: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(chain, list | tuple):
        return [one for step in chain for one in _steps(step)]
    return [name_of(chain)]


def scorings(benchmark: Benchmark) -> list[Scoring]:
    """The figures of a benchmark, in its order.

    Raises SpecError for a scorer or metric that is not there, or an option that it does not know.
    """
    found = []
    for step in benchmark.score:
        name, options = name_of(step)
        reads, shown = _reads(step), options.pop("as", None)
        metrics = [options.pop("metric")] if "metric" in options else list(benchmark.metrics)
        function = scorer.fitting(name, None, None, **options)
        identity = f"{name} {canonical(options).decode()}" if options else name
        for filter_ in [reads] if reads else list(benchmark.extract) or [""]:
            for one in metrics:
                called, arguments = name_of(one)
                keeps = getattr(metric.fitting(called, None, **arguments), "of_answers", False)
                title = shown or (name if called == "mean" else called)
                suffix = f",{filter_}" if filter_ and not reads else ""
                found.append(Scoring(title + suffix, filter_, identity, function, options, called, arguments, keeps))
    return found

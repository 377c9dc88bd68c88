"""Extractors: what was answered, found in a reply. Never guessed: where nothing is found, that is said and counted.

An extractor is a function `(reply, sample, **options)` that gives an Extracted, or the bare value, or None. It reads
the reply's text, or its log-probabilities. In a pipeline the next step reads the former's value as its text.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from assay.errors import SpecError
from assay.registry import Registry
from assay.spec import Step
from assay.types import Extracted, Reply, Sample

Extractor = Callable[..., Any]
"""`(reply, sample, **options)` -> Extracted, the bare value, or None."""

extractor: Registry[Extractor] = Registry("extractor")

LEAST = -sys.float_info.max
"""For a probability of zero: JSON has no infinity."""


def run_chain(chain: Sequence[Step | Sequence[Step]], reply: Reply, sample: Sample) -> Extracted:
    """What the first of some alternatives that finds an answer finds; an inner list is a pipeline.

    The status is `fallback` for what a later alternative found and called sure; `truncated` where none found anything
    in a reply that was cut off at its token limit. Raises SpecError for an unknown extractor or option.
    """
    for place, alternative in enumerate(chain):
        steps = [alternative] if isinstance(alternative, str | Mapping) else alternative
        found = _pipeline(steps, reply, sample)
        if found.value is not None:
            return found._replace(status="fallback") if place and found.status == "ok" else found
    return Extracted(None, "", "truncated" if reply.finish == "length" else "none")


def _pipeline(steps: Sequence[Step], reply: Reply, sample: Sample) -> Extracted:
    """The last step's value, the last status that is not `ok`, the methods of all."""
    found: Extracted | None = None
    for step in steps:
        last, found = found, _run(step, reply, sample)
        if found.value is None:
            return found
        if last is not None:
            unsure = last.status if found.status == "ok" else found.status
            found = Extracted(found.value, f"{last.method} > {found.method}", unsure)
        reply = replace(reply, text=found.value if isinstance(found.value, str) else str(found.value))
    if found is None:
        raise SpecError("extract: a pipeline has at least one step, got an empty list")
    return found


def _run(step: Step, reply: Reply, sample: Sample) -> Extracted:
    name, options = (step, {}) if isinstance(step, str) else next(iter(step.items()))
    function = extractor[name]
    try:
        found = function(reply, sample, **(options or {}))
    except TypeError as error:
        _check_options(name, function, options or {}, error)
        raise
    if isinstance(found, Extracted):
        return found
    return Extracted(found, name) if found is not None else Extracted(None, name, "none")


def _check_options(name: str, function: Extractor, options: Mapping[str, Any], error: TypeError) -> None:
    """Raises SpecError where it was the options that did not fit."""
    try:
        inspect.signature(function).bind(None, None, **options)
    except TypeError as misfit:
        raise SpecError(f"extractor {name}: {misfit}; it takes {inspect.signature(function)}") from error


@extractor
def stripped(reply: Reply, sample: Sample) -> str | None:
    """The text without the blanks around it, None where that is nothing: what is read unless a benchmark says other."""
    return reply.text.strip() or None


@extractor
def choice_sums(reply: Reply, sample: Sample) -> dict[str, Any] | None:
    """The choices and the log-probability of each: what every accuracy of a choice is computed from."""
    return _by_choice(reply.sums, reply.choices)


@extractor
def prompt_means(reply: Reply, sample: Sample) -> dict[str, Any] | None:
    """The choices and, of each, the mean log-probability a token of the whole text, question and all.

    OpenCompass's perplexity (negated): the sum has no term for the first token, the count includes it.
    """
    means = [total / count for total, count in zip(reply.prompt_sums, reply.prompt_lengths, strict=True)]
    return _by_choice(means, reply.choices)


def _by_choice(values: Sequence[float], choices: Sequence[str]) -> dict[str, Any] | None:
    if len(values) == 0 or len(values) != len(choices) or any(map(math.isnan, values)):
        return None
    return {"choices": list(choices), "sums": [max(value, LEAST) for value in values]}

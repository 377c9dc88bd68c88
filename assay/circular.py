"""Every question once for each rotation of its choices: `NAME@circular`, `NAME@VARIANT+circular`.

A model that knows an answer finds it wherever it stands; one that likes a letter does not (CircularEval: Liu et al.
2023, MMBench, arXiv:2307.06281). Any benchmark whose choices are told by letters can be asked so, without a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assay.errors import SpecError
from assay.registry import Step, name_of
from assay.spec import Benchmark
from assay.template import computes
from assay.types import Sample

NAME = "circular"
JUDGED = frozenset({"acc", "acc_norm", "acc_bytes", "acc_tokens", "acc_ppl", "option"})
"""The scorers that say of a choice whether it is right, whatever place it has."""
USUAL = 4
"""Letters that are reported on where a recipe does not list them."""


def divide(variant: str) -> str | None:
    """The variant that is to be turned: '' of `circular`, `gen` of `gen+circular`; None where nothing is."""
    base, plus, last = variant.rpartition("+")
    return base if last == NAME and bool(plus) == bool(base) else None


def circular(benchmark: Benchmark) -> Benchmark:
    """The benchmark with each question asked once for each rotation of its choices.

    Raises SpecError where its choices are not told by letters, or no scorer says which choice was meant.
    """
    _check(benchmark)
    steps: list[Step] = []
    letters = len(benchmark.choices) if benchmark.kind != "generate" else USUAL
    for step in benchmark.score:
        name, options = name_of(step)
        if name in JUDGED:
            title = options.pop("as", name)
            options.pop("metric", None)
            steps += _figures({name: options} if options else name, title, letters)
    if not steps:
        raise SpecError(f"{benchmark.id}: {NAME} wants a scorer of choices: {', '.join(sorted(JUDGED))}")
    variant = f"{benchmark.variant}+{NAME}" if benchmark.variant else NAME
    turned = {"variant": variant, "circular": True, "score": tuple(steps), "metrics": ("mean",), "questions": None}
    return benchmark.model_copy(update=turned)


def _check(benchmark: Benchmark) -> None:
    template = benchmark.prompt.template
    asked = template if isinstance(template, str) else " ".join(turn.content for turn in template)
    listed = "choices" in benchmark.sample and "choices" in asked
    letters = benchmark.kind == "generate" or (
        isinstance(benchmark.choices, tuple) and all(isinstance(c, str) and not computes(c) for c in benchmark.choices)
    )
    if not listed or not letters:
        why = "its prompt does not list the sample's `choices`" if not listed else "its choices are texts, no letters"
        raise SpecError(f"{benchmark.id}: {NAME} turns choices that a prompt lists by letters, and {why}")


def _figures(of: Step, title: str, letters: int) -> list[Step]:
    """The accuracy, whether all rotations are right, at least j of them, the vote of all, and each letter's share."""
    metrics: dict[str, Step] = {title: "mean", "perfect": f"{NAME}_perfect"}
    metrics |= {f"more_{j}": {f"{NAME}_more": {"j": j}} for j in range(1, letters)}
    metrics |= {"vote": f"{NAME}_vote"}
    metrics |= {f"prior_{chr(65 + place)}": {f"{NAME}_prior": {"place": place}} for place in range(letters)}
    return [{"rotated": {"of": of, "as": shown, "metric": metric}} for shown, metric in metrics.items()]


def rotations(sample: Mapping[str, Any], name: str, key: str, place: int) -> Iterator[dict[str, Any]]:
    """A sample with its choices turned by 0, 1 … places, the target with them; `circular` tells of which sample it is.

    Raises SpecError where the choices are no list, or the target is no place among them, or several.
    """
    choices = sample.get("choices")
    if not isinstance(choices, list) or len(choices) < 2:
        raise SpecError(f"{name}: wanted a list of choices to turn, got {choices!r:.80}")
    for turn in range(len(choices)):
        yield _turned(sample, turn, name) | {"circular": {"key": key, "place": place, "turn": turn}}


def _turned(sample: Mapping[str, Any], turn: int, name: str) -> dict[str, Any]:
    choices, target = sample["choices"], sample["target"]
    turn, count = turn % len(choices), len(choices)
    several = [_moved(one, turn, count, name) for one in target] if isinstance(target, list) else None
    moved = _moved(target, turn, count, name) if several is None else several
    return {**sample, "choices": choices[turn:] + choices[:turn], "target": moved}


def _moved(target: Any, turn: int, count: int, name: str) -> int | str:
    """The place, or the letter, of what stood at a place or letter before the turn."""
    if isinstance(target, str) and len(target) == 1 and 0 <= ord(target) - 65 < count:
        return chr(65 + (ord(target) - 65 - turn) % count)
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < count:
        return (target - turn) % count
    raise SpecError(f"{name}: wanted the place or the letter of the right one of {count} choices, got {target!r:.80}")


def unturned(sample: Sample) -> tuple[str, dict[str, Any], int]:
    """The key, the sample and the place of the question that a turned sample is of: what retrievers go by."""
    told = sample["circular"]
    plain = {name: value for name, value in sample.items() if name != "circular"}
    return told["key"], _turned(plain, -told["turn"], ""), told["place"]

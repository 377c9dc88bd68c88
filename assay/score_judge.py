"""Scorers of what judges decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.registry import other_scale
from assay.score import also_unread, scorer
from assay.types import Sample, Scored


@scorer
def judged_as(value: Mapping[str, Any], sample: Sample, label: str = "correct") -> Scored:
    """Whether the judges' majority gives this label; with what each judge said, for the metric `alpha`."""
    return Scored(float(value["label"] == label), detail={"judges": value["judges"]})


@scorer
@also_unread
def attempted(
    value: Mapping[str, Any] | None, sample: Sample, right: str = "correct", wrong: str = "incorrect"
) -> Scored:
    """Whether the answer is right; one that is neither right nor wrong, or unknown, was no attempt and weighs nothing,
    so that `weighted_mean` is SimpleQA's accuracy given attempted, and `attempted_f1` its F1."""
    label = value["label"] if value else None
    return Scored(float(label == right), weight=float(label in (right, wrong)))


@scorer
@other_scale
@also_unread
def rated(value: Mapping[str, Any] | None, sample: Sample, turn: int | None = None) -> Scored:
    """The judges' rating: the mean over turns, or of one turn (from 0); with each judge's, for the metric `alpha`.

    Where no judge's could be read it is no score, and counts among the errors: a 0 would be one that nobody gave.
    """
    turns = value["turns"] if value else {}
    wanted = list(turns) if turn is None else [str(turn)]
    if value is None or not all(one in turns for one in wanted):
        return Scored(None)
    by = {judge: _mean([said[one] for one in wanted if one in said]) for judge, said in value["judges"].items()}
    return Scored(_mean([turns[one] for one in wanted]), detail={"judges": by})


@scorer
@other_scale
@also_unread
def rated_for(value: Mapping[str, Any] | None, sample: Sample, criterion: str) -> float | None:
    """The judges' points for one criterion of a rubric."""
    return None if value is None else float(value["points"][criterion])


@scorer
@also_unread
def win(value: Mapping[str, Any] | None, sample: Sample, agreed: bool = False, strong: float = 1.0) -> Scored:
    """1 for a win, 0.5 for a tie, 0 for a loss: the mean over judges and orders, a much better answer counting
    `strong` times. With `agreed`, MT-Bench's rule: a win or a loss only where all verdicts say so, else a tie. With the
    games, for `bradley_terry`, and the lengths, for `length_controlled`."""
    if value is None:
        return Scored(None)
    games = [[0.5 + 0.5 * (s > 0) - 0.5 * (s < 0), strong if abs(s) > 1 else 1.0] for _, _, s in value["games"]]
    mean = sum(outcome * weight for outcome, weight in games) / sum(weight for _, weight in games)
    if agreed and len({outcome for outcome, _ in games}) > 1:
        games, mean = [[0.5, 1.0]], 0.5
    return Scored(mean, detail={"games": games, "lengths": value["lengths"]})


@scorer
def judge_agrees(value: Mapping[str, Any], sample: Sample, gold: str, label: str = "correct") -> Scored:
    """Whether the judges' majority says what a person did, in the field `gold` (a label, or whether it is `label`);
    with both, for the metric `kappa`: this measures the judge."""
    right = sample[gold]
    said: Any = (value["label"] == label) if isinstance(right, bool) else value["label"]
    return Scored(float(said == right), detail={"pred": said, "gold": right, "judges": value["judges"]})


@scorer
def rule_and_judge(value: Mapping[str, Any], sample: Sample, label: str = "correct", by: str | None = None) -> Scored:
    """The cascade's score: 1 where a rule found the answer right, and no judge was asked, or the judges say so; with
    `by` only what the `rule`, or a `judge`, found."""
    who = "judge" if value["judges"] else "rule"
    return Scored(float(value["label"] == label and by in (None, who)), detail={"by": who})


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None

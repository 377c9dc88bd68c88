"""Correlations, ranks and calibration, against scipy and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from assay.errors import SpecError
from assay.functions import load_functions
from assay.metrics import measure, metric, replicates_of
from assay.score import scorer
from assay.types import Scores

load_functions()


def scores(details: list[Any], values: list[float] | None = None) -> Scores:
    blank = np.array([""] * len(details))
    return Scores(np.array(values or [0.0] * len(details)), np.ones(len(details)), blank, blank, details)


def pairs(x: list[float], y: list[float]) -> Scores:
    return scores([{"pred": a, "gold": b} for a, b in zip(x, y, strict=True)])


some = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=12)


@settings(max_examples=60)
@given(some)
def test_correlations_are_scipys(drawn: list[tuple[int, int]]) -> None:
    x, y = [a / 2 for a, _ in drawn], [float(b) for _, b in drawn]
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(metric["pearson"](pairs(x, y))) and math.isnan(metric["spearman"](pairs(x, y)))
        return
    assert metric["pearson"](pairs(x, y)) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-9)
    assert metric["spearman"](pairs(x, y)) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-9)


@settings(max_examples=30)
@given(some, st.data())
def test_a_resample_is_the_pairs_repeated(drawn: list[tuple[int, int]], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(drawn), max_size=len(drawn)).filter(any))
    x, y = [float(a) for a, _ in drawn], [float(b) for _, b in drawn]
    again = [(a, b) for a, b, n in zip(x, y, counts, strict=True) for _ in range(n)]
    whole, part = pairs(x, y), pairs([a for a, _ in again], [b for _, b in again])
    for name in ("pearson", "spearman"):
        value = replicates_of(whole, name)(np.array([counts], float))[0]
        assert value == pytest.approx(metric[name](part), abs=1e-9, nan_ok=True)


def choices(rows: list[tuple[float, int]]) -> Scores:
    """Two choices with the probability of the second, and which is right."""
    scored = [
        scorer["chosen"]({"choices": ["no", "yes"], "sums": [math.log(1 - p), math.log(p)]}, {"target": gold})
        for p, gold in rows
    ]
    return scores([s.detail for s in scored], [s.value for s in scored])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.integers(0, 1)), min_size=2, max_size=12))
def test_the_area_is_how_often_a_right_one_ranks_above_a_wrong_one(rows: list[tuple[float, int]]) -> None:
    good, bad = [p for p, gold in rows if gold], [p for p, gold in rows if not gold]
    value = metric["auc"](choices(rows))
    if not good or not bad:
        assert math.isnan(value) and measure(choices(rows), "auc").value is None
        return
    above = np.mean([1.0 if g > b else 0.5 if g == b else 0.0 for g in good for b in bad])
    assert value == pytest.approx(above)
    assert metric["auc"](choices(rows), positive=0) == pytest.approx(above)


def test_calibration_by_hand() -> None:
    rows = [(0.92, 1), (0.94, 0), (0.7, 1), (0.45, 0)]  # sure .92 .94 | .7 | .55: right 1 0 | 1 | 1
    gaps = abs(1 - 0.92 - 0.94) + abs(1 - 0.7) + abs(1 - 0.55)
    assert metric["ece"](choices(rows)) == pytest.approx(gaps / 4)
    assert metric["ece"](choices([(1 - 1e-12, 1)])) == pytest.approx(0, abs=1e-9)


def test_a_metric_says_which_scorer_it_wants() -> None:
    for name, fields in {"auc": "gold, shares", "ece": "shares", "pearson": "pred, gold"}.items():
        with pytest.raises(SpecError, match=f"{name} wants a scorer whose detail is {{{fields}}}"):
            metric[name](scores([{}, {}]))


def test_what_could_not_be_read_is_correlated_with_nothing() -> None:
    pairs = [{"pred": x, "gold": 2 * x} for x in (1.0, 2.0, 4.0)]
    for name in ("pearson", "spearman"):
        assert metric[name](scores([*pairs, None])) == pytest.approx(1)
        assert np.isnan(metric[name](scores([None, None])))

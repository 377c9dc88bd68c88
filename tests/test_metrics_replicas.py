"""Several answers to a question: against the papers' formulas, by brute force, and resampled."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from assay.errors import SpecError
from assay.functions import load_functions
from assay.metrics import measure, replicates_of
from assay.metrics_replicas import at_least
from assay.types import Scores

load_functions()


def answers(rows: list[list[int]]) -> Scores:
    """Right and wrong answers to some questions."""
    values = [v for row in rows for v in row]
    samples = np.array([i for i, row in enumerate(rows) for _ in row], np.int64)
    blank = np.array([""] * len(values))
    return Scores(np.array(values, float), np.ones(len(values)), blank, samples.astype(str), (), samples)


def value(rows: list[list[int]], step: Any) -> float:
    figure = measure(answers(rows), step)
    assert figure.value is not None
    return figure.value


@given(st.integers(1, 9), st.data())
def test_a_chance_is_the_share_of_the_draws(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    m = data.draw(st.integers(1, k))
    draws = [sum(i < c for i in drawn) >= m for drawn in combinations(range(n), k)]
    assert at_least(m, n, c, k) == pytest.approx(sum(draws) / len(draws))
    assert at_least(m, n, c, k) == pytest.approx(hypergeom.sf(m - 1, n, c, k))


def test_pass_at_k_by_hand() -> None:
    rows = [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert value(rows, {"pass_at_k": {"k": 1}}) == pytest.approx((0.25 + 0 + 1) / 3)
    assert value(rows, {"pass_at_k": {"k": 2}}) == pytest.approx((0.5 + 0 + 1) / 3)
    assert value(rows, {"pass_at_k": {"k": 4}}) == pytest.approx(2 / 3)
    assert value([[1], [0]], "pass_at_k") == 0.5
    assert value([[1, 0], [1]], {"pass_at_k": {"k": 2}}) == 1  # the one answer of the second says nothing of two


def test_most_of_k() -> None:
    rows = [[1, 1, 0, 0]]
    assert value(rows, {"g_pass_at_k": {"k": 2, "tau": 0.0}}) == value(rows, {"pass_at_k": {"k": 2}})
    assert value(rows, {"g_pass_at_k": {"k": 2}}) == pytest.approx(1 / 6)
    assert value(rows, {"g_pass_at_k": {"k": 2, "tau": 0.5}}) == pytest.approx(5 / 6)
    assert value([[1] * 7 + [0] * 3], {"g_pass_at_k": {"k": 10, "tau": 0.7}}) == 1  # 0.7 · 10 is 7, not 8
    six = [[1] * 6 + [0] * 2]
    expected = 2 / 4 * sum(hypergeom.sf(i - 1, 8, 6, 4) for i in (3, 4))
    assert value(six, {"mg_pass_at_k": {"k": 4}}) == pytest.approx(expected)


def test_the_error_is_one_of_questions() -> None:
    rows = [[1, 0, 1, 0]] * 5 + [[0] * 4] * 5
    figure = measure(answers(rows), {"pass_at_k": {"k": 2}})
    each = np.array([5 / 6] * 5 + [0.0] * 5)
    assert figure.stderr == pytest.approx(each.std(ddof=1) / np.sqrt(10))


def test_more_than_was_answered_cannot_be_told() -> None:
    with pytest.raises(SpecError, match=r"k = 4 .* sampling.replicas to at least 4"):
        measure(answers([[1, 0]]), {"pass_at_k": {"k": 4}})
    with pytest.raises(SpecError, match="k of at least 1"):
        measure(answers([[1, 0]]), {"pass_at_k": {"k": 0}})
    with pytest.raises(SpecError, match="tau from 0 to 1"):
        measure(answers([[1, 0]]), {"g_pass_at_k": {"k": 1, "tau": 2}})


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 1), min_size=2, max_size=2), min_size=2, max_size=6), st.data())
def test_a_resample_repeats_questions_not_answers(rows: list[list[int]], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)).filter(any))
    again = [row for row, n in zip(rows, counts, strict=True) for _ in range(n)]
    block = np.repeat(np.array([counts], float), 2, axis=1)
    for step in ({"pass_at_k": {"k": 2}}, {"g_pass_at_k": {"k": 2}}, {"mg_pass_at_k": {"k": 2}}):
        assert replicates_of(answers(rows), step)(block)[0] == pytest.approx(value(again, step))

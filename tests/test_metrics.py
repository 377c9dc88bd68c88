"""Metrics: the figures of some scores, over samples, of groups and over groups, and what they are with an error."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from columns import scores
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.functions import load_functions
from assay.metrics import measure, metric, summarize_scores, take
from assay.statistics import mean_stderr
from assay.types import Figure

load_functions()
RNG = np.random.default_rng(3)


def classes(gold, pred):
    details = [{"gold": g, "pred": p} for g, p in zip(gold, pred, strict=True)]
    return scores([g == p for g, p in zip(gold, pred, strict=True)], details=details)


def test_mean_is_the_mean_and_its_error_is_sd_over_root_n():
    values = RNG.random(50) < 0.3
    got = measure(scores(values), "mean")
    assert got.value == values.mean() and got.stderr == pytest.approx(mean_stderr(values.astype(float)), rel=1e-12)
    assert got.method == "wilson"


def test_weighted_mean():
    got = measure(scores([1, 0, 0.5], weights=[1, 1, 2]), "weighted_mean")
    assert got.value == 0.5
    assert measure(scores([1, 0]), "weighted_mean") == measure(scores([1, 0]), "mean")


def test_perplexity_by_the_delta_method():
    logs = RNG.normal(-2, 0.5, 200)
    got = measure(scores(logs), "perplexity")
    assert got.value == pytest.approx(math.exp(-logs.mean()))
    assert got.stderr == pytest.approx(got.value * scipy.stats.sem(logs))
    low, high = scipy.stats.t.interval(0.95, 199, loc=-logs.mean(), scale=scipy.stats.sem(logs))
    assert (got.ci_low, got.ci_high) == pytest.approx((math.exp(low), math.exp(high))) and got.method == "delta"


def test_perplexity_of_words_and_bits_of_bytes():
    logs, words = np.array([-10.0, -22.0, -4.0]), np.array([5.0, 9.0, 2.0])
    assert measure(scores(logs, words), "weighted_perplexity").value == pytest.approx(math.exp(36 / 16))
    assert measure(scores(logs, words), "weighted_bits").value == pytest.approx(36 / 16 / math.log(2))
    one = measure(scores(logs[:1], words[:1]), "weighted_bits")
    assert one == Figure(pytest.approx(2 / math.log(2)))


def test_the_error_of_a_ratio_is_what_the_bootstrap_finds():
    words = RNG.integers(5, 60, 150).astype(float)
    logs = -words * RNG.normal(1.5, 0.3, 150)
    got = measure(scores(logs, words), "weighted_perplexity")
    draws = RNG.integers(150, size=(4000, 150))
    again = np.exp(-logs[draws].sum(axis=1) / words[draws].sum(axis=1))
    assert got.stderr == pytest.approx(again.std(ddof=1), rel=0.1)
    assert (got.ci_low, got.ci_high) == pytest.approx(np.percentile(again, [2.5, 97.5]), abs=0.3 * got.stderr)


def test_a_perplexity_too_large_to_write_is_none():
    assert measure(scores([-800.0, -900.0]), "perplexity") == Figure(None)


@pytest.mark.parametrize("n", [101, 100])
def test_median_with_the_bootstraps_interval(n):
    values = RNG.normal(0, 1, n)
    got = measure(scores(values), "median")
    assert got.value == np.median(values) and got.method == "bootstrap"
    draws = values[RNG.integers(n, size=(20_000, n))]
    again = np.median(draws, axis=1)
    assert got.stderr == pytest.approx(again.std(ddof=1), rel=0.12)
    assert (got.ci_low, got.ci_high) == pytest.approx(np.percentile(again, [2.5, 97.5]), abs=0.6 * got.stderr)


def test_the_bootstrap_at_once_is_the_bootstrap_one_by_one():
    """What a metric says of a block of resamples is what it is on each of them."""
    values = RNG.integers(0, 5, 40).astype(float)
    gold, pred = RNG.integers(0, 3, 40).tolist(), RNG.integers(0, 3, 40).tolist()
    samples = {"median": scores(values), "f1": classes(gold, pred), "mcc": classes(gold, pred)}
    block = np.stack([np.bincount(RNG.integers(40, size=40), minlength=40) for _ in range(30)]).astype(float)
    for name, some in samples.items():
        at_once = metric[name].replicates(some)(block)
        one_by_one = [metric[name](take(some, np.repeat(np.arange(40), row.astype(int)))) for row in block]
        assert at_once == pytest.approx(one_by_one), name


# (gold, predicted) -> F1 of class 1, macro, micro, and Matthews' correlation: worked out by hand
BY_HAND = [
    # class 1: 1 hit of 2 gold and 2 predicted; class 0: 1 of 2 and 2
    ([0, 0, 1, 1], [0, 1, 0, 1], 1 / 2, 1 / 2, 1 / 2, 0.0),
    # 0: 2 hits, 2 gold, 3 predicted; 1 and 2: none; mcc above the line: 2 · 6 - (2 · 3 + 2 · 2 + 2 · 1)
    ([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], 0.0, (4 / 5) / 3, 1 / 3, 0.0),
    # tp 3, fn 1, fp 1, tn 5: mcc = (3 · 5 - 1 · 1) / √(4 · 4 · 6 · 6)
    ([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 1, 0, 0, 0, 0, 0], 3 / 4, (3 / 4 + 5 / 6) / 2, 8 / 10, 14 / 24),
    ([1, 0, 1], [1, 0, 1], 1.0, 1.0, 1.0, 1.0),
    ([1, 0, 1, 0], [0, 1, 0, 1], 0.0, 0.0, 0.0, -1.0),
    ([1, 1, 0], [1, 1, 1], 4 / 5, 2 / 5, 2 / 3, 0.0),
]


@pytest.mark.parametrize(("gold", "pred", "binary", "macro", "micro", "mcc"), BY_HAND)
def test_classes_by_hand(gold, pred, binary, macro, micro, mcc):
    some = classes(gold, pred)
    assert measure(some, {"f1": {"average": "binary"}}).value == pytest.approx(binary)
    assert measure(some, "f1").value == pytest.approx(macro)
    assert measure(some, {"f1": {"average": "micro"}}).value == pytest.approx(micro)
    assert measure(some, "mcc").value == pytest.approx(mcc)


def test_mcc_of_more_than_two_classes_is_the_correlation_of_indicators():
    gold, pred = RNG.integers(0, 4, 300), RNG.integers(0, 4, 300)
    pred = np.where(RNG.random(300) < 0.5, gold, pred)
    x, y = np.eye(4)[gold], np.eye(4)[pred]

    def covariance(a, b):
        return ((a - a.mean(axis=0)) * (b - b.mean(axis=0))).sum()

    wanted = covariance(x, y) / math.sqrt(covariance(x, x) * covariance(y, y))
    assert measure(classes(gold.tolist(), pred.tolist()), "mcc").value == pytest.approx(wanted)


def test_an_answer_not_found_is_missed_and_no_class():
    some = classes(["a", "a", "b", "b"], ["a", None, "b", None])
    # a: 1 hit, 2 gold, 1 predicted; b the same
    assert measure(some, "f1").value == pytest.approx(2 / 3)
    assert measure(some, {"f1": {"average": "micro"}}).value == pytest.approx(2 / 3)
    assert measure(some, {"f1": {"average": "binary", "positive": "a"}}).value == pytest.approx(2 / 3)
    assert measure(classes(["a", "b"], [None, None]), "f1").value == 0


def test_class_metrics_have_the_bootstraps_interval():
    gold = RNG.integers(0, 2, 200)
    pred = np.where(RNG.random(200) < 0.8, gold, 1 - gold)
    for name in ("f1", "mcc"):
        got = measure(classes(gold.tolist(), pred.tolist()), name)
        assert got.ci_low < got.value < got.ci_high and got.method == "bootstrap"
        assert 0.01 < got.stderr < 0.1
        assert got == measure(classes(gold.tolist(), pred.tolist()), name)
        assert got != measure(classes(gold.tolist(), pred.tolist()), name, seed=1)


def test_groups_have_figures_of_their_own_and_two_over_all():
    groups = ["a"] * 10 + ["b"] * 30
    values = [1.0] * 9 + [0.0] + [1.0] * 6 + [0.0] * 24
    summary = summarize_scores(scores(values, groups=groups), "mean", n_errors=2)
    assert summary["micro"].value == 15 / 40 and summary["macro"].value == pytest.approx((0.9 + 0.2) / 2)
    assert {name: f.value for name, f in summary["groups"].items()} == {"a": 0.9, "b": 0.2}
    assert summary["sizes"] == {"a": 10, "b": 30} and (summary["n"], summary["n_errors"]) == (40, 2)
    a, b = (summary["groups"][name].stderr for name in "ab")
    assert summary["macro"].stderr == pytest.approx(math.hypot(a, b) / 2)
    assert summary["micro"].stderr == pytest.approx(math.hypot(10 * a, 30 * b) / 40)
    assert summary["groups"]["a"] == measure(scores(values[:10]), "mean")


def test_without_groups_there_is_no_macro():
    summary = summarize_scores(scores([1, 0, 1]), "mean")
    assert summary["macro"] is None and summary["groups"] == {} and summary["sizes"] == {}


def test_a_missing_score_is_an_error_and_in_no_figure():
    summary = summarize_scores(scores([1, math.nan, 0, math.nan], groups=["a", "a", "b", "c"]), "mean", n_errors=1)
    assert (summary["n"], summary["n_errors"]) == (2, 3)
    assert summary["sizes"] == {"a": 1, "b": 1, "c": 0}
    assert summary["groups"]["c"] == Figure(None) and summary["macro"].value == summary["micro"].value == 0.5
    nothing = summarize_scores(scores([math.nan]), "mean")
    assert nothing["micro"] == Figure(None) and (nothing["n"], nothing["n_errors"]) == (0, 1)


def test_a_metric_of_ones_own_gets_the_bootstraps_error():
    def spread(scores, factor=1.0):
        return factor * float(scores.values.max() - scores.values.min())

    metric(spread)
    try:
        got = measure(scores(RNG.random(60)), {"spread": {"factor": 2.0}})
        assert 1.5 < got.value < 2 and got.ci_low < got.ci_high <= got.value and got.method == "bootstrap"
        with pytest.raises(SpecError, match=r"spread: .*'times'.*factor"):
            measure(scores([1, 2]), {"spread": {"times": 2}})
    finally:
        del metric.items["spread"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("meen", "did you mean mean"),
        ({"mean": {"trim": 1}}, "trim"),
        ("f1", "detail is {pred, gold}"),
        ({"f1": {"average": "weighted"}}, "wanted average binary, macro or micro, got 'weighted'"),
    ],
)
def test_what_is_wrong_with_a_metric_is_said(step, message):
    with pytest.raises(SpecError, match=message):
        measure(scores([1.0, 0.0]), step)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None])), min_size=2, max_size=30))
def test_class_metrics_stay_in_range_and_do_not_mind_names(data):
    gold, pred = map(list, zip(*data, strict=True))
    renamed = {"a": 7, "b": "x", "c": [1], None: None}
    for step, least in (("f1", 0), ({"f1": {"average": "micro"}}, 0), ("mcc", -1)):
        got = measure(classes(gold, pred), step)
        assert least - 1e-12 <= got.value <= 1 + 1e-12
        other = measure(classes([renamed[g] for g in gold], [renamed[p] for p in pred]), step)
        assert other.value == pytest.approx(got.value)


def test_many_samples_are_resampled_in_blocks():
    n = 20_000
    gold = RNG.integers(0, 2, n)
    pred = np.where(RNG.random(n) < 0.9, gold, 1 - gold)
    got = measure(classes(gold.tolist(), pred.tolist()), "mcc")
    assert got.value == pytest.approx(0.8, abs=0.02) and got.stderr == pytest.approx(0.0043, rel=0.25)

"""Standard errors and intervals against scipy and statsmodels, and what must hold of them whatever the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from columns import scores
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.proportion import proportion_confint

from assay.design import REPLICATES, design, resamples
from assay.statistics import Z, average, bootstrap, macro, mean_stderr, pooled_stderr, ratio, wilson
from assay.types import Figure

RNG = np.random.default_rng(11)


def mean_of(s):
    return average(s.values, s.weights, design(s))


def clustered_values(clusters=40, size=6, spread=1.0):
    labels = np.repeat([f"c{i}" for i in range(clusters)], RNG.integers(1, size + 1, clusters))
    codes = np.unique(labels, return_inverse=True)[1]
    return RNG.normal(0, spread, clusters)[codes] + RNG.normal(0, 1, len(labels)), labels, codes


def test_mean_has_the_usual_error_and_students_interval():
    values = RNG.normal(3, 2, 57)
    got = mean_of(scores(values))
    assert got.stderr == pytest.approx(values.std(ddof=1) / math.sqrt(57), rel=1e-12)
    assert got.stderr == pytest.approx(scipy.stats.sem(values), rel=1e-12)
    assert got.stderr == pytest.approx(mean_stderr(values), rel=1e-12)
    wanted = scipy.stats.t.interval(0.95, 56, loc=values.mean(), scale=scipy.stats.sem(values))
    assert (got.ci_low, got.ci_high) == pytest.approx(wanted, rel=1e-12)
    assert got.method == "mean"


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 1000), (997, 1000), (2, 2), (450, 1319)]
)
def test_a_proportion_has_wilsons_interval_and_the_usual_error(hits, n):
    values = np.arange(n) < hits
    got = mean_of(scores(values))
    wanted = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (got.ci_low, got.ci_high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert (got.ci_low, got.ci_high) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)
    assert got.stderr == pytest.approx(scipy.stats.sem(values.astype(float)), abs=1e-15)
    assert got.value == hits / n and got.method == "wilson"


def test_clustered_error_is_that_of_a_clustered_regression():
    values, labels, codes = clustered_values()
    got = mean_of(scores(values, clusters=labels))
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    assert got.value == pytest.approx(fit.params[0]) and got.stderr == pytest.approx(fit.bse[0], rel=1e-10)
    assert (got.ci_low, got.ci_high) == pytest.approx(fit.conf_int()[0], rel=1e-10)
    assert got.method == "clustered" and got.stderr > 1.3 * scipy.stats.sem(values)


def test_clusters_of_one_are_no_clusters():
    values = RNG.normal(0, 1, 30)
    assert mean_of(scores(values, clusters=[f"c{i}" for i in range(30)])) == mean_of(scores(values))
    some = scores(values, clusters=["a", "a", *[""] * 28])  # an empty label is a cluster of its own
    fit = sm.OLS(values, np.ones(30)).fit(cov_type="cluster", cov_kwds={"groups": np.array([0, *range(29)])})
    assert mean_of(some).stderr == pytest.approx(fit.bse[0], rel=1e-10)


def test_a_clustered_proportion_counts_as_fewer_draws():
    labels = np.repeat([f"c{i}" for i in range(30)], 10)
    values = np.repeat(np.arange(30) < 9, 10)  # a cluster is all right or all wrong
    got, plain = mean_of(scores(values, clusters=labels)), mean_of(scores(values))
    assert got.stderr == pytest.approx(scipy.stats.sem((np.arange(30) < 9).astype(float)), rel=1e-10)
    thirty = wilson(0.3, 30)
    assert (got.ci_low, got.ci_high) == pytest.approx(thirty, abs=0.015)
    assert got.ci_low < thirty[0] and got.ci_high - got.ci_low > 2.8 * (plain.ci_high - plain.ci_low)
    all_right = mean_of(scores(np.ones(300), clusters=labels))
    assert (all_right.ci_low, all_right.ci_high) == pytest.approx(wilson(1.0, 30)) and all_right.stderr == 0


def test_micro_error_over_groups_is_the_stratified_one():
    groups = np.repeat(["a", "b", "c"], [20, 50, 5])
    values = RNG.normal(0, 1, 75) + np.repeat([0.0, 5.0, -9.0], [20, 50, 5])
    got = mean_of(scores(values, groups=groups))
    variance = sum((len(v) / 75) ** 2 * scipy.stats.sem(v) ** 2 for v in (values[groups == g] for g in "abc"))
    assert got.stderr == pytest.approx(math.sqrt(variance), rel=1e-12) and got.method == "stratified"
    assert got.stderr < scipy.stats.sem(values) / 2
    half = scipy.stats.t.ppf(0.975, 72) * got.stderr
    assert (got.ci_low, got.ci_high) == pytest.approx((got.value - half, got.value + half))


@pytest.mark.parametrize(
    ("groups", "clusters"),
    [(["a"] * 9 + ["b"], [""] * 10), (["a"] * 5 + ["b"] * 5, [*"pqrs", "x", "x", *"tuvw"])],
    ids=["a group of one", "a cluster over two groups"],
)
def test_groups_that_can_be_no_strata_count_with_their_differences(groups, clusters):
    values = RNG.normal(0, 1, 10)
    assert mean_of(scores(values, groups=groups, clusters=clusters)) == mean_of(scores(values, clusters=clusters))


def test_weighted_mean_is_a_weighted_regressions():
    values, weights = RNG.normal(1, 1, 40), RNG.uniform(0.5, 20, 40)
    got = mean_of(scores(values, weights))
    fit = sm.WLS(values, np.ones(40), weights=weights).fit(cov_type="HC1", use_t=True)
    assert (got.value, got.stderr) == pytest.approx((fit.params[0], fit.bse[0]), rel=1e-10)
    assert (got.ci_low, got.ci_high) == pytest.approx(fit.conf_int()[0], rel=1e-10)


def test_weighted_clusters_are_a_weighted_clustered_regressions():
    values, labels, codes = clustered_values()
    weights = RNG.uniform(0.5, 20, len(values))
    got = mean_of(scores(values, weights, clusters=labels))
    fit = sm.WLS(values, np.ones(len(values)), weights=weights).fit(cov_type="cluster", cov_kwds={"groups": codes})
    assert (got.value, got.stderr) == pytest.approx((fit.params[0], fit.bse[0]), rel=1e-10)


def test_macro_error_is_that_of_a_mean_of_independent_means():
    parts = [RNG.normal(i, 1 + i, 20 + 10 * i) for i in range(4)]
    figures = [mean_of(scores(part)) for part in parts]
    got = macro(figures)
    assert got.value == pytest.approx(np.mean([part.mean() for part in parts]))
    assert got.stderr == pytest.approx(math.sqrt(sum(scipy.stats.sem(p) ** 2 for p in parts)) / 4)
    halves = [f.ci_high - f.value for f in figures]
    assert got.ci_high - got.value == pytest.approx(math.sqrt(sum(h**2 for h in halves)) / 4)


def test_macro_of_proportions_stays_inside_and_of_bare_values_is_a_mean_of_them():
    got = macro([mean_of(scores(np.ones(20))), mean_of(scores(np.arange(20) > 0))])
    assert got.ci_high <= 1 and got.ci_low < got.value < 1
    bare = [0.2, 0.5, 0.9, 0.4]
    got = macro([Figure(value) for value in bare])
    wanted = scipy.stats.t.interval(0.95, 3, loc=np.mean(bare), scale=scipy.stats.sem(bare))
    assert got.stderr == pytest.approx(scipy.stats.sem(bare))
    assert (got.ci_low, got.ci_high) == pytest.approx(wanted)
    assert macro([]) == macro([Figure(None)]) == Figure(None)
    assert macro([Figure(0.5), Figure(None)]) == Figure(0.5)


def test_pooled_error_is_the_one_that_lm_eval_gives_groups():
    parts = [RNG.normal(i, 1, n) for i, n in enumerate((10, 30, 25))]
    got = pooled_stderr([scipy.stats.sem(p) for p in parts], [len(p) for p in parts])
    pooled = sum((len(p) - 1) * p.var(ddof=1) for p in parts) / (65 - 3)
    assert got == pytest.approx(math.sqrt(pooled / 65))
    # (99 · 100 · 0.05² + 299 · 300 · 0.02²) / 398 / 400 = 60.63 / 159200
    assert pooled_stderr([0.05, 0.02], [100, 300]) == pytest.approx(0.0195151661, rel=1e-8)
    assert pooled_stderr([0.0], [1]) is None


def test_bootstrap_finds_the_error_that_the_formula_gives():
    values = RNG.exponential(2, 400)
    drawn = design(scores(values))
    got = bootstrap(values.mean(), drawn, lambda block: block @ values / block.sum(axis=1))
    assert got.stderr == pytest.approx(scipy.stats.sem(values), rel=0.1) and got.method == "bootstrap"
    reference = scipy.stats.bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1)
    low, high = reference.confidence_interval
    assert (got.ci_low, got.ci_high) == pytest.approx((low, high), abs=0.25 * got.stderr)


def test_bootstrap_draws_whole_clusters_within_groups():
    values, labels, _ = clustered_values(clusters=60)
    s = scores(values, clusters=labels)
    got = bootstrap(values.mean(), design(s), lambda block: block @ values / block.sum(axis=1))
    assert got.stderr == pytest.approx(mean_of(s).stderr, rel=0.12)
    groups = np.repeat(["a", "b"], [30, 70])
    far = RNG.normal(0, 1, 100) + np.repeat([0.0, 50.0], [30, 70])
    s = scores(far, groups=groups)
    for block in resamples(design(s), replicates=50):
        assert (block[:, :30].sum(axis=1) == 30).all() and (block[:, 30:].sum(axis=1) == 70).all()
    got = bootstrap(far.mean(), design(s), lambda block: block @ far / 100)
    assert got.stderr == pytest.approx(mean_of(s).stderr, rel=0.12)


def test_bootstrap_is_the_same_again_whatever_the_blocks(monkeypatch):
    values = RNG.normal(0, 1, 50)
    drawn = design(scores(values))
    whole = np.concatenate(list(resamples(drawn, seed=3)))
    monkeypatch.setattr("assay.design.CHUNK", 700)
    assert (np.concatenate(list(resamples(drawn, seed=3))) == whole).all()
    assert whole.shape == (REPLICATES, 50) and (whole.sum(axis=1) == 50).all()
    assert (np.concatenate(list(resamples(drawn, seed=4))) != whole).any()


def test_bootstrap_keeps_only_what_is_defined():
    drawn = design(scores(np.arange(6.0)))
    assert bootstrap(1.0, drawn, lambda block: np.full(len(block), np.nan)) == Figure(1.0)
    assert bootstrap(math.nan, drawn, lambda block: block[:, 0]) == Figure(None)
    assert bootstrap(2.0, design(scores([2.0])), lambda block: block[:, 0]) == Figure(2.0)


@pytest.mark.parametrize(
    ("s", "wanted"),
    [
        (scores([]), Figure(None)),
        (scores([1.0]), Figure(1.0)),
        (scores([1.0, 0.0], weights=[0, 0]), Figure(None)),
        (scores([1.0, 0.0, 1.0], clusters=["a"] * 3), Figure(2 / 3)),
    ],
    ids=["none", "one", "no weight", "one cluster"],
)
def test_where_the_data_cannot_tell_there_is_none(s, wanted):
    assert mean_of(s) == wanted


def test_intervals_hold_what_they_should():
    """Of 400 samples of clusters and of rare hits, some 95 % of the intervals have the truth in them."""
    rng, held = np.random.default_rng(5), {"clustered": 0, "rare": 0, "clustered hits": 0}
    labels = np.repeat([f"c{i}" for i in range(25)], 4)
    for _ in range(400):
        shared = np.repeat(rng.normal(0, 1, 25), 4)
        cases = {
            "clustered": (mean_of(scores(shared + rng.normal(0, 1, 100), clusters=labels)), 0.0),
            "rare": (mean_of(scores(rng.random(80) < 0.03)), 0.03),
            "clustered hits": (mean_of(scores(shared + rng.normal(0, 1, 100) > 0, clusters=labels)), 0.5),
        }
        for name, (figure, truth) in cases.items():
            held[name] += figure.ci_low <= truth <= figure.ci_high
    assert all(0.92 * 400 <= count <= 0.99 * 400 for count in held.values()), held


finite = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(deadline=None)
@given(st.integers(2, 60).flatmap(lambda n: arrays(float, n, elements=finite)), finite, st.integers(0, 9))
def test_a_mean_moves_with_its_values(values, shift, seed):
    order = np.random.default_rng(seed).permutation(len(values))
    got, moved = mean_of(scores(values)), mean_of(scores(values[order] + shift))
    if got.method == moved.method == "mean":
        scale = np.abs(values).max() + abs(shift) + 1e-9
        for one, other, by in zip(got[:4], moved[:4], (shift, 0, shift, shift), strict=True):
            assert other - one == pytest.approx(by, abs=1e-7 * scale)
        assert got.ci_low <= got.value <= got.ci_high


@settings(deadline=None)
@given(hits=st.lists(st.booleans(), min_size=2, max_size=80), times=st.integers(1, 4))
def test_proportions_stay_between_0_and_1_and_copies_tell_nothing_new(hits, times):
    once = mean_of(scores(hits))
    assert 0 <= once.ci_low <= once.value <= once.ci_high <= 1 and once.ci_low < once.ci_high
    clusters = np.repeat([f"c{i}" for i in range(len(hits))], times)
    copied = mean_of(scores(np.repeat(hits, times), clusters=clusters))
    assert copied.value == pytest.approx(once.value) and copied.stderr == pytest.approx(once.stderr, abs=1e-12)


@settings(deadline=None)
@given(share=st.floats(0, 1), n=st.integers(1, 10_000))
def test_wilson_is_where_the_score_test_is_at_its_edge(share, n):
    low, high = wilson(share, n)
    assert 0 <= low <= share <= high <= 1
    for edge in (low, high):
        if 1e-9 < edge < 1 - 1e-9 and edge != share:
            assert abs(share - edge) / math.sqrt(edge * (1 - edge) / n) == pytest.approx(Z, rel=1e-5)


def test_the_normal_point_is_scipys():
    assert pytest.approx(scipy.stats.norm.ppf(0.975), rel=1e-15) == Z
    assert ratio(np.ones(3), np.zeros(3), design(scores(np.ones(3)))) is None

"""Paired comparisons against scipy and statsmodels, and on a small ledger through the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
import yaml
from columns import scores
from conftest import SUMS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from test_commands import Said, assay

from assay.catalog import make_spec
from assay.compare import FEW, Change, Pair, change, compare
from assay.metrics_perplexity import perplexity
from assay.statistics import holm
from assay.types import Scores
from flows.running import run_spec
from storage.ledger import Ledger

RNG = np.random.default_rng(5)


def pair(before: Scores, after: Scores, step: Any = "mean", macro: bool = False, benchmark: str = "sums") -> Pair:
    return Pair(benchmark, "reasoning", "acc", step, macro, before, after)


def changed(before: Any, after: Any, step: Any = "mean", macro: bool = False, **more: Any) -> Change:
    return change(pair(scores(before, **more), scores(after, **more), step, macro))


def answers(both: int, lost: int, won: int, neither: int) -> tuple[list[int], list[int]]:
    return [1] * (both + lost) + [0] * (won + neither), [1] * both + [0] * lost + [1] * won + [0] * neither


@pytest.mark.parametrize(("lost", "won"), [(0, 1), (1, 0), (0, 5), (3, 9), (7, 7), (0, 24), (14, 10)])
def test_few_pairs_that_differ_have_the_exact_test_of_mcnemar(lost: int, won: int) -> None:
    got = changed(*answers(40, lost, won, 30))
    wanted = mcnemar([[40, lost], [won, 30]], exact=True)
    assert got.p == pytest.approx(wanted.pvalue, rel=1e-12)
    assert got.p_worse == pytest.approx(scipy.stats.binomtest(won, lost + won, alternative="less").pvalue, rel=1e-12)
    assert (got.lost, got.won, got.n, got.method) == (lost, won, 70 + lost + won, "McNemar")
    assert got.difference == pytest.approx((won - lost) / got.n)
    share = scipy.stats.binomtest(won, lost + won).proportion_ci(method="exact")
    scale = (lost + won) / got.n
    assert (got.low, got.high) == pytest.approx(((2 * share.low - 1) * scale, (2 * share.high - 1) * scale))
    assert got.low is not None and got.high is not None and got.p is not None
    assert (got.low > 0 or got.high < 0) == (got.p < 0.05)


def test_where_nothing_differs_nothing_is_said_but_that() -> None:
    got = changed(*answers(5, 0, 0, 5))
    assert (got.difference, got.p, got.p_worse, got.low) == (0, 1, 1, None)


@pytest.mark.parametrize(("lost", "won"), [(15, FEW - 15), (60, 20), (10, 90)])
def test_many_have_students_test_of_the_differences(lost: int, won: int) -> None:
    before, after = answers(100, lost, won, 40)
    got = changed(before, after)
    wanted = scipy.stats.ttest_rel(after, before)
    assert got.p == pytest.approx(wanted.pvalue, rel=1e-9)
    assert (got.low, got.high) == pytest.approx(wanted.confidence_interval(0.95))
    assert got.p_worse == pytest.approx(scipy.stats.ttest_rel(after, before, alternative="less").pvalue, rel=1e-9)
    assert got.method == "paired t"
    assert got.p == pytest.approx(mcnemar([[100, lost], [won, 40]], exact=False, correction=False).pvalue, abs=0.02)


def test_values_that_are_no_zeros_and_ones_have_it_too() -> None:
    before, after = RNG.normal(0, 1, 12), RNG.normal(0.3, 1, 12)
    assert changed(before, after).p == pytest.approx(scipy.stats.ttest_rel(after, before).pvalue, rel=1e-9)


def test_clusters_are_respected_as_a_clustered_regression_does() -> None:
    labels = np.repeat([f"c{i}" for i in range(30)], RNG.integers(1, 7, 30))
    codes = np.unique(labels, return_inverse=True)[1]
    before = (RNG.random(len(labels)) < 0.5).astype(float)
    after = np.where(RNG.normal(0, 1, 30)[codes] > 0.3, 0.0, before)
    got = changed(before, after, clusters=labels)
    fitted = sm.OLS(after - before, np.ones(len(labels))).fit(
        cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False}
    )
    error = float(fitted.bse[0]) * math.sqrt(30 / 29)
    assert got.difference == pytest.approx(float(fitted.params[0]))
    assert got.p == pytest.approx(2 * scipy.stats.t.sf(abs(got.difference or 0) / error, 29), rel=1e-9)
    alone = changed(before, after)
    assert alone.p is not None and got.p is not None and alone.p < got.p


def test_an_error_that_cannot_be_seen_leaves_the_sign_test() -> None:
    got = changed([0.75] * 10, [0.5] * 10)
    assert (got.difference, got.low, got.method) == (-0.25, None, "sign")
    assert got.p == pytest.approx(2 / 2**10) and got.p_worse == pytest.approx(1 / 2**10)
    assert changed([1] * 8, [0] * 8, clusters=list("aabbccdd")).p == pytest.approx(2 / 2**4)


def test_what_one_question_tells_is_nothing() -> None:
    got = changed([0.2], [0.9])
    assert (got.p, got.low) == (None, None) and got.difference == pytest.approx(0.7)


def test_a_mean_over_groups_is_compared_group_by_group() -> None:
    groups = ["a"] * 40 + ["b"] * 160
    before, after = np.zeros(200), np.concatenate([RNG.random(40) < 0.5, RNG.random(160) < 0.1]).astype(float)
    got = changed(before, after, macro=True, groups=groups)
    means = [after[:40].mean(), after[40:].mean()]
    assert got.difference == pytest.approx(np.mean(means)) and (got.before, got.after) == (
        0,
        pytest.approx(np.mean(means)),
    )
    error = math.sqrt(scipy.stats.sem(after[:40]) ** 2 + scipy.stats.sem(after[40:]) ** 2) / 2
    assert got.p == pytest.approx(2 * scipy.stats.t.sf(np.mean(means) / error, 198), rel=1e-9)
    assert got.p != changed(before, after, groups=groups).p


def test_of_a_mean_over_groups_with_a_question_each_the_groups_are_the_draws() -> None:
    before, after = RNG.normal(0, 1, 9), RNG.normal(1, 1, 9)
    got = changed(before, after, macro=True, groups=list("abcdefghi"))
    assert got.p == pytest.approx(scipy.stats.ttest_rel(after, before).pvalue, rel=1e-9)


def test_a_weighted_mean_is_that_of_the_differences() -> None:
    before, after, weights = RNG.random(50), RNG.random(50), RNG.integers(1, 4, 50)
    got = changed(before, after, "weighted_mean", weights=weights)
    assert got.difference == pytest.approx(np.average(after - before, weights=weights))
    assert (got.before, got.after) == pytest.approx([np.average(v, weights=weights) for v in (before, after)])
    same = changed(before, after, "weighted_mean", weights=np.full(50, 3.0))
    assert same.p == pytest.approx(scipy.stats.ttest_rel(after, before).pvalue, rel=1e-9)


def test_what_is_no_mean_is_drawn_again_for_both_alike_and_less_may_be_better() -> None:
    before = RNG.normal(-3, 1, 400)
    after = before - RNG.normal(0.05, 0.1, 400)
    got = changed(before, after, "perplexity")
    assert got.difference == pytest.approx(np.exp(-after.mean()) - np.exp(-before.mean()))
    assert got.difference is not None and got.difference > 0
    assert got.p_worse is not None and got.p_worse < 0.001, "a higher perplexity is worse"
    assert got.lost > got.won and got.method == "bootstrap"
    error = (np.exp(-after.mean()) * after - np.exp(-before.mean()) * before).std(ddof=1) / 20  # the delta method
    assert got.low is not None and got.high is not None
    assert (got.high - got.low) / 3.92 == pytest.approx(error, rel=0.1)
    apart = perplexity(scores(before)).stderr
    assert apart is not None and (got.high - got.low) / 3.92 < apart / 3, "pairs tell more than the two apart"


def test_what_cannot_be_drawn_again_is_said_to_be_untested() -> None:
    got = changed(RNG.normal(-3, 1, 20), RNG.normal(-3, 1, 20), "perplexity", macro=True, groups=["a", "b"] * 10)
    assert (got.p, got.method) == (None, "not tested") and got.before is not None


def test_holm_is_as_statsmodels_has_it_and_none_does_not_count() -> None:
    ps = [0.04, 0.001, 0.03, 0.5, 0.012, 0.012]
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1].tolist())
    assert holm([None, 0.04, None, 0.01]) == [None, 0.04, None, 0.02]
    assert holm([]) == []


def test_a_comparison_is_adjusted_over_its_lines() -> None:
    fallen = pair(*(scores(v) for v in answers(50, 9, 0, 10)), benchmark="fallen")
    same = [pair(*(scores(v) for v in answers(50, 3, 3, 10)), benchmark=f"same{i}") for i in range(9)]
    first, *rest = compare([fallen, *same])
    assert first.p_worse == pytest.approx(1 / 2**9) and first.p_worse_adjusted == pytest.approx(10 / 2**9)
    assert first.p_adjusted == pytest.approx(20 / 2**9) and all(c.p_adjusted == 1 for c in rest)


@pytest.fixture(scope="module")
def ledger(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty sums, answered by one model that is right, one that is wrong on the last eight, and one that saw half."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "sums.yaml").write_text(yaml.safe_dump(SUMS))
    rows = [json.dumps({"question": f"{i} + 1", "answer": str(i + 1)}) for i in range(40)]
    (folder / "sums.jsonl").write_text("\n".join(rows))
    wrong = [{"pattern": "^3[2-9] ", "answer": "none"}]
    right = [{"pattern": f"^{i} ", "answer": str(i + 1)} for i in range(40)]
    models = [
        {"name": name, "adapter": "echo", "path": "scripted", "options": {"answers": answered}}
        for name, answered in (("good", right), ("worse", wrong + right))
    ]
    spec = {"benchmarks": ["sums"], "catalog": [str(folder)]}
    assert run_spec(make_spec({"models": models, **spec}), folder / "l.duckdb") == 0
    assert run_spec(make_spec({"models": ["echo:oracle"], "limit": 20, **spec}), folder / "l.duckdb") == 0
    return folder / "l.duckdb"


def ask(ledger: Path, *arguments: str) -> Said:
    return assay("compare", *arguments, "--ledger", str(ledger))


def test_two_models_are_compared_on_the_command_line(ledger: Path) -> None:
    said = ask(ledger, "good", "worse")
    assert said.code == 0, said.err
    line = next(line for line in said.out.splitlines() if line.split()[:1] == ["sums"])
    assert " ".join(line.split()) == "sums number_match 1.000 0.800 -0.200 [-0.200, -0.052] 0.008 0.008 8 0 40 McNemar"


def test_and_as_json_by_the_newest_figures_of_each(ledger: Path) -> None:
    said = ask(ledger, "worse", "echo:oracle", "-b", "sums", "--json")
    told = json.loads(said.out.splitlines()[-1])
    (got,) = told["changes"]
    assert (told["before"], told["after"], told["left"]) == ("worse", "echo:oracle", [])
    assert (got["n"], got["alone"], got["difference"], got["p"]) == (20, 20, 0.0, 1.0)
    said = ask(ledger, "worse", "echo:oracle")
    assert "20 answers of one model alone are left out" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("good", "wors"), "no model with figures 'wors'; did you mean worse?"),
        (("goood", "worse"), "no model with figures 'goood'; did you mean good?"),
        (("good", "worse", "-b", "sum"), "no benchmark that good and worse share 'sum'; did you mean sums?"),
    ],
)
def test_a_name_that_is_not_there_is_told(ledger: Path, arguments: tuple[str, ...], message: str) -> None:
    said = ask(ledger, *arguments)
    assert (said.code, said.out) == (2, "") and message in said.err


def test_a_changed_recipe_is_not_compared(ledger: Path) -> None:
    with Ledger(ledger).write() as con:
        good = "SELECT model_key FROM models WHERE label = 'good'"
        con.execute(f"UPDATE metrics SET recipe_key = 'old' WHERE model_key IN ({good})")
    said = ask(ledger, "good", "worse", "--json")
    told = json.loads(said.out.splitlines()[-1])
    assert told["changes"] == [] and "recipe has changed" in told["left"][0]["why"]

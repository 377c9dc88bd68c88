"""Retrievers that go by vectors: each against a second, slower way to compute it, or counted by hand."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from assay.errors import SpecError
from assay.functions import load_functions
from assay.keys import key
from assay.retrieve import Trial, retriever
from assay.retrieve_dpp import greedy, kernel
from assay.retrieve_mdl import sureness
from assay.retrieve_votek import elected, voters

load_functions()
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(60, 8)).astype(np.float32)
POOL = [{"input": str(i), "target": i % 3} for i in range(40)]
QUESTIONS = [{"input": str(i), "target": 0} for i in range(40, 60)]


def embed(samples: Any) -> Any:
    return VECTORS[[int(sample["input"]) for sample in samples]]


def made(name: str, pool: Any = POOL, k: int = 4, own: bool = False, seed: int = 7, **options: Any) -> Any:
    return retriever[name](pool, k, seed, "bench", embed=embed, own=own, **options)


def chosen(choose: Any, sample: Any) -> Any:
    return choose(key("sample", sample), sample, 0)


def cosines(sample: Any, pool: Any = POOL) -> Any:
    q, rows = embed([sample])[0].astype(float), embed(pool).astype(float)
    return rows @ q / np.linalg.norm(rows, axis=1) / np.linalg.norm(q)


def test_topk_is_numpys_order_by_cosine_or_by_inner_product() -> None:
    near, inner = made("topk"), made("topk", metric="ip")
    differ = 0
    for sample in QUESTIONS:
        by_angle = cosines(sample)
        by_product = embed(POOL).astype(float) @ embed([sample])[0]
        for found, wanted in ((chosen(near, sample), by_angle), (chosen(inner, sample), by_product)):
            assert [place for place, _ in found] == np.argsort(-wanted).tolist()[:4]
            assert [score for _, score in found] == pytest.approx(sorted(wanted)[::-1][:4], abs=1e-5)
        differ += chosen(near, sample) != chosen(inner, sample)
    assert differ > 5


def test_topk_of_own_rows_leaves_out_the_question_and_its_copies() -> None:
    pool = [*POOL, dict(POOL[3])]
    choose = made("topk", pool, own=True)
    for sample in pool:
        places = [place for place, _ in chosen(choose, sample)]
        wanted = [
            place for place in np.argsort(-cosines(sample, pool), kind="stable").tolist() if pool[place] != sample
        ]
        assert places == wanted[:4]


def test_the_metric_is_one_of_two() -> None:
    with pytest.raises(SpecError, match="cos or ip, got 'l2'"):
        made("topk", metric="l2")


def test_votes_counted_by_hand() -> None:
    # on a circle, at these angles: each votes for the two that are nearest
    angles = np.array([0, 10, 21, 90, 101, 180]) * math.pi / 180
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    by = voters(circle, 2)
    # 0 -> 1, 2; 1 -> 0, 2; 2 -> 1, 0; 3 -> 4, 2; 4 -> 3, 5 (79 away, 2 is 80); 5 -> 4, 3
    assert by == [{1, 2}, {0, 2}, {0, 1, 3}, {4, 5}, {3, 5}, {4}]
    # ranked 2 (three votes), 0, 1, 3, 4 (two each), 5; 5's only voter has voted for 3, so it is passed over
    assert elected(by, 6, 1.0) == [2, 0, 1, 3, 4]
    # with half of the voters: 0 shares 1 with 2; 1 shares 0; 3 shares none; 4 shares 3 with 2
    assert elected(by, 6, 0.5) == [2, 3]


def slow_votek(vectors: Any, k: int, votes: int, overlap: float) -> list[int]:
    """As OpenCompass's VotekRetriever goes about it, with ties by place."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = (unit @ unit.T).round(5)
    got: dict[int, set[int]] = {}
    for i in range(len(unit)):
        order = sorted((j for j in range(len(unit)) if j != i), key=lambda j: (-similar[i, j], j))
        for j in order[:votes]:
            got.setdefault(j, set()).add(i)
    ranked = sorted(got, key=lambda j: (-len(got[j]), j))
    found: list[int] = []
    for rank, j in enumerate(ranked):
        if not any(len(got[j] & got[h]) >= overlap * len(got[j]) for h in ranked[:rank]) and len(found) < k:
            found.append(j)
    return found


@pytest.mark.parametrize("overlap", [1.0, 0.7, 0.3])
def test_votek_is_the_slow_way(overlap: float) -> None:
    wanted = slow_votek(embed(POOL), 6, 3, overlap)
    found = chosen(made("votek", k=6, overlap=overlap), QUESTIONS[0])
    assert found[: len(wanted)] == wanted and len(set(found)) == 6


def test_votek_is_the_same_for_all_and_fills_up_by_the_seed_alone() -> None:
    """OpenCompass fills up from a generator that nobody has seeded."""
    sets = [chosen(made("votek", k=30, seed=seed, overlap=0.3), QUESTIONS[i]) for seed in (1, 2) for i in (0, 5)]
    assert sets[0] == sets[1] != sets[2] == sets[3]
    voted = slow_votek(embed(POOL), 30, 3, 0.3)
    assert sets[0][: len(voted)] == sets[2][: len(voted)] == voted and 3 < len(voted) < 20
    own = made("votek", k=5, own=True)
    assert all(POOL.index(sample) not in chosen(own, sample) and len(chosen(own, sample)) == 5 for sample in POOL)


def test_the_greedy_choice_has_the_greatest_determinant_at_every_step() -> None:
    for seed in range(5):
        root = np.random.default_rng(seed).normal(size=(9, 12))
        matrix, slow = root @ root.T, list[int]()
        while len(slow) < 5:
            rest = [i for i in range(9) if i not in slow]
            slow.append(max(rest, key=lambda i: np.linalg.det(matrix[np.ix_([*slow, i], [*slow, i])])))
        assert greedy(matrix, 5) == slow


def test_where_nothing_adds_to_the_determinant_the_nearest_are_taken() -> None:
    assert greedy(np.ones((6, 6)), 4) == [0, 1, 2, 3]
    two = np.array([[1.0, 0.0], [0.0, 1.0]])[[0, 0, 1, 1, 0]]
    assert greedy(two @ two.T, 3) == [0, 2, 1]
    assert greedy(np.eye(2), 5) == [0, 1]


def test_dpp_chooses_by_opencompasss_kernel_and_shows_the_nearest_first() -> None:
    """OpenCompass's DPPRetriever raises a TypeError on its last line."""
    choose = made("dpp", k=3, candidates=10, scale=0.1)
    for sample in QUESTIONS:
        near = np.argsort(-cosines(sample)).tolist()[:10]
        angle = cosines(sample)[near]
        weight = np.exp(((angle + 1) / 2 - (angle.max() + 1) / 2) / 0.2)
        rows = embed([POOL[i] for i in near]).astype(float)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        matrix = weight[:, None] * (rows @ rows.T + 1) / 2 * weight
        np.testing.assert_allclose(kernel(rows.astype(np.float32), angle, 0.1), matrix, atol=1e-6)
        slow: list[int] = []
        while len(slow) < 3:
            rest = [i for i in range(10) if i not in slow]
            slow.append(max(rest, key=lambda i: np.linalg.det(matrix[np.ix_([*slow, i], [*slow, i])])))
        found = chosen(choose, sample)
        assert [place for place, _ in found] == [near[i] for i in sorted(slow)]
        assert [score for _, score in found] == pytest.approx(angle[sorted(slow)].tolist(), abs=1e-5)


def test_dpp_prefers_variety_to_a_second_copy() -> None:
    def near(samples: Any) -> Any:
        return np.array([[1, 0, 0], [1, 0.01, 0], [0.9, 0, 0.5], [-1, 0, 0]], np.float32)[[s["input"] for s in samples]]

    pool = [{"input": i} for i in range(4)]
    found = retriever["dpp"](pool, 2, 0, "bench", embed=near, candidates=4, scale=0.3)("k", {"input": 0}, 0)
    assert [place for place, _ in found] == [0, 2]  # 1 is nearer, and all but the first again; 3 is far
    [alone] = retriever["dpp"](pool, 1, 0, "bench", embed=near, candidates=4)("k", {"input": 0}, 0)
    assert alone == (0, 1.0)


def test_mdl_tries_the_nearest_and_draws_of_the_near() -> None:
    choose = made("mdl", k=3, candidates=6, draws=5)
    for sample in QUESTIONS:
        trial = chosen(choose, sample)
        near = np.argsort(-cosines(sample)).tolist()[:6]
        assert isinstance(trial, Trial) and len(trial.lists) == 5 and trial.lists[0] == near[:3]
        assert all(len(set(places)) == 3 and set(places) <= set(near) for places in trial.lists)
    drawn = {tuple(sorted(places)) for sample in QUESTIONS for places in chosen(choose, sample).lists[1:]}
    assert len(drawn) > 40


def test_sureness_is_minus_the_entropy_of_the_mean_losses() -> None:
    assert sureness([-4.0, -4.0], [2, 2]) == pytest.approx(-math.log(2))
    assert sureness([-4.0, -8.0], [2, 4]) == pytest.approx(-math.log(2))  # by the token
    p = np.exp([-1.0, -2.5, -0.5]) / np.exp([-1.0, -2.5, -0.5]).sum()
    assert sureness([-3.0, -5.0, -2.0], [3, 2, 4]) == pytest.approx(float((p * np.log(p)).sum()))
    assert sureness([-1.0, -1e6], [1, 1]) == pytest.approx(0.0) and sureness([-2000.0], [1]) == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dpp", {"candidates": 3}),
        ("dpp", {"scale": 0}),
        ("mdl", {"candidates": 3}),
        ("mdl", {"draws": 0}),
        ("votek", {"votes": 0}),
        ("votek", {"overlap": 0}),
    ],
)
def test_options_that_make_no_sense_are_told(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=f"{name} wants "):
        made(name, **options)


ALL = [("topk", {}), ("votek", {}), ("dpp", {"candidates": 9}), ("mdl", {"candidates": 9})]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("name", "options"), ALL)
def test_the_rest_of_what_is_asked_changes_nothing(name: str, options: dict[str, Any], own: bool) -> None:
    samples = POOL if own else QUESTIONS
    choose = made(name, own=own, **options)
    whole = [chosen(choose, sample) for sample in samples]
    for seed in range(3):
        again = made(name, own=own, **options)
        for place in random.Random(seed).sample(range(len(samples)), 9):
            assert chosen(again, samples[place]) == whole[place]
    with pytest.raises(SpecError, match="wanted 41 examples to choose from, and there are 40"):
        made(name, k=40 if own else 41, own=own, **options)

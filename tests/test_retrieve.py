"""Retrievers: which examples a question gets, and that nothing else changes them."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from assay.errors import SpecError
from assay.keys import key
from assay.retrieve import retriever

POOL = [{"input": f"question {i}", "target": str(i)} for i in range(20)]
OTHER = [{"input": f"other {i}", "target": "x"} for i in range(30)]


def chosen(name, pool, samples, k=3, seed=7, own=False, **options):
    choose = retriever[name](pool, k, seed, "bench", own=own, **options)
    return [choose(key("sample", sample), sample, i) for i, sample in enumerate(samples)]


def test_zero_shows_nothing():
    assert chosen("zero", POOL, OTHER) == [[]] * 30


@pytest.mark.parametrize("name", ["fixed", "first_n"])
def test_fixed_is_the_first_k_for_all(name):
    assert chosen(name, POOL, OTHER) == [[0, 1, 2]] * 30


def test_fixed_ids_are_shown_in_their_order_and_all_of_them():
    assert chosen("fixed", POOL, OTHER[:2], k=2, ids=[5, 0, 19]) == [[5, 0, 19]] * 2
    assert chosen("fixed", POOL, POOL[:2], ids=[5, 0, 19], own=True) == [[5, 19], [5, 0, 19]]


def test_fixed_from_own_rows_goes_on_to_the_next():
    assert chosen("fixed", POOL, POOL[:4], own=True) == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


@pytest.mark.parametrize("ids", [[20], [-1]])
def test_fixed_ids_outside_the_pool_say_how_many_there_are(ids):
    with pytest.raises(SpecError, match="there are 20"):
        chosen("fixed", POOL, OTHER, ids=ids)


def test_random_depends_on_seed_benchmark_and_question_alone():
    shown = chosen("random", POOL, OTHER)
    assert len({tuple(places) for places in shown}) > 20
    choose = retriever["random"](POOL, 3, 7, "bench")
    backwards = [choose(key("sample", sample), sample, 0) for sample in reversed(OTHER)]
    assert backwards[::-1] == shown
    assert chosen("random", POOL, OTHER, seed=8) != shown
    assert [retriever["random"](POOL, 3, 7, "else")(key("sample", s), s, 0) for s in OTHER] != shown


def test_random_draws_are_uniform():
    choose = retriever["random"](POOL, 3, 0, "bench")
    counts = Counter(place for i in range(2000) for place in choose(str(i), {}, i))
    assert sum(counts.values()) == 6000 and set(counts) == set(range(20))
    assert all(abs(count - 300) < 5 * (6000 * 0.05 * 0.95) ** 0.5 for count in counts.values())


@pytest.mark.parametrize("name", ["fixed", "first_n", "random", "lm_eval"])
def test_no_question_is_its_own_example(name):
    pool = [*POOL[:6], dict(POOL[2])]  # 2 stands there twice
    shown = chosen(name, pool, pool, k=4, own=True)
    for i, places in enumerate(shown):
        assert pool[i] not in [pool[place] for place in places]
        assert len(set(places)) == len(places) <= 4
        assert name == "lm_eval" or len(places) == 4


def test_random_from_own_rows_is_uniform_over_the_others():
    choose = retriever["random"](POOL, 2, 0, "bench", own=True)
    counts = Counter(place for i in range(1900) for place in choose(str(i), POOL[4], 4))
    assert set(counts) == set(range(20)) - {4}
    assert all(abs(count - 200) < 5 * (3800 / 19 * 18 / 19) ** 0.5 for count in counts.values())


def test_lm_eval_is_one_generator_over_all_questions():
    rng = random.Random(1234)
    wanted = [[POOL.index(doc) for doc in rng.sample(POOL, 5)] for _ in OTHER]
    assert chosen("lm_eval", POOL, OTHER, k=5, seed=99) == wanted
    assert chosen("lm_eval", POOL, OTHER[:4], k=5) == wanted[:4]
    assert wanted[0] == [14, 3, 0, 2, 1]
    assert chosen("lm_eval", POOL, OTHER, k=5, fewshot_seed=0) != wanted


def test_lm_eval_from_own_rows_draws_one_more_and_drops_the_question():
    rng = random.Random(1234)
    wanted = [[POOL.index(x) for x in rng.sample(POOL, 6) if x != doc][:5] for doc in POOL]
    assert chosen("lm_eval", POOL, POOL, k=5, own=True) == wanted
    assert all(len(places) == 5 for places in wanted)


def test_lm_eval_wants_its_questions_in_order():
    choose = retriever["lm_eval"](POOL, 2, 0, "bench")
    choose("a", OTHER[0], 3)
    choose("b", OTHER[1], 8)  # a task's questions need not be neighbours in a benchmark with groups
    with pytest.raises(SpecError, match="question 8 came after 8"):
        choose("b", OTHER[1], 8)


@pytest.mark.parametrize("name", ["fixed", "first_n", "random", "lm_eval"])
@pytest.mark.parametrize(("k", "own"), [(21, False), (20, True)])
def test_a_pool_too_small_says_what_there_is(name, k, own):
    with pytest.raises(SpecError, match=r"bench: wanted 21 examples.* there are 20"):
        retriever[name](POOL, k, 0, "bench", own=own)
    assert len(chosen(name, POOL, POOL[:1], k=k - 1, own=own)[0]) == k - 1


@pytest.mark.parametrize("name", ["fixed", "random", "lm_eval"])
def test_own_rows_mapped_otherwise_are_an_error(name):
    with pytest.raises(SpecError, match=r"fewshot\.sample"):
        chosen(name, POOL, OTHER, own=True)


def test_an_unknown_retriever_is_told_with_its_neighbours():
    with pytest.raises(SpecError, match="did you mean fixed"):
        retriever["fixd"]

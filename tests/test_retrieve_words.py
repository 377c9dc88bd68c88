"""Retrievers that ask no model: by rare words, by class, by place; each against a second way to compute it."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest

from assay.errors import SpecError
from assay.functions import load_functions
from assay.keys import key
from assay.retrieve import best, retriever
from assay.retrieve_bm25 import Index, tokens

load_functions()
WORDS = ["the", "cat", "dog", "sat", "ran", "on", "a", "mat", "with", "red", "ball", "and", "then", "it", "was", "late"]


def _texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(count)]


POOL = [{"input": text, "target": i % 3} for i, text in enumerate(_texts(40, 1))]
QUESTIONS = [{"input": text, "target": 0} for text in _texts(25, 2)]
TEXT = {"text": lambda sample: sample["input"]}


def chosen(name: str, pool: Any, samples: Any, k: int = 4, seed: int = 7, own: bool = False, **options: Any) -> Any:
    choose = retriever[name](pool, k, seed, "bench", own=own, **options)
    return [choose(key("sample", sample), sample, i) for i, sample in enumerate(samples)]


def okapi(texts: list[list[str]], query: list[str]) -> list[float]:
    """BM25Okapi of rank_bm25, straight from its formulas."""
    size, mean = len(texts), sum(map(len, texts)) / len(texts)
    found = Counter(word for text in texts for word in set(text))
    idf = {word: math.log(size - n + 0.5) - math.log(n + 0.5) for word, n in found.items()}
    floor = 0.25 * sum(idf.values()) / len(idf)
    idf = {word: floor if value < 0 else value for word, value in idf.items()}

    def score(text: list[str]) -> float:
        norm = 1.5 * (0.25 + 0.75 * len(text) / mean)
        return sum(idf.get(w, 0) * text.count(w) * 2.5 / (text.count(w) + norm) for w in query)

    return [score(text) for text in texts]


def test_bm25_is_okapi_with_a_floor_under_common_words() -> None:
    texts = [text.split() for text in _texts(40, 3)]
    for query in (text.split() for text in [*_texts(20, 4), "the the cat", "unknown words"]):
        assert Index(texts).scores(query).tolist() == pytest.approx(okapi(texts, query), abs=1e-9)


def test_bm25_of_three_texts_by_hand() -> None:
    pool = [{"input": "red ball"}, {"input": "blue ball"}, {"input": "green tree"}]
    [found] = chosen("bm25", pool, [{"input": "a red ball"}], k=2, **TEXT)
    # all are of the mean length: a word weighs its rarity; ln(2.5/1.5) for one in three, and ln(1.5/2.5) < 0 for two
    # in three, in place of which a quarter of the mean of the five
    rare, floor = math.log(2.5 / 1.5), 0.25 * (4 * math.log(2.5 / 1.5) - math.log(2.5 / 1.5)) / 5
    assert found == [(0, pytest.approx(rare + floor)), (1, pytest.approx(floor))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't stop, it's 3.5!", ["Don", "'", "t", "stop", ",", "it", "'", "s", "3", ".", "5", "!"]),
        ("我爱北京。", ["我", "爱", "北", "京", "我爱", "爱北", "北京", "。"]),
        ("GPT模型", ["GPT", "模", "型", "模型"]),
        ("スシ食", ["ス", "シ", "食", "スシ", "シ食"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("ดี", ["ด", "ี", "ดี"]),
        ("", []),
    ],
)
def test_words_are_found_in_every_script(text: str, found: list[str]) -> None:
    assert tokens(text) == found


def test_bm25_finds_the_alike_in_chinese() -> None:
    pool = [{"input": text} for text in ("今天天气很好", "北京是中国的首都", "上海是一座大城市")]
    [found] = chosen("bm25", pool, [{"input": "中国的首都是哪里？"}], k=1, **TEXT)
    assert [place for place, _ in found] == [1]


def test_sliding_shows_the_rows_before_and_the_first_take_from_the_end() -> None:
    pool = [{"input": str(i)} for i in range(6)]
    assert chosen("sliding", pool, pool, k=2, own=True) == [[4, 5], [5, 0], [0, 1], [1, 2], [2, 3], [3, 4]]
    other = [{"input": f"other {i}"} for i in range(8)]
    assert chosen("sliding", pool, other, k=2) == [[4, 5], [5, 0], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 0]]
    twice = [*pool, dict(pool[1])]
    assert chosen("sliding", twice, [pool[1]], k=6, own=True) == [[2, 3, 4, 5, 0]]


@pytest.mark.parametrize("k", [1, 3, 4, 7, 12])
def test_balanced_is_as_even_as_can_be(k: int) -> None:
    for places in chosen("balanced", POOL, QUESTIONS, k=k):
        counts = Counter(POOL[place]["target"] for place in places)
        assert len(set(places)) == k and max(counts.values()) - min([*counts.values(), *[0] * (3 - len(counts))]) <= 1


def test_balanced_gives_a_small_class_all_it_has_and_its_share_to_the_others() -> None:
    pool = [{"input": str(i), "target": "rare" if i < 1 else "often" if i < 12 else "some"} for i in range(20)]
    for places in chosen("balanced", pool, QUESTIONS, k=9):
        counts = Counter(pool[place]["target"] for place in places)
        assert counts == {"rare": 1, "often": 4, "some": 4}
    [all_] = chosen("balanced", pool, QUESTIONS[:1], k=20)
    assert sorted(all_) == list(range(20))


def test_balanced_draws_every_example_and_every_order() -> None:
    choose = retriever["balanced"](POOL, 3, 0, "bench")
    drawn = [choose(str(i), {}, i) for i in range(600)]
    counts = Counter(place for places in drawn for place in places)
    assert set(counts) == set(range(40))
    assert all(abs(n - 600 / sum(p % 3 == place % 3 for p in range(40))) < 40 for place, n in counts.items())
    firsts = Counter(POOL[places[0]]["target"] for places in drawn)
    assert all(abs(n - 200) < 60 for n in firsts.values())


NAMES = ["bm25", "sliding", "balanced", "random"]


def _options(name: str) -> dict[str, Any]:
    return TEXT if name == "bm25" else {}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_rest_of_what_is_asked_changes_nothing(name: str, own: bool) -> None:
    """OpenCompass draws from one generator for all, so that parts of a benchmark get other examples than the whole."""
    samples = POOL if own else QUESTIONS
    keyed = [(key("sample", sample), sample, i) for i, sample in enumerate(samples)]
    choose = retriever[name](POOL, 4, 7, "bench", own=own, **_options(name))
    whole = {one[0]: choose(*one) for one in keyed}
    for seed in range(3):
        part = random.Random(seed).sample(keyed, 9)
        again = retriever[name](POOL, 4, 7, "bench", own=own, **_options(name))
        assert {one[0]: again(*one) for one in part} == {one[0]: whole[one[0]] for one in part}


@pytest.mark.parametrize("name", NAMES)
def test_no_question_is_its_own_example(name: str) -> None:
    pool = [*POOL[:9], dict(POOL[2])]
    for sample, shown in zip(pool, chosen(name, pool, pool, k=5, own=True, **_options(name)), strict=True):
        places = [one if isinstance(one, int) else one[0] for one in shown]
        assert sample not in [pool[place] for place in places]
        assert len(set(places)) == len(places) == 5


@pytest.mark.parametrize("name", ["bm25", "sliding", "balanced"])
def test_a_pool_too_small_says_what_there_is(name: str) -> None:
    with pytest.raises(SpecError, match="wanted 41 examples to choose from, and there are 40"):
        chosen(name, POOL, POOL, k=40, own=True, **_options(name))
    assert len(chosen(name, POOL, QUESTIONS[:1], k=40, **_options(name))[0]) == 40


def test_of_equal_scores_the_earlier_place_comes_first() -> None:
    import numpy as np

    scores = np.array([1.0, 2.0, 2.0, 0.0, 2.0, 1.0])
    assert best(scores, 4) == [(1, 2.0), (2, 2.0), (4, 2.0), (0, 1.0)]
    assert best(scores, 3, left_out=[2, 0]) == [(1, 2.0), (4, 2.0), (5, 1.0)]
    assert best(scores, 9) == [(1, 2.0), (2, 2.0), (4, 2.0), (0, 1.0), (5, 1.0), (3, 0.0)]
    assert best(scores, 0) == []

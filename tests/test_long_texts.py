"""Texts of an asked length: RULER's tasks and needles, counted by the model's own tokenizer, at any length."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_stories

from adapters.datasets import open_source
from adapters.datasets.generated import Measure, estimate, tokenizer
from assay.catalog import load_benchmark
from assay.errors import DatasetError, SpecError
from assay.functions import load_functions
from assay.generate_long import Fitter, Haystack, needles, tokens_of
from assay.generate_ruler import TASKS, ruler
from assay.spec import Source

load_functions()
WORDS = [
    a + b + c for a in ("bel", "dor", "fen", "gar") for b in ("ka", "vi", "do") for c in ("n", "st", "m", "rel", "l")
]


@pytest.fixture(scope="module")
def texts() -> list[dict[str, str]]:
    rng = random.Random(1)
    sentences = (" ".join(rng.choices(WORDS, k=9)).capitalize() + "." for _ in range(400))
    return [{"text": " ".join(sentences)}]


SQUAD = [
    {"question": f"What is {n}?", "context": f"Passage {n}. It is called name{n}.", "answers": [{"text": f"name{n}"}]}
    for n in range(30)
]
HOTPOT = [
    {
        "question": f"Who is {n}?",
        "answer": f"person{n}",
        "context": {"title": ["T"], "sentences": [[f"It is person{n}."]]},
    }
    for n in range(30)
]


def words(text: str) -> int:
    return len(text.split())


def made(
    texts: list[dict[str, str]], task: str, tokens: int = 2000, count: int = 3, seed: int = 1
) -> list[dict[str, Any]]:
    given = {"texts": texts, "squad": SQUAD, "hotpot": HOTPOT, "tokens": tokens, "room": 100, "tasks": [task]}
    return list(ruler(random.Random(seed), count, count_tokens=words, **given))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_the_asked_length_and_its_answers(task: str, texts: list[dict[str, str]]) -> None:
    found = made(texts, task)
    assert found == made(texts, task) and found != made(texts, task, seed=2)
    for row in found:
        whole = f"{row['prompt']} {row['prefix']}"
        assert row["length"] == words(whole) <= 1900
        assert 1900 - words(whole) <= 40, "less than a unit lacks"
        assert row["answers"] and all(answer in row["prompt"] for answer in row["answers"])
        assert not any(answer in row["prefix"] for answer in row["answers"])


def test_needles_are_asked_for_by_their_keys(texts: list[dict[str, str]]) -> None:
    for task in TASKS[:8]:
        for row in made(texts, task):
            told = dict[str, list[str]]()
            for key, value in re.findall(r"One of the special magic \w+ for (\S+) is: (\S+)\.", row["prompt"]):
                told.setdefault(key, []).append(value)
            asked = re.split(r", (?:and )?", re.search(r"for (.*?) mentioned", row["prompt"].rpartition("\n")[2])[1])  # type: ignore[index]
            assert sorted(value for key in asked for value in told[key]) == sorted(row["answers"])


def test_the_variables_are_those_of_the_chain(texts: list[dict[str, str]]) -> None:
    for row in made(texts, "vt"):
        *_, asked = re.findall(r"are assigned the value (\d+)", row["prompt"])
        names, given = [], re.findall(r"VAR (\w+) = (?:VAR )?(\w+)", row["prompt"])
        for name, value in given:
            names += [name] if value == asked or value in names else []
        assert names == row["answers"] and len(names) == 5


def test_the_words_are_the_most_frequent_ones(texts: list[dict[str, str]]) -> None:
    for row in made(texts, "cwe"):
        *_, listed = row["prompt"].split("Memorize the ones that appear most often.\n")
        seen = re.findall(r"\d+\. (\S+)", listed)
        most = sorted(set(seen), key=seen.count, reverse=True)
        assert set(most[:10]) == set(row["answers"]) and seen.count(most[9]) > seen.count(most[10])
    for row in made(texts, "fwe"):
        seen = [word for word in row["prompt"].split("\n")[0].split() if re.fullmatch(r"[a-z]{6}", word)]
        most = sorted(set(row["answers"]), key=seen.count, reverse=True)
        assert most == row["answers"]
        assert seen.count(most[2]) >= max(seen.count(word) for word in set(seen) - set(most) - {"frequency"})


def test_a_longer_text_than_there_is_begins_anew(texts: list[dict[str, str]]) -> None:
    (row,) = made(texts, "niah_single_2", tokens=40_000, count=1)
    assert 39_880 <= row["length"] <= 39_900


def test_a_cell_for_each_depth_of_each_length(texts: list[dict[str, str]]) -> None:
    rows = list(
        needles(
            random.Random(1), 12, count_tokens=words, texts=texts, lengths=[300, 900], depths=[0, 25, 50, 75, 90, 100]
        )
    )
    assert [(row["tokens"], row["depth"]) for row in rows] == [
        (n, d) for n in (300, 900) for d in (0, 25, 50, 75, 90, 100)
    ]
    for row in rows:
        context = row["prompt"].split("as follows\n\n")[1].split("\n\nBased on")[0]
        at = context.index("The secret number of")
        assert abs(100 * at / len(context) - row["depth"]) < 12
        assert row["tokens"] - 5 <= words(row["prompt"]) <= row["tokens"]
        assert context.count(row["answers"][0]) == 1
        assert context[:at].strip()[-1:] in (".", "") or row["depth"] == 100


def test_several_needles_and_texts_without_blanks() -> None:
    chinese = [{"context": "今天天气很好。我们去公园散步。" * 40}]
    (row,) = needles(
        random.Random(1), 1, count_tokens=len, texts=chinese, lengths=[400], depths=[50], field="context", blank="",
        several=3, needle="{key}的号码是{value}。", question="{key}的号码是多少？", joint="、", 
        keys=["甲", "乙", "丙", "丁"],
    )  # fmt: skip
    assert len(row["answers"]) == 3 and all(f"是{value}。" in row["prompt"] for value in row["answers"])
    assert 398 <= len(row["prompt"]) <= 400


@pytest.mark.parametrize("build", [lambda n: "a " * n, lambda n: "a " * (n // 7 * 7), lambda n: "a " * int(n**1.1)])
def test_what_fits_is_found_with_a_few_looks(build: Callable[[int], str]) -> None:
    looks: list[int] = []

    def count(text: str) -> int:
        looks.append(1)
        return words(text)

    fitted = Fitter(count).fit("x", build, 50_000)
    assert words(build(fitted.units)) == fitted.tokens and 49_950 <= fitted.tokens <= 50_000
    assert len(looks) <= 12


def test_what_cannot_be_is_told(texts: list[dict[str, str]]) -> None:
    with pytest.raises(DatasetError, match=r"qa_1: wanted 10 tokens, and the shortest text has \d+"):
        made(texts, "qa_1", tokens=110)
    with pytest.raises(SpecError, match=r"task of RULER 'nia_single_1'.*did you mean"):
        made(texts, "nia_single_1")
    with pytest.raises(SpecError, match="such as 4096, 128k or 1m, got '4 k'"):
        tokens_of("4 k")
    with pytest.raises(SpecError, match="wanted texts, got none"):
        Haystack([])
    assert [tokens_of(length) for length in (5, "4k", "1M")] == [5, 4096, 1_048_576]


SOURCE = {
    "name": "ruler",
    "count": 8,
    "options": {
        "tokens": 450,
        "room": 20,
        "texts": {"files": {"path": "hay.txt", "records": 0}},
        "tasks": ["niah_single_2"],
    },
}


@pytest.fixture
def catalog(tmp_path: Path, texts: list[dict[str, str]]) -> Iterator[Path]:
    (tmp_path / "hay.txt").write_text(texts[0]["text"])
    yield tmp_path


def test_texts_come_from_other_sources_and_are_in_the_facts(catalog: Path) -> None:
    source = Source.model_validate({"generated": SOURCE})
    first = open_source([source], [catalog])
    assert first.facts["tokens"] == "4 bytes" and list(first.rows) == list(first.rows)
    assert first.facts["rows of texts"]["source"] == "files"
    (catalog / "hay.txt").write_text("Other words stand here now, and then there are some more of these. " * 200)
    assert open_source([source], [catalog]).facts != first.facts
    counted = open_source([source], [catalog], lambda: Measure("words", words))
    assert counted.facts["tokens"] == "words" and all(words(row["prompt"]) <= 430 for row in counted.rows)
    (catalog / "hay.txt").unlink()
    with pytest.raises(DatasetError, match=r"hay\.txt"):
        open_source([source], [catalog])


@needs_stories
def test_a_tokenizer_by_its_folder(catalog: Path) -> None:
    from conftest import STORIES

    options = {**SOURCE["options"], "tokenizer": str(STORIES), "tokens": 1000}  # type: ignore[dict-item]
    opened = open_source([Source.model_validate({"generated": {**SOURCE, "options": options}})], [catalog])
    count = tokenizer(str(STORIES)).count
    for row in opened.rows:
        assert 970 <= count(f"{row['prompt']} {row['prefix']}") == row["length"] <= 980


def test_options_by_the_name() -> None:
    one = load_benchmark("ruler@chat+tokens=128k+count=3").sources[0].generated
    assert one and one.count == 3 and one.options["tokens"] == "128k" and "squad" in one.options
    assert load_benchmark("ruler@chat+tokens=128k").prompt == load_benchmark("ruler@chat").prompt
    assert load_benchmark("needle_haystack@lengths=[1k, 2k]").sources[0].generated.options["lengths"] == ["1k", "2k"]  # type: ignore[union-attr]
    assert load_benchmark("ruler@tokens=8k").id == "ruler@tokens=8k"
    with pytest.raises(SpecError, match="gsm8k has no generated source"):
        load_benchmark("gsm8k@tokens=8k")
    with pytest.raises(SpecError, match="lenth"):
        list(open_source(load_benchmark("needle_haystack@lenth=8k").sources).rows)


def test_an_estimate_is_four_bytes() -> None:
    assert [estimate().count(text) for text in ("", "abcd", "abcde", "好好")] == [0, 1, 2, 2]

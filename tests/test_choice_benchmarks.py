"""The multiple-choice benchmarks: how many questions, of which subjects, and what is asked, to the letter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import DATA, needs_data

from adapters.datasets import open_source
from assay.catalog import benchmark_ids, load_benchmark
from assay.reading import readings, scorings
from assay.samples import Prepared, demonstrations, loads, samples

COUNTS = {
    "mmlu": (14042, 57), "cmmlu": (11582, 67), "ceval": (1346, 52), "hellaswag": (10042, 1), "arc_easy": (2365, 1),
    "arc_challenge": (1165, 1), "piqa": (1838, 1), "winogrande": (1267, 1), "boolq": (3270, 1),
    "commonsenseqa": (1221, 1), "truthfulqa": (790, 1),
}  # fmt: skip
OURS = [id for id in benchmark_ids() if id.partition("@")[0] in COUNTS]


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(DATA))


def prepared(id: str) -> Iterator[Prepared]:
    benchmark = load_benchmark(id)
    return samples(benchmark, open_source(benchmark.sources).rows)


@needs_data
@pytest.mark.parametrize("name", COUNTS)
def test_every_question_is_there_once(name: str) -> None:
    keys, groups, targets = set(), Counter[str](), Counter[Any]()
    for one in prepared(name):
        keys.add(one.sample_key)
        groups[one.grp] += 1
        targets[loads(one.fields)["target"]] += 1
    assert (len(keys), len(groups)) == COUNTS[name]
    assert groups.total() == len(keys)
    if name != "truthfulqa":  # there the right choice is the first, as in lm-eval's data
        assert max(targets.values()) < 0.65 * len(keys), "the right choices are spread over the places"


@needs_data
def test_subjects_have_their_own_examples_and_sizes() -> None:
    sizes = Counter(one.grp for one in prepared("mmlu"))
    assert (sizes["abstract_algebra"], sizes["professional_law"], sizes["moral_scenarios"]) == (100, 1534, 895)
    for name in ("mmlu", "cmmlu"):
        benchmark = load_benchmark(name)
        assert benchmark.prompt.fewshot
        pool = demonstrations(benchmark, open_source(benchmark.prompt.fewshot.sources).rows)
        assert set(map(len, pool.values())) == {5} and len(pool) == COUNTS[name][1]


@needs_data
def test_hellaswag_gives_a_capital_to_what_was_begun() -> None:
    changed = other = 0
    for one in prepared("hellaswag"):
        sample = loads(one.fields)
        assert sample["query"].lower() == sample["input"].lower()
        changed += sample["query"] != sample["input"]
        other += sample["query"] == sample["input"] and not re.search(r"[.!?][\"\u201d)\]]*$", sample["input"])
    assert (changed, other) == (3236, 7), "docs/data.md says how many"


def test_a_question_is_the_same_sample_however_it_is_asked() -> None:
    for id in OURS:
        same = load_benchmark(id).sample == load_benchmark(id.partition("@")[0]).sample
        assert same or id.startswith("truthfulqa@"), "only truthfulqa asks about other choices"


def test_figures_are_as_published() -> None:
    def shown(id: str) -> list[str]:
        return [one.shown for one in scorings(load_benchmark(id))]

    assert shown("mmlu") == ["acc"] and shown("cmmlu") == shown("arc_easy") == shown("hellaswag") == ["acc", "acc_norm"]
    assert shown("truthfulqa@mc2") == ["mc2"] and shown("boolq@ppl") == ["acc_ppl"] and shown("piqa@gen") == ["acc"]
    assert load_benchmark("mmlu").aggregate == "micro" and load_benchmark("mmlu@ppl").aggregate == "macro"
    assert all(reading.chain for id in OURS for reading in readings(load_benchmark(id)))

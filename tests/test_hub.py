"""Rows from the Hugging Face hub: a folder of such a data set, a hub out of reach, commits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.datasets import hub, open_source
from assay.catalog import benchmark_ids, load_benchmark
from assay.errors import DatasetError
from assay.lock import read_lock
from assay.samples import samples
from assay.spec import Benchmark, Source

ROWS = [{"q": "2 + 2?", "label": 1, "choices": ["3", "4"]}, {"q": "“1 + 1?”", "label": 0, "choices": ["2", "3"]}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue with a data set as the hub has it, and the same rows as a file."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(hub, "reachable", lambda: False)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    catalog = tmp_path / "catalog"
    for name in ("sums.jsonl", "org/sums/test.jsonl"):
        (catalog / name).parent.mkdir(parents=True, exist_ok=True)
        (catalog / name).write_text(lines)
    return catalog


def hub_source(path: str, **more: str) -> Source:
    return Source.model_validate({"hub": {"path": path, "split": "test", **more}})


def test_a_folder_as_the_hub_has_it(folder: Path) -> None:
    found = open_source([hub_source("org/sums")], [folder])
    assert list(found.rows) == list(found.rows) == ROWS
    assert found.facts["source"] == "hub" and len(found.facts["revision"]) == 64
    assert str(folder) not in json.dumps(found.facts)


def test_two_sources_give_the_same_sample_keys(folder: Path) -> None:
    source = Source.model_validate({"files": {"path": "sums.jsonl"}})
    benchmark = Benchmark.model_validate(
        {"name": "sums", "dimension": "reasoning", "sources": [source, hub_source("org/sums")]}
        | {"sample": {"input": "q", "target": "label", "choices": "choices"}, "score": ["acc"]}
    )
    first = open_source(benchmark.sources, [folder])
    from_file = list(samples(benchmark, first.rows))
    (folder / "sums.jsonl").unlink()
    second = open_source(benchmark.sources, [folder])
    assert (first.facts["source"], second.facts["source"]) == ("files", "hub")
    assert list(samples(benchmark, second.rows)) == from_file
    assert len({sample.sample_key for sample in from_file}) == 2


def test_a_split_that_is_not_there(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"org/sums/train cannot be had.*train"):
        open_source([Source.model_validate({"hub": {"path": "org/sums", "split": "train"}})], [folder])


def test_a_hub_out_of_reach_is_told_and_the_next_source_taken(folder: Path) -> None:
    away = hub_source("org/away", revision="c0ffee")
    with pytest.raises(DatasetError, match="the hub's org/away/test at c0ffee cannot be had"):
        open_source([away], [folder])
    here = Source.model_validate({"files": {"path": "sums.jsonl"}})
    assert open_source([away, here], [folder]).source == here


def test_an_unpinned_data_set_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"org/away is pinned to no commit: .*datasets\.lock"):
        open_source([hub_source("org/away")], [folder])


def test_commits_come_from_the_source_or_the_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    def load(path: str, source: object, revision: str | None) -> list[dict[str, object]]:
        asked.append((path, revision))
        return list(ROWS)

    monkeypatch.setattr(hub, "_load", load)
    pinned = read_lock().revisions["openai/gsm8k"]
    assert open_source([hub_source("openai/gsm8k", name="main")]).facts["revision"] == pinned
    assert open_source([hub_source("openai/gsm8k", revision="abc")]).facts["revision"] == "abc"
    assert asked == [("openai/gsm8k", pinned), ("openai/gsm8k", "abc")]


def test_what_our_benchmarks_want_of_the_hub_is_pinned() -> None:
    pinned = read_lock().revisions
    for benchmark in map(load_benchmark, benchmark_ids()):
        fewshot = benchmark.prompt.fewshot
        for source in (*benchmark.sources, *(fewshot.sources if fewshot else ())):
            assert not source.hub or source.hub.revision or source.hub.path in pinned, benchmark.id


def test_out_of_reach_only_while_it_is_asked(folder: Path) -> None:
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    with hub._offline(True):
        assert constants.HF_HUB_OFFLINE is True
    assert before == constants.HF_HUB_OFFLINE


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    hub.reachable.cache_clear()
    try:
        assert hub.reachable() is False
    finally:
        hub.reachable.cache_clear()

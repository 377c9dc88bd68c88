"""Rows of the hub's data sets, made by a test with the very columns and types that are there, and what comes of them.

`datasets` reads them from a folder as the hub has it. A file of tests imports the three tests from here, beside a
fixture `made` of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from test_every_benchmark import RECORD, _answer, _choose, _scores

from adapters.datasets import hub
from assay.catalog import benchmark_ids, load_benchmark
from assay.prompt import Prompter
from assay.spec import Benchmark, HubSource
from assay.types import Reply
from tasks.preview import Preview, preview, written


@dataclass(frozen=True)
class Made:
    """Rows of a data set's own form, and what has to come of them."""

    asked: str
    """A part of the first prompt."""
    right: Sequence[str]
    """What is right, of each row, as the benchmark's default writes it."""
    rows: Sequence[Mapping[str, Any]] = ()
    types: Mapping[str, Any] | None = None
    """On the hub: each column's type, a list of names for a ClassLabel. None: a file of the user's own."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Or the files of the user's own, as they are."""


def feature(kind: Any) -> Any:
    from datasets import ClassLabel, List, Value

    if isinstance(kind, dict):
        return {name: feature(inner) for name, inner in kind.items()}
    if isinstance(kind, list):
        return List(feature(kind[1])) if kind[0] == "list" else ClassLabel(names=kind)
    return Value(kind)


def laid_out(name: str, rows: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue folder in which the rows of a benchmark lie."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(hub, "reachable", lambda: False)
    source = load_benchmark(name).sources[-1]
    if rows.files:
        for place, text in rows.files.items():
            (tmp_path / "catalog" / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "catalog" / place).write_text(text, encoding="utf-8")
    elif source.hub:
        _as_on_the_hub(tmp_path / "catalog", hub_sources(name), rows)
    elif rows.types is not None:
        assert source.files
        _rows_of(rows).to_parquet(tmp_path / "catalog" / source.files.path)
    else:
        assert source.files and rows.types is None
        path = tmp_path / "catalog" / source.files.path
        path.parent.mkdir(parents=True)
        listed = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows.rows)
        path.write_text(listed if source.files.format == "jsonl" else json.dumps(rows.rows), encoding="utf-8")
    return tmp_path / "catalog"


def hub_sources(name: str) -> list[HubSource]:
    """The hub's data sets that a benchmark and its variants name, those of their examples too; of one path each."""
    found: dict[tuple[str | None, str], HubSource] = {}
    for benchmark in variants(name):
        fewshot = benchmark.prompt.fewshot
        for source in (*benchmark.sources, *(fewshot.sources[-1:] if fewshot else ())):
            if source.hub:
                found[source.hub.name, source.hub.split] = source.hub
    return list(found.values())


def _rows_of(made: Made) -> Any:
    """The rows with their types, as a data set."""
    from datasets import Dataset, Features

    assert made.types is not None
    features = Features({column: feature(kind) for column, kind in made.types.items()})
    return Dataset.from_list([dict(row) for row in made.rows], features=features)


def _as_on_the_hub(folder: Path, sources: Sequence[HubSource], made: Made) -> None:
    """Folders with a card that names the subsets and their splits, and the same rows in each as parquet with types."""
    rows = _rows_of(made)
    by_path: dict[str, dict[str, list[str]]] = {}
    for source in sources:
        subset, split = source.name or "default", source.split
        by_path.setdefault(source.path, {}).setdefault(subset, []).append(
            f"{{split: {split}, path: {subset}/{split}-*}}"
        )
        rows.to_parquet(folder / source.path / subset / f"{split}-00000-of-00001.parquet")
    for path, subsets in by_path.items():
        listed = ", ".join(f"{{config_name: {one}, data_files: [{', '.join(all_)}]}}" for one, all_ in subsets.items())
        (folder / path / "README.md").write_text(f"---\nconfigs: [{listed}]\n---\n")


def variants(name: str) -> list[Benchmark]:
    """A benchmark and its variants, without the source that is at hand, where it has one."""
    ids = [id_ for id_ in benchmark_ids() if id_.partition("@")[0] == name]
    return [b.model_copy(update={"sources": b.sources[-1:]}) for b in map(load_benchmark, ids)]


def shown(benchmark: Benchmark, catalog: Path) -> list[Preview]:
    return list(preview(benchmark, [catalog]))


def right(benchmark: Benchmark, one: Preview) -> str:
    """What is right, as the benchmark writes it."""
    if benchmark.kind == "generate":
        return Prompter(benchmark).answer(one.sample)
    return [text for _, text in Prompter(benchmark).choices(one.sample)][one.sample["target"]]


def has_gold(one: Preview) -> bool:
    """Whether anything is right by itself: what a judge is asked about may have nothing of the kind."""
    return one.sample["target"] is not None


def test_rows_of_the_real_form_are_asked_as_they_should_be(made: tuple[str, Made, Path]) -> None:
    name, rows, catalog = made
    default, *_ = variants(name)
    found = shown(default, catalog)
    assert [right(default, one) for one in found if has_gold(one)] == list(rows.right)
    messages = json.loads(found[0].asks[0].messages)
    assert rows.asked in messages[-1]["content"]


def test_the_right_answer_scores_one_and_a_wrong_one_less(made: tuple[str, Made, Path]) -> None:
    name, _, catalog = made
    for benchmark in variants(name):
        for one in filter(has_gold, shown(benchmark, catalog)):
            if benchmark.kind == "generate":
                best, worst = _answer(benchmark, right(benchmark, one)), Reply(text="quite another thing")
            else:
                best, worst = _choose(benchmark, one, True), _choose(benchmark, one, False)
            scored = _scores(benchmark, one, best)
            assert scored == pytest.approx(dict.fromkeys(scored, 1.0)) and scored, (benchmark.id, one.sample)
            assert all(value < 1 for value in _scores(benchmark, one, worst).values()), (benchmark.id, one.sample)


def test_the_first_prompt_is_on_record(made: tuple[str, Made, Path]) -> None:
    name, _, catalog = made
    for benchmark in variants(name) if len(load_benchmark(name).sources) == 1 else []:  # else real rows are at hand
        text, path = written(benchmark, shown(benchmark, catalog)[0]), RECORD / f"{benchmark.id}.txt"
        if os.environ.get("ASSAY_RECORD"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text

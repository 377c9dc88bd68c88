"""Every benchmark has as many questions as upstream publishes, each once, and says where they are from."""

from __future__ import annotations

import pytest
from conftest import DATA, needs_data

from adapters.datasets import open_source
from adapters.datasets.files import pinned_names
from assay.catalog import benchmark_ids, load_benchmark
from assay.functions import load_functions
from assay.lock import read_lock
from assay.samples import samples

load_functions()
NAMES = [name for name in benchmark_ids() if "@" not in name]
LOCK = read_lock()
OF_FILES = [
    name for name in NAMES if any(one.files and pinned_names(one.files, LOCK) for one in load_benchmark(name).sources)
]


@needs_data
@pytest.mark.parametrize("name", OF_FILES)
def test_every_question_is_there_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(DATA))
    benchmark = load_benchmark(name)
    keys = [one.sample_key for one in samples(benchmark, open_source(benchmark.sources).rows)]
    assert len(keys) == len(set(keys)) == benchmark.questions


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_from_where(name: str) -> None:
    benchmark = load_benchmark(name)
    assert benchmark.about
    if not all(source.generated for source in benchmark.sources):
        assert benchmark.licence and benchmark.paper.startswith("https://")
        assert benchmark.questions or name in ("model_written_evals", "safety_prompts"), "as many as a user has"

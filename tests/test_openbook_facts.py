"""OpenBookQA with the fact of the book that a question is about, from the released file as OpenCompass reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_every_benchmark import _answer, _choose, _scores

from assay.catalog import load_benchmark
from assay.prompt import Prompter
from tasks.preview import preview

ROW = {
    "id": "8-343",
    "question": {
        "stem": "What do bees help to make?",
        "choices": [{"text": t, "label": x} for t, x in zip(["stone", "fruit", "rain", "sand"], "ABCD", strict=True)],
    },
    "fact1": "bees pollinate flowers",
    "humanScore": "1.00",
    "clarity": "2.00",
    "turkIdAnonymized": "b356d338b7",
    "answerKey": "B",
}


@pytest.mark.parametrize("name", ["openbookqa@fact", "openbookqa@fact_ppl"])
def test_the_fact_stands_in_front_of_the_question(name: str, tmp_path: Path) -> None:
    benchmark = load_benchmark(name)
    path = tmp_path / benchmark.sources[0].files.path  # type: ignore[union-attr]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    (one,) = preview(benchmark, [tmp_path])
    assert json.loads(one.asks[0].messages)[-1]["content"] == (
        "Given the fact: bees pollinate flowers\nQuestion: What do bees help to make?\n"
        "A. stone\nB. fruit\nC. rain\nD. sand\nAnswer:"
    )
    if benchmark.kind == "generate":
        right, wrong = _answer(benchmark, Prompter(benchmark).answer(one.sample)), _answer(benchmark, "C")
    else:
        right, wrong = _choose(benchmark, one, True), _choose(benchmark, one, False)
    assert _scores(benchmark, one, right) != _scores(benchmark, one, wrong)
    assert set(_scores(benchmark, one, right).values()) == {1.0}

"""Recipes, rows and files that are wrong, or that a model cannot answer: told before anything is loaded or asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROWS, SUMS, Told, evaluate


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"promt": {}}, "no key of a benchmark 'promt'; did you mean prompt?"),
        ({"prompt": {"tamplate": "x"}}, "prompt.tamplate"),
        ({"dimension": "reason"}, "dimension: Input should be 'knowledge'"),
        ({"prompt": {"template": "{{ quest }} = "}}, "quest"),
        ({"prompt": {"template": "{{ input = "}}, "{{ input = "),
        ({"sample": {"input": "questoin", "target": "answer"}}, "questoin"),
        ({"sample": {"input": "{{ question | twice }}", "target": "answer"}}, "twice"),
        ({"where": "{{ nothing.at.all }}"}, "nothing"),
        ({"sources": [{"files": {"path": "nowhere.jsonl"}}]}, "nowhere.jsonl"),
        ({"sources": [{"generated": {"name": "nedle"}}]}, "did you mean needle or needles?"),
        ({"sources": [{"generated": {"name": "needle", "options": {"depht": 1}}}]}, "depht"),
        ({"sources": []}, "sources: Tuple should have at least 1 item"),
        ({"extract": ["last_numbr"]}, "no extractor 'last_numbr'; did you mean last_number or "),
        ({"extract": [{"last_number": {"deep": 1}}]}, "extractor last_number: got an unexpected keyword"),
        ({"extract": [{"regex": {"pattern": "("}}]}, "pattern"),
        ({"score": ["number_mach"]}, "no scorer 'number_mach'; did you mean number_match"),
        ({"score": [{"number_match": {"tolerence": 1}}]}, "scorer number_match: got an unexpected keyword"),
        ({"score": [{"number_match": {"metric": {"mean": {"wheel": 1}}}}]}, "metric mean: got an unexpected keyword"),
        ({"score": []}, "score: Tuple should have at least 1 item"),
        ({"metrics": ["maen"]}, "no metric 'maen'; did you mean mean or "),
        ({"metrics": [{"mean": {"wheel": 1}}]}, "metric mean: got an unexpected keyword"),
        ({"solver": "reconsidr"}, "no solver 'reconsidr'; did you mean reconsider?"),
        ({"solver": {"reconsider": {"hard": 1}}}, "solver reconsider: got an unexpected keyword"),
        ({"prompt": {"fewshot": {"from": "self", "retriever": "fixd", "k": 1}}}, "did you mean fixed?"),
        ({"prompt": {"fewshot": {"from": "self", "k": 1, "options": {"deep": 1}}}}, "retriever fixed: got an unexp"),
        ({"prompt": {"fewshot": {"from": "nowhere.jsonl", "k": 1}}}, "nowhere.jsonl"),
        ({"sampling": {"stop": [""]}}, "an empty stop string would end every answer"),
        ({"sampling": {"max_token": 3}}, "sampling.max_token"),
        ({"kind": "loglikelihood"}, "choices"),
        ({"kind": "loglikelihood", "choices": ["a", "b"], "score": ["acc"]}, "target"),
        ({"kind": "rolling", "score": ["acc"]}, "choice_sums wants kind loglikelihood or choice, and this asks f"),
        ({"needs": ["token_logprops"]}, "token_logprops"),
        ({"group": "knid"}, "knid"),
        ({"cluster": "knid"}, "knid"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_recipes(told: Told, own: Path, change: dict[str, Any], words: str) -> None:
    (own / "sums.yaml").write_text(yaml.safe_dump(SUMS | change))
    message = told(*evaluate(own))
    assert words in message
    assert "sums" in message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("sums.yaml", "dimension: [reasoning\nscore: x", "sums.yaml"),
        ("sums.yaml", "- a\n- b\n", "sums.yaml"),
        ("sums.yaml", "", "sums.yaml"),
        ("sums.yaml", b"\xff\xfe\x00", "sums.yaml"),
        ("sums.jsonl", "", "sums: the source has no rows"),
        ("sums.jsonl", '{"question": "1 + 1", "answer"\n', "sums.jsonl"),
        ("sums.jsonl", '["not", "a", "map"]\n', "sums: sample.input wants the column 'question'; the row has 'value'"),
        ("datasets.lock", f"sums.jsonl\t{'0' * 64}\t{len(ROWS)}\n", "SHA-256"),
        ("broken.py", "raise RuntimeError('not today')\n", "broken.py: RuntimeError: not today"),
        ("models.yaml", "mine: 7\n", "mine: wanted {adapter: …, path: …}, got 7"),
        ("models.yaml", "mine: {adapter: echo, path: oracle, wheel: 3}\n", "no key of a model 'wheel'"),
        ("gsm8k.yaml", yaml.safe_dump(SUMS), "two benchmarks are named gsm8k"),
    ],
)
def test_files(told: Told, own: Path, name: str, content: str | bytes, words: str) -> None:
    (own / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    model = "mine" if name == "models.yaml" else "echo:oracle"
    message = told(*evaluate(own, model=model))
    assert words in message


def test_a_corrupt_file_is_told_with_both_digests(told: Told, own: Path) -> None:
    wanted = hashlib.sha256(b"other").hexdigest()
    (own / "datasets.lock").write_text(f"sums.jsonl\t{wanted}\t{len(ROWS)}\n")
    message = told(*evaluate(own))
    assert wanted[:8] in message and hashlib.sha256(ROWS.encode()).hexdigest()[:8] in message


def test_what_a_model_cannot_answer(told: Told, own: Path) -> None:
    (own / "models").mkdir()
    (own / "models" / "shy.py").write_text(
        "from assay.types import ModelInfo\n\n"
        "def describe(spec):\n    return ModelInfo(identity={'shy': spec.path}, kinds=frozenset({'loglikelihood'}))\n\n"
        "def load(spec):\n    raise RuntimeError('nothing is loaded before all is checked')\n"
    )
    assert told(*evaluate(own, model="shy:x")) == "sums asks for generate, and shy:x can loglikelihood"
    (own / "sums.yaml").write_text(yaml.safe_dump(SUMS | {"kind": "loglikelihood", "needs": ["prompt_sums"]}))
    assert told(*evaluate(own, model="shy:x")) == "sums needs prompt_sums, and shy:x gives no extras"

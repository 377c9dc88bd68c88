"""Whole runs of what is read and scored apart: reasoning, rotations, several answers, a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay.catalog import make_spec
from flows.running import run_spec
from storage.ledger import Ledger

pytestmark = pytest.mark.usefixtures("prefect_server")

SUMS = """
# Sums of two numbers.
dimension: reasoning
sources: [{files: {path: rows.jsonl}}]
sample: {input: question, choices: choices, target: place, said: answer}
prompt: {template: "{{ input }}"}
extract: [last_number]
score: [number_match: {gold: said}]
variants:
  drawn:
    sampling: {temperature: 1.0, replicas: 4}
    score: [number_match: {gold: said, as: pass_2, metric: {pass_at_k: {k: 2}}}]
  letters:
    prompt: {template: "{{ input }}\\n{% for text in choices %}{{ 'ABC'[loop.index0] }}. {{ text }}\\n{% endfor %}"}
    extract: [first_option]
    score: [option: {as: acc}]
  corpus:
    extract: [stripped]
    score: [corpus_text: {gold: said, as: bleu, metric: {bleu: {tokenize: none}}}]
"""
ROWS = [
    {"question": f"{i} + 1", "answer": str(i + 1), "choices": [str(i), str(i + 1), str(i + 2)], "place": 1}
    for i in range(1, 5)
]
SAYS = [
    {"pattern": "^1 ", "answer": "<think>1 + 1 is 3, no</think>\nIt is 2"},
    {"pattern": "^2 ", "answer": "<think>so it is 3, but"},
    {"pattern": "^3 ", "answer": "it is 4, I thought</think>5"},
    {"pattern": "^4 ", "answer": "A"},
]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with one run of all variants by a model that thinks aloud."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "catalog").mkdir()
    (folder / "catalog" / "sums.yaml").write_text(SUMS)
    (folder / "catalog" / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    model = {"adapter": "echo", "path": "scripted", "name": "thinker", "options": {"answers": SAYS}}
    spec: dict[str, Any] = {"models": [model], "catalog": [str(folder / "catalog")]}
    spec["benchmarks"] = ["sums", "sums@drawn", "sums@letters+circular", "sums@corpus"]
    assert run_spec(make_spec(spec), folder / "l.duckdb") == 0
    return folder / "l.duckdb"


def rows(ledger: Path, query: str) -> list[tuple[Any, ...]]:
    with Ledger(ledger).read() as con:
        found: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return found


def test_reasoning_is_not_read_and_where_it_was_cut_off_the_ledger_says_so(ledger: Path) -> None:
    query = (
        "SELECT p.value, p.status, c.text LIKE '%think%' FROM steps z JOIN predictions p ON p.predicted = z.step_key"
        " JOIN lineage c ON c.sample_key = p.sample_key AND c.benchmark = z.benchmark"
        " WHERE z.step = 'postprocess' AND z.benchmark = 'sums' ORDER BY p.ordinal"
    )
    assert rows(ledger, query) == [
        ('"2"', "ok", True), (None, "truncated", True), ('"5"', "ok", True), (None, "none", False),
    ]  # fmt: skip
    causes = "SELECT problem, cause FROM problems WHERE benchmark = 'sums' ORDER BY cause"
    assert rows(ledger, causes) == [
        ("not extracted", "filter '':  (none)"), ("not extracted", "filter '':  (truncated)"),
    ]  # fmt: skip


def test_figures_of_what_is_asked_and_scored_apart(ledger: Path) -> None:
    found = {(b, m): v for b, m, v in rows(ledger, "SELECT benchmark, metric, value FROM leaderboard")}
    assert found["sums", "number_match"] == 0.25 and found["sums@drawn", "pass_2"] == 0.25
    turned = {metric: value for (name, metric), value in found.items() if name == "sums@letters+circular"}
    assert turned["acc"] == pytest.approx(1 / 12) and turned["perfect"] == 0  # A is right in one of three rotations
    assert turned["prior_A"] == pytest.approx(3 / 12) and turned["more_1"] == 0.25 and turned["vote"] == 0
    assert 0 <= found["sums@corpus", "bleu"] < 1


def test_the_rotations_of_a_question_are_a_cluster(ledger: Path) -> None:
    query = "SELECT count(*), count(DISTINCT cluster) FROM samples WHERE json_exists(fields, '$.circular')"
    assert rows(ledger, query) == [(12, 4)]
    assert rows(ledger, "SELECT n FROM metrics WHERE benchmark = 'sums@letters+circular' AND metric = 'acc'") == [(12,)]

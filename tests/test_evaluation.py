"""Whole evaluations through the flow, on models that cost nothing, against a real Prefect server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA

from assay.catalog import load_suite, make_spec
from flows.running import run_spec
from storage.ledger import Ledger
from tasks.columns import Columns
from tasks.context import Run

pytestmark = pytest.mark.usefixtures("prefect_server")

OWN = """
# Sums of two numbers.
dimension: reasoning
sources: [{files: {path: sums.jsonl}}]
sample: {input: question, target: answer}
group: kind
prompt: {template: "{{ input }} = "}
extract: [last_number]
score: [number_match]
variants:
  twice: {solver: reconsider}
  drawn: {sampling: {temperature: 1.0, replicas: 3}}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalogue with a benchmark of twenty sums in two groups."""
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "sums.yaml").write_text(OWN)
    rows = [{"question": f"{i} + {i % 3}", "answer": str(i + i % 3), "kind": ["even", "odd"][i % 2]} for i in range(20)]
    (folder / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def run(ledger: Path, catalog: Path | None = None, refresh: bool = False, **spec: Any) -> tuple[int, str]:
    """The exit code of an evaluation and the run's id."""
    if catalog:
        spec["catalog"] = [str(catalog)]
    code = run_spec(make_spec(spec), ledger, refresh=refresh)
    return code, rows(ledger, "SELECT run_id FROM runs ORDER BY created DESC LIMIT 1")[0][0]


def rows(ledger: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with Ledger(ledger).read() as con:
        found: list[tuple[Any, ...]] = con.execute(query, list(values)).fetchall()
    return found


def figures(ledger: Path, run_id: str) -> dict[tuple[str, str, str], float]:
    found = rows(ledger, "SELECT model, benchmark, metric, value FROM leaderboard WHERE run_id = ?", run_id)
    return {row[:3]: row[3] for row in found}


def test_every_benchmark_goes_through_and_a_second_time_nothing_is_asked(tmp_path: Path) -> None:
    ids = [*load_suite("mini"), *(load_suite("base_full") if DATA is not None else ())]
    ledger = tmp_path / "l.duckdb"
    code, first = run(ledger, models=["echo:oracle"], benchmarks=ids, limit=1)
    assert code == 0
    assert {b for _, b, _ in figures(ledger, first)} == set(ids)
    answers = rows(ledger, "SELECT count(*), max(created) FROM completions")
    assert answers[0][0] > len(ids) / 2
    code, second = run(ledger, models=["echo:oracle"], benchmarks=ids, limit=1)
    assert code == 0 and second != first
    assert rows(ledger, "SELECT count(*), max(created) FROM completions") == answers
    assert rows(ledger, "SELECT requests = cached, output_tokens FROM cost WHERE run_id = ?", second) == [(True, 0)]
    assert figures(ledger, second) == figures(ledger, first)
    for table in ("samples", "asked", "predictions", "scores"):  # what was there is linked, not made again
        key = {"samples": "prepared", "asked": "prompted", "predictions": "predicted", "scores": "scored"}[table]
        doubled = f"SELECT count(*) FROM (SELECT ordinal FROM {table} GROUP BY ALL HAVING count(*) > 1)"
        assert rows(ledger, doubled.replace("ordinal FROM", f"{key}, COLUMNS(*) FROM")) == [(0,)]
    assert rows(ledger, "SELECT count(*) FROM lineage WHERE text IS NULL AND len(sums) = 0") == [(0,)]


def test_two_models_are_told_apart_and_groups_are_counted(tmp_path: Path, catalog: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    code, run_id = run(ledger, catalog, models=["echo:oracle", "echo:echo"], benchmarks=["sums"], limit=4)
    assert code == 0
    assert figures(ledger, run_id)["echo:oracle", "sums", "number_match"] == 1
    assert figures(ledger, run_id)["echo:echo", "sums", "number_match"] < 1
    found = rows(ledger, "SELECT aggregation, grp, n FROM metrics WHERE run_id = ? ORDER BY ALL", run_id)
    assert sorted(set(found)) == [("group", "even", 4), ("group", "odd", 4), ("macro", "", 8), ("micro", "", 8)]


def test_a_solver_asks_a_second_question_about_the_first_answer(tmp_path: Path, catalog: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    script = {
        "adapter": "echo",
        "path": "scripted",
        "options": {"answers": {"Are you sure? Answer again.": "7"}, "default": "3"},
    }
    code, run_id = run(ledger, catalog, models=[script], benchmarks=["sums@twice"])
    assert code == 0
    assert figures(ledger, run_id) == {("echo:scripted", "sums@twice", "number_match"): 1 / 20}  # 6 + 0, 5 + 2, 6 + 1 …
    asked = rows(
        ledger, "SELECT round, count(*), count(DISTINCT sample_key) FROM run_requests GROUP BY round ORDER BY round"
    )
    assert asked == [(0, 20, 20), (1, 20, 20)]
    (messages,) = rows(ledger, "SELECT messages FROM lineage WHERE round = 1 ORDER BY ordinal LIMIT 1")[0]
    assert [m["content"] for m in json.loads(messages)] == ["0 + 0 = ", "3", "Are you sure? Answer again."]
    before = rows(ledger, "SELECT count(*) FROM completions")
    assert run(ledger, catalog, models=[script], benchmarks=["sums@twice"])[0] == 0
    assert rows(ledger, "SELECT count(*) FROM completions") == before


def test_what_fails_is_a_row_with_its_cause_and_is_asked_again_by_the_next_run(tmp_path: Path, catalog: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    rules = [{"pattern": r"^1\d \+", "error": "the server is tired"}, {"pattern": ".", "answer": "2"}]
    rude = {"adapter": "echo", "path": "scripted", "options": {"answers": rules}}
    code, run_id = run(ledger, catalog, models=[rude], benchmarks=["sums"])
    assert code == 1
    told = rows(ledger, "SELECT n, n_errors FROM leaderboard WHERE run_id = ?", run_id)
    assert told == [(10, 10)]
    assert rows(ledger, "SELECT problem, cause, count(*) FROM problems WHERE run_id = ? GROUP BY ALL", run_id) == [
        ("request failed", "the server is tired", 10)
    ]
    assert run(ledger, catalog, models=[rude], benchmarks=["sums"])[0] == 1
    assert rows(ledger, "SELECT count(*) FROM failures") == [(20,)]
    assert rows(ledger, "SELECT count(*) FROM completions") == [(10,)]


def test_refresh_asks_again_and_the_newer_answers_count(tmp_path: Path, catalog: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    run(ledger, catalog, models=["echo:oracle"], benchmarks=["sums"])
    before = rows(ledger, "SELECT max(created) FROM completions")[0][0]
    code, _ = run(ledger, catalog, refresh=True, models=["echo:oracle"], benchmarks=["sums"])
    assert code == 0
    assert rows(ledger, "SELECT count(*), min(created) > ? FROM completions", before) == [(20, True)]


def test_drawn_answers_have_a_seed_each_and_a_sample_is_a_cluster(tmp_path: Path, catalog: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    code, run_id = run(ledger, catalog, models=["echo:random"], benchmarks=["sums@drawn"], seed=5)
    assert code == 0
    assert rows(ledger, "SELECT count(*), count(DISTINCT seed), count(DISTINCT completion_key) FROM run_requests") == [
        (60, 60, 60)
    ]
    assert rows(ledger, "SELECT n, n_errors FROM leaderboard WHERE run_id = ?", run_id) == [(60, 0)]
    run(ledger, catalog, models=["echo:random"], benchmarks=["sums@drawn"], seed=6)
    assert rows(ledger, "SELECT count(*) FROM completions") == [(120,)]


def test_a_benchmark_that_cannot_go_on_is_named_and_the_others_go_on(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "l.duckdb"
    broken = OWN.replace("number_match", "shy").split("variants")[0]
    (catalog / "broken.yaml").write_text(broken)
    (catalog / "shy.py").write_text(
        "from assay.score import scorer\n\n@scorer\ndef shy(value, sample):\n    raise RuntimeError('not today')\n"
    )
    code, run_id = run(ledger, catalog, models=["echo:oracle"], benchmarks=["broken", "sums"])
    assert code == 1
    assert list(figures(ledger, run_id)) == [("echo:oracle", "sums", "number_match")]
    assert "not today" in capsys.readouterr().err
    [(problem, cause)] = rows(ledger, "SELECT problem, cause FROM problems WHERE run_id = ?", run_id)
    assert problem == "step failed" and "shy" in cause and "broken" in cause


@pytest.mark.parametrize("cut", ["samples", "asked", "predictions", "scores"])
def test_a_step_that_is_cut_off_in_the_middle_is_made_anew_and_nothing_is_there_twice(
    tmp_path: Path, catalog: Path, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, spec = tmp_path / "l.duckdb", {"models": ["echo:oracle"], "benchmarks": ["sums"]}
    for module in ("assay.chunks", "tasks.prompt", "tasks.replies", "tasks.score", "tasks.prepare"):
        monkeypatch.setattr(f"{module}.CHUNK", 6)  # so that there is a middle
    put, insert = Run.put, Columns.insert
    done: list[str] = []

    def once(table: str) -> None:
        done.append(table)
        if done.count(cut) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "put", lambda self, table, *rest: (once(table), put(self, table, *rest)))
        patch.setattr(Columns, "insert", lambda self, *rest, **more: (once("asked"), insert(self, *rest, **more)))
        assert run_spec(make_spec({**spec, "catalog": [str(catalog)]}), ledger) == 130
    assert rows(ledger, "SELECT state FROM runs") == [("interrupted",)]
    assert run(ledger, catalog, **spec)[0] == 0
    assert rows(ledger, "SELECT state, (SELECT min(value) FROM leaderboard) FROM runs") == [("done", 1.0)]
    for table in ("samples", "asked", "predictions", "scores", "completions", "requests"):
        assert rows(ledger, f"SELECT count(*) FROM {table}") == [(20,)]

"""Every view and every written question, on a ledger small enough to count by hand.

Two runs of one model on two benchmarks: three samples of `sums` (generated; one wrong, one failed) and one of
`pick@cot` (choices, scored by two filters). The second run finds all of the first one's answers.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from assay.keys import digest
from storage.ledger import Ledger

QUERIES = sorted((Path(__file__).parent.parent / "storage" / "queries").glob("*.sql"))
MODEL, GREEDY = digest(b"model"), digest(b"greedy")
DAY = datetime(2026, 1, 1)


def request(name: str) -> str:
    return digest(name.encode())


def completion(name: str) -> str:
    return digest((request(name) + MODEL + GREEDY + "0").encode())


def rows(con: Any, table: str, *values: tuple[Any, ...]) -> None:
    """Put in the columns that a table began with; those that came later stay empty."""
    first = con.table(table).columns[: len(values[0])]
    con.executemany(f"INSERT INTO {table} ({', '.join(first)}) VALUES ({', '.join('?' * len(first))})", values)


def answer(name: str, text: str | None, sums: list[float], truncated: int, run: str) -> tuple[Any, ...]:
    return (
        completion(name), request(name), MODEL, GREEDY, 0, text, sums, [1] * len(sums), [True] * len(sums), [], [], [],
        "stop", 10, 5, truncated, DAY, run,
    )  # fmt: skip


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    ledger = Ledger(tmp_path_factory.mktemp("views") / "l.duckdb")
    with ledger.write() as con:
        for day, run in enumerate(["first", "second"], 1):
            con.execute(
                "INSERT INTO runs (run_id, spec_hash, state, created) VALUES (?, 'x', 'done', ?)",
                [run, DAY.replace(day=day)],
            )
            fill_run(con, run, day)
        rows(con, "models", (MODEL, "tiny", "hf", "/tiny", "{}", "{}", False, "tiny", 100))
        rows(con, "recipes", ("r1", "sums", "", "reasoning", "{}"), ("r2", "pick", "cot", "reasoning", "{}"),
             ("r3", "lost", "", "knowledge", "{}"))  # fmt: skip
        fill_content(con)
    return ledger


def fill_run(con: Any, run: str, day: int) -> None:
    steps = [
        ("prepare", "sums", "", "s-sums", "done", None), ("prepare", "pick@cot", "", "s-pick", "done", None),
        ("prepare", "lost", "", "", "failed", "no such file"),
        ("prompt", "sums", "", "q-sums", "done", None), ("prompt", "pick@cot", "", "q-pick", "done", None),
        ("postprocess", "sums", MODEL, "p-sums", "done", None), ("score", "sums", MODEL, "z-sums", "done", None),
        ("postprocess", "pick@cot", MODEL, "p-pick", "done", None),
        ("score", "pick@cot", MODEL, "z-pick", "done", None), ("execute", "pick@cot", MODEL, "x-pick", "done", None),
    ]  # fmt: skip
    rows(con, "steps", *((run, *s[:3], 0, s[3], s[4], 3, 0.1, DAY, s[5]) for s in steps))
    figure = (run, MODEL, "r1", "sums", "reasoning")
    pick = (run, MODEL, "r2", "pick@cot", "reasoning")
    rows(
        con, "metrics",
        (*figure, "exact_match", "micro", "", day / 4, 0.1, 0.0, 1.0, 2, 1, "wilson", True, "exact_match", ""),
        (*figure, "exact_match", "group", "easy", 0.9, 0.1, 0.0, 1.0, 1, 0, "wilson", False, "exact_match", ""),
        (*pick, "acc", "micro", "", 1.0, 0.0, 0.5, 1.0, 1, 0, "wilson", True, "acc", "raw"),
    )  # fmt: skip


def fill_content(con: Any) -> None:
    rows(con, "headers", ("h1", '[{"role":"user","content":"Add. "}]'))
    for i, name in enumerate(["one", "two", "three"]):
        rows(con, "samples", ("s-sums", i, name, "easy", "", f'{{"input":"{name}","target":"1"}}'))
        rows(con, "requests", (request(name), "generate", "h1", '[{"role":"user","content":"1+1"}]', [], []))
        rows(con, "asked", ("q-sums", i, name, request(name), "subject", -1, 0, 0, 0, "{}", GREEDY, 0, None))
    rows(con, "examples", ("q-sums", 0, '{"input":"a"}'), ("q-sums", 1, '{"input":"b"}'))
    rows(con, "shown", ("q-sums", "one", [1, 0]), ("q-sums", "two", [0]))
    rows(con, "samples", ("s-pick", 0, "pick", "", "", '{"input":"pick","target":0}'))
    rows(con, "requests", (request("pick"), "loglikelihood", None, '[{"role":"user","content":"?"}]', [" a", " b"], []))
    rows(con, "asked", ("q-pick", 0, "pick", request("pick"), "subject", -1, 0, 0, 0, "{}", GREEDY, 0, None))
    rows(con, "completions", answer("one", "it is 1", [], 0, "first"), answer("two", "it is x", [], 7, "first"),
         answer("pick", None, [-1.0, -2.0], 0, "second"))  # fmt: skip
    rows(con, "failures", (completion("three"), request("three"), MODEL, "first", "timed out", DAY),
         (completion("one"), request("one"), MODEL, "first", "answered later", DAY))  # fmt: skip
    rows(con, "renderings", (request("one"), MODEL, "Add. 1+1"))
    rows(
        con,
        "predictions",
        ("p-sums", 0, "one", 0, "", '"1"', "last_number", "ok"),
        ("p-sums", 1, "two", 0, "", None, "last_number", "none"),
        ("p-pick", 0, "pick", 0, "raw", "0", "argmax", "ok"),
        ("p-pick", 0, "pick", 0, "norm", "1", "argmax", "ok"),
    )
    rows(con, "executions", ("e1", 0, "python tester.py", "exit", 0, "", "{}", 0.5, "box", "3.11", "{}", DAY),
         ("e1", 1, "python serve.py", "wall", 9, "", "", 1.5, "box", "3.11", "{}", DAY))  # fmt: skip
    rows(con, "executed", ("x-pick", 0, "pick", 0, "raw", "acc", 0, "e1"))
    rows(
        con,
        "scores",
        ("z-sums", 0, "one", 0, "", "exact_match", 1.0, 1.0, None),
        ("z-sums", 1, "two", 0, "", "exact_match", 0.0, 1.0, None),
        ("z-pick", 0, "pick", 0, "raw", "acc", 1.0, 1.0, None),
        ("z-pick", 0, "pick", 0, "norm", "acc", None, 1.0, None),
    )


VIEWS: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("SELECT sample_key, rank, place, demo FROM demonstrations ORDER BY sample_key, rank",
     [("one", 0, 1, '{"input":"b"}'), ("one", 1, 0, '{"input":"a"}'), ("two", 0, 0, '{"input":"a"}')]),
    ("SELECT * FROM leaderboard WHERE run_id = 'first' ORDER BY benchmark", [
        ("first", "tiny", "pick@cot", "reasoning", "acc", 1.0, 0.5, 1.0, 1, 0, None),
        ("first", "tiny", "sums", "reasoning", "exact_match", 0.25, 0.0, 1.0, 2, 1, None),
    ]),
    ("SELECT run_id, benchmark, value FROM latest ORDER BY benchmark",
     [("second", "pick@cot", 1.0), ("second", "sums", 0.5)]),
    ("SELECT model, dimension, value, benchmarks, benchmarks_asked, coverage, n, n_errors FROM profile"
     " WHERE run_id = 'second' ORDER BY dimension",
     [("tiny", "knowledge", None, 0, 1, 0.0, None, None), ("tiny", "reasoning", 0.75, 2, 2, 1.0, 3, 1)]),
    ("SELECT family, step, benchmark, metric, value, ci_low FROM checkpoints ORDER BY benchmark",
     [("tiny", 100, "pick@cot", "acc", 1.0, 0.5), ("tiny", 100, "sums", "exact_match", 0.5, 0.0)]),
    ("SELECT run_id, model, requests, answered, cached, input_tokens, output_tokens FROM cost ORDER BY run_id",
     [("first", "tiny", 4, 3, 1, 20, 10), ("second", "tiny", 4, 3, 2, 10, 5)]),
    ("SELECT benchmark, sample_key, score, program, ended, seconds FROM execution_of WHERE run_id = 'first' ORDER BY 4",
     [("pick@cot", "pick", 1.0, 0, "exit", 0.5), ("pick@cot", "pick", 1.0, 1, "wall", 1.5)]),
    ("SELECT model, benchmark, tier, languages, jobs, answers, skipped, seconds FROM sandboxes WHERE run_id = 'first'",
     [("tiny", "pick@cot", "box", ["3.11"], 1, 1, 0, 2.0)]),
    ("SELECT benchmark, sample_key, problem, cause FROM problems WHERE run_id = 'first' ORDER BY ALL", [
        ("lost", None, "step failed", "prepare: no such file"),
        ("pick@cot", "pick", "not scored", "acc"),
        ("sums", "three", "request failed", "timed out"),
        ("sums", "two", "not extracted", "filter '': last_number (none)"),
        ("sums", "two", "prompt truncated", "7 tokens cut off its left"),
    ]),
    ("SELECT metric, sample_key, score, prediction, status, text, header, messages, rendering, fields->>'$.target'"
     " FROM lineage WHERE run_id = 'second' AND benchmark = 'sums' ORDER BY ordinal", [
        ("exact_match", "one", 1.0, '"1"', "ok", "it is 1", '[{"role":"user","content":"Add. "}]',
         '[{"role":"user","content":"1+1"}]', "Add. 1+1", "1"),
        ("exact_match", "two", 0.0, None, "none", "it is x", '[{"role":"user","content":"Add. "}]',
         '[{"role":"user","content":"1+1"}]', None, "1"),
    ]),
    ("SELECT metric, filter, scorer, score, prediction, sums, continuations FROM lineage"
     " WHERE run_id = 'first' AND benchmark = 'pick@cot' ORDER BY filter", [
        ("acc,norm", "norm", "acc", None, "1", [-1.0, -2.0], [" a", " b"]),
        ("acc", "raw", "acc", 1.0, "0", [-1.0, -2.0], [" a", " b"]),
    ]),
    ("SELECT m.value, count(*) FROM metrics m JOIN lineage l USING (run_id, model_key, benchmark, scorer, filter)"
     " WHERE m.headline AND run_id = 'first' AND benchmark = 'sums' GROUP BY ALL", [(0.25, 2)]),
    ("SELECT run_id, model_key = completion_key, count(*) FROM run_requests GROUP BY ALL ORDER BY ALL",
     [("first", False, 4), ("second", False, 4)]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "wanted"), VIEWS, ids=[q.split(" FROM ")[1].split()[0] for q, _ in VIEWS])
def test_a_view(book: Ledger, query: str, wanted: list[tuple[Any, ...]]) -> None:
    with book.read() as con:
        assert con.execute(query).fetchall() == wanted


ANSWERS = {
    "leaderboard": (2, ("tiny", "pick@cot", "acc", 1.0, 0.5, 1.0, 1, 0)),
    "profile": (2, ("tiny", "knowledge", None, 0, 1, None, None)),
    "checkpoints": (2, ("tiny", "pick@cot", "acc", 100, 1.0, 0.5, 1.0, None)),
    "worst_samples": (3, ("sums", "two", 0.0, 1, "two", "1", None, "it is x")),
    "problems": (4, None),
    "disagreements": (1, ("pick@cot", "tiny", "pick", 0, "norm", "1", "raw", "0")),
    "cost": (2, None),
    "lineage": (3, None),
}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_written_question(book: Ledger, path: Path) -> None:
    count, first = ANSWERS[path.stem]
    assert path.read_text().startswith("-- ")
    with book.read() as con:
        found = con.execute(path.read_text()).fetchall()
    assert len(found) == count
    assert first is None or found[0] == first


def test_every_view_is_looked_at(book: Ledger) -> None:
    with book.read() as con:
        views = {r[0] for r in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    seen = {query.split(" FROM ")[1].split()[0] for query, _ in VIEWS} | {"run_models"}
    assert views <= seen

"""Pruning: old texts go, scores stay, and a run that wants what went makes it anew.

One ledger is made through the flow: an old run of one model, an old run of a benchmark of its own, and a young run of
another model on the first one's questions. Each test prunes a copy of it.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import ROWS, SUMS, Told
from filelock import FileLock

from assay.catalog import make_spec
from flows.commands.data import command
from storage.ledger import Ledger
from storage.prune import Pruned, prune
from tasks.context import spool_of

MONTH = timedelta(days=30)
EVER = ("leaderboard", "latest", "profile", "checkpoints", "cost", "scores", "metrics", "runs", "models", "recipes",
        "datasets")  # fmt: skip
SPECS: dict[str, dict[str, Any]] = {
    "one": {"models": [{"adapter": "echo", "path": "oracle", "family": "echo", "step": 1}], "benchmarks": ["sums"]},
    "alone": {"models": ["echo:oracle"], "benchmarks": ["alone"]},
    "other": {"models": [{"adapter": "echo", "path": "echo", "family": "echo", "step": 2}], "benchmarks": ["sums"]},
}


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with Ledger(path).read() as con:
        found: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return found


def change(path: Path, *queries: str) -> None:
    with Ledger(path).write() as con:
        for query in queries:
            con.execute(query)


def age(path: Path, run_id: str) -> None:
    """Have a run be sixty days older."""
    change(
        path,
        f"UPDATE completions SET created = created - INTERVAL 60 DAY WHERE run_id = '{run_id}'",
        f"UPDATE steps SET recorded = recorded - INTERVAL 60 DAY WHERE run_id = '{run_id}'",
        "UPDATE runs SET created = created - INTERVAL 60 DAY, finished = finished - INTERVAL 60 DAY"
        f" WHERE run_id = '{run_id}'",
    )


def evaluate(path: Path, catalog: Path, name: str) -> str:
    """The run's id."""
    from flows.running import run_spec

    assert run_spec(make_spec({**SPECS[name], "catalog": [str(catalog)]}), path) == 0
    [(run_id,)] = rows(path, "SELECT run_id FROM runs ORDER BY created DESC LIMIT 1")
    return str(run_id)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> tuple[Path, dict[str, str]]:
    """A folder with the ledger and the catalogue, and the runs' ids."""
    folder = tmp_path_factory.mktemp("prune")
    catalog = folder / "catalog"
    catalog.mkdir()
    (catalog / "sums.yaml").write_text(json.dumps(SUMS))
    (catalog / "alone.yaml").write_text(json.dumps({**SUMS, "prompt": {"template": "Alone {{ input }} = "}}))
    (catalog / "sums.jsonl").write_text(ROWS)
    ids = {}
    for name in SPECS:
        ids[name] = evaluate(folder / "l.duckdb", catalog, name)
        if name != "other":
            age(folder / "l.duckdb", ids[name])
    return folder, ids


@pytest.fixture
def ledger(made: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    """A copy of the ledger."""
    shutil.copy(made[0] / "l.duckdb", tmp_path / "l.duckdb")
    return tmp_path / "l.duckdb"


@pytest.fixture
def ids(made: tuple[Path, dict[str, str]]) -> dict[str, str]:
    return made[1]


def pruned(path: Path, **more: Any) -> Pruned:
    return prune(Ledger(path), spool_of(path), MONTH, **more)


def ever(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows(path, f"FROM {name} ORDER BY ALL") for name in EVER}


def lineage(path: Path, run_id: str) -> list[tuple[Any, ...]]:
    return rows(path, f"FROM lineage WHERE run_id = '{run_id}' ORDER BY ALL")


def test_scores_stay_and_texts_go(ledger: Path, ids: dict[str, str]) -> None:
    before, young = ever(ledger), lineage(ledger, ids["other"])
    told = pruned(ledger)
    assert told.runs == 2
    assert {one.where: one.rows for one in told.going} == {
        "samples": 3, "asked": 3, "requests": 3, "completions": 6, "predictions": 6,
    }  # fmt: skip
    assert all(one.bytes > 0 for one in told.going)
    assert ever(ledger) == before
    assert lineage(ledger, ids["other"]) == young
    query = (
        "SELECT count(*), sum(score), count(text), count(prediction), count(fields), count(messages) FROM lineage"
        " WHERE run_id = '{}'"
    )
    assert rows(ledger, query.format(ids["one"])) == [(3, 3.0, 0, 0, 3, 3)]  # a younger run asks the same questions
    assert rows(ledger, query.format(ids["alone"])) == [(3, 3.0, 0, 0, 0, 0)]
    assert rows(ledger, "SELECT count(*), count(fields), count(grp) FROM samples") == [(6, 3, 6)]
    states = "SELECT step, state FROM steps WHERE run_id = '{}' ORDER BY recorded"
    assert rows(ledger, states.format(ids["alone"])) == [
        ("prepare", "pruned"), ("prompt", "pruned"), ("postprocess", "pruned"), ("score", "done"),
    ]  # fmt: skip
    assert {state for _, state in rows(ledger, states.format(ids["other"]))} == {"done"}


def test_a_second_time_nothing_is_written(ledger: Path) -> None:
    pruned(ledger)
    content, before = ledger.read_bytes(), ever(ledger)
    assert pruned(ledger).going == []
    assert ledger.read_bytes() == content and ever(ledger) == before


@pytest.mark.parametrize("name", ["one", "alone"])
def test_the_same_specification_again_is_asked_anew_and_scores_the_same(
    ledger: Path, made: tuple[Path, dict[str, str]], name: str
) -> None:
    pruned(ledger)
    before = rows(ledger, "SELECT count(*) FROM completions")[0][0]
    again = evaluate(ledger, made[0] / "catalog", name)
    figures = "SELECT model, benchmark, metric, value, n, n_errors FROM leaderboard WHERE run_id = '{}'"
    assert rows(ledger, figures.format(again)) == rows(ledger, figures.format(made[1][name]))
    assert rows(ledger, "SELECT count(*) FROM completions") == [(before + 3,)]
    full = f"SELECT count(*), count(text), count(fields), count(messages) FROM lineage WHERE run_id = '{again}'"
    assert rows(ledger, full) == [(3, 3, 3, 3)]
    for table in ("samples", "asked", "requests", "predictions", "scores"):
        assert rows(ledger, f"SELECT count(*) FROM (FROM {table} GROUP BY ALL HAVING count(*) > 1)") == [(0,)]
    assert rows(ledger, f"SELECT requests, answered, cached FROM cost WHERE run_id = '{again}'") == [(3, 3, 0)]


def test_an_old_run_that_is_taken_up_again_is_whole(ledger: Path, ids: dict[str, str]) -> None:
    from flows.running import resume

    before = rows(ledger, "FROM leaderboard ORDER BY ALL")
    pruned(ledger)
    assert resume(ids["alone"], ledger) == 0
    assert rows(ledger, "FROM leaderboard ORDER BY ALL") == before
    whole = f"SELECT count(text), count(fields) FROM lineage WHERE run_id = '{ids['alone']}'"
    assert rows(ledger, whole) == [(3, 3)]
    assert {s for (s,) in rows(ledger, f"SELECT state FROM steps WHERE run_id = '{ids['alone']}'")} == {"done"}
    assert pruned(ledger).going == []  # it is young again


def test_a_run_that_lives_is_not_touched(ledger: Path, ids: dict[str, str]) -> None:
    change(ledger, f"UPDATE runs SET lease = epoch(now()) + 60 WHERE run_id = '{ids['alone']}'")
    whole = lineage(ledger, ids["alone"])
    folder = spool_of(ledger) / ids["alone"]
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    assert {one.where: one.rows for one in pruned(ledger).going} == {"completions": 3, "predictions": 3}
    assert lineage(ledger, ids["alone"]) == whole and folder.exists()


def test_what_a_run_takes_up_just_now_stays(ledger: Path, ids: dict[str, str]) -> None:
    query = f"SELECT step_key FROM steps WHERE run_id = '{ids['alone']}' AND step = 'prepare'"
    [(key,)] = rows(ledger, query)
    lock = spool_of(ledger) / "locks" / f"{key}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        assert "samples" not in {one.where for one in pruned(ledger).going}
    assert {one.where for one in pruned(ledger).going} == {"samples"}


def left(ledger: Path, name: str, old: bool = True) -> Path:
    """A folder in the spool with a segment in it."""
    path = spool_of(ledger) / name / "shard.00000.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 100)
    for one in (path, path.parent):
        os.utime(one, (0, 0) if old else None)
    return path


def test_the_spool_is_cleared_of_what_nobody_wants(ledger: Path, ids: dict[str, str]) -> None:
    lock = left(ledger, "locks").with_suffix(".lock")
    gone = [left(ledger, ids["alone"]), left(ledger, "20200101-000000-abcdef"), lock]
    stay = [left(ledger, ids["other"]), left(ledger, "20200101-000000-abcdee", old=False), left(ledger, "blobs")]
    lock.touch()
    os.utime(lock, (0, 0))
    before = [one for one in pruned(ledger, dry_run=True).going if one.where == "spool"]
    assert before == [("spool", 3, 200)] and all(path.exists() for path in gone)
    assert [one for one in pruned(ledger).going if one.where == "spool"] == before
    assert [path.exists() for path in [*gone, *stay]] == [False] * 3 + [True] * 3
    assert not gone[0].parent.exists()


def told_by(ledger: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["prune", "--ledger", str(ledger), "--format", "json", *words])


def test_the_command(ledger: Path) -> None:
    content = ledger.read_bytes()
    dry = told_by(ledger, "--keep", "4w", "--dry-run")
    assert dry.exit_code == 0 and ledger.read_bytes() == content
    assert "2 runs are older than 4w; nothing was changed" in dry.stderr
    done = told_by(ledger, "--keep", "30d")
    assert done.exit_code == 0 and done.stdout == dry.stdout
    went = {row["from"]: row["rows"] for row in map(json.loads, done.stdout.splitlines())}
    assert went == {"samples": 3, "asked": 3, "requests": 3, "completions": 6, "predictions": 6}
    assert "asks it again" in done.stderr and "bytes before" in done.stderr
    again = told_by(ledger, "--keep", "700h")
    assert again.exit_code == 0 and again.stdout == "" and "nothing that only runs older than 700h use" in again.stderr


@pytest.mark.parametrize("keep", ["", "30", "d", "0d", "-1d", "1.5d", "30 d", "30days", "999999w"])
def test_an_age_that_is_none(keep: str, told: Told) -> None:
    assert told("data", "prune", "--keep", keep) == (
        f"--keep {keep!r}: wanted a number and a unit, h, d or w, such as 30d, 12h or 8w"
    )


def test_there_has_to_be_a_ledger(told: Told) -> None:
    assert told("data", "prune", "--keep", "30d").startswith("no ledger at ")
    assert "--keep" in told("data", "prune")

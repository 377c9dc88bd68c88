"""assay plan: what a run will ask, take and cost; nothing is asked, and the run that follows builds nothing again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from conftest import Told
from test_commands import Said, assay

from adapters.models import echo
from flows.commands.plan import duration
from tasks import prompt
from tasks.context import Run

PRICED = {"adapter": "echo", "path": "oracle", "price": {"input": 2.0, "output": 10.0, "device_hour": 3.6}}


@pytest.fixture
def place(own: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """A command on the three sums and a ledger in an empty folder, in which no model can be loaded and no server is."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(echo, "load", lambda spec: pytest.fail("a model was loaded"))
    (own / "models.yaml").write_text(yaml.safe_dump({"priced": PRICED}))

    def call(*arguments: str) -> Said:
        return assay("plan", *arguments, "--catalog", str(own), "--ledger", str(own.parent / "l.duckdb"))

    return call


def told(said: Said) -> dict[str, Any]:
    assert said.code == 0, said.err
    (line,) = said.out.splitlines()
    whole: dict[str, Any] = json.loads(line)
    return whole


def rows(own: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(own.parent / "l.duckdb")) as con:
        return con.execute(query).fetchall()


def test_the_figures(place: Callable[..., Said], own: Path) -> None:
    whole = told(place("-m", "priced", "-b", "sums", "-b", "mini_odd", "--limit", "20", "--json"))
    assert sorted(whole) == ["failed", "first_round_only", "ledger", "models", "run"]
    assert whole["failed"] == whole["first_round_only"] == []
    (model,) = whole["models"]
    assert (model["model"], model["asked"], model["open"], model["cached"]) == ("priced", 23, 23, 0)
    sums, odd = model["benchmarks"]
    assert (sums["benchmark"], sums["requests"], odd["benchmark"], odd["requests"]) == ("sums", 3, "mini_odd", 20)
    assert odd["written_tokens"] == 0 and sums["written_tokens"] == 3 * 256 / 2
    messages = rows(own, "SELECT sum(strlen(messages)) FROM requests WHERE kind = 'generate'")[0][0]
    assert sums["prompt_tokens"] == round(messages / 4)
    assert sums["seconds"] == pytest.approx(messages / 4 / model["prefill"] + 384 / model["decode"])
    assert model["prompt_tokens"] == pytest.approx(sums["prompt_tokens"] + odd["prompt_tokens"], abs=1)
    answering = sums["seconds"] + odd["seconds"]
    assert model["times"] == [{"replicas": 1, "seconds": pytest.approx(answering + model["load"])}]
    hours = model["device_hours"]
    tokens = 2.0 * model["prompt_tokens"] + 10.0 * model["written_tokens"]
    assert model["price"] == pytest.approx(tokens / 1e6 + 3.6 * hours)
    assert model["rates_from"] == "defaults"


def test_nothing_is_asked(place: Callable[..., Said], own: Path) -> None:
    run = told(place("-m", "echo:oracle", "-b", "sums", "--json"))["run"]
    for table in ("completions", "failures", "claims", "shards"):
        assert rows(own, f"FROM {table}") == []
    assert rows(own, "SELECT run_id, state, lease FROM runs") == [(run, "planned", None)]
    assert told(place("-m", "echo:oracle", "-b", "sums", "--json"))["run"] == run  # a plan is made once a spec


def test_the_table(place: Callable[..., Said]) -> None:
    said = place("-m", "priced", "-m", "echo:random", "-b", "sums", "-b", "mini_odd", "--limit", "5")
    assert said.code == 0, said.err
    first, second = said.out.split("echo:random")
    for line in (r"sums +3 +2 ", r"mini_odd +5 +1 ", r"all +8 +\d "):
        assert re.search(rf"^ +{line}", first, re.MULTILINE), first
    assert "requests: 8 open, 0 answered already, of 8" in first
    assert "from defaults" in first and "the model has no price" not in first
    assert "cost:     the model has no price" in second


def test_replicas_on_a_pool(place: Callable[..., Said]) -> None:
    more = ("--set", "compute.pool=gpu-{devices}", "--set", "compute.replicas=3", "--set", "model.devices=2")
    more += ("--set", "sampling.max_tokens=8192")
    (model,) = told(place("-m", "echo:oracle", "-b", "mini_needle", *more, "--json"))["models"]
    times = {time["replicas"]: time["seconds"] for time in model["times"]}
    assert list(times) == [1, 3, 8, 64] and times[1] > times[3] > times[8] > model["load"] == 60
    total = sum(share["seconds"] for share in model["benchmarks"])
    assert model["worth"] == max(1, total // 60)
    used = min(3, model["shards"])
    assert model["device_hours"] == pytest.approx(2 * (total + used * 60) / 3600)
    said = place("-m", "echo:oracle", "-b", "mini_needle", *more)
    assert f"{duration(times[64])} on 64 replicas; up to {model['worth']} worth the loading" in said.out


def test_what_went_wrong_is_told_and_tried_again(place: Callable[..., Said], own: Path) -> None:
    broken = own / "broken.yaml"
    recipe = yaml.safe_load((own / "sums.yaml").read_text())
    (own / "broken.jsonl").write_text('{"question": "1", "answer": "1"}\n{"answer": "2"}\n')
    broken.write_text(yaml.safe_dump(recipe | {"sources": [{"files": {"path": "broken.jsonl"}}]}))
    said = place("-m", "echo:oracle", "-b", "broken", "-b", "sums")
    assert said.code == 1 and "step failed: broken: " in said.err
    assert "requests: 3 open" in said.out
    (own / "broken.jsonl").write_text('{"question": "1", "answer": "1"}\n')
    whole = told(place("-m", "echo:oracle", "-b", "broken", "-b", "sums", "--json"))
    assert whole["failed"] == [] and whole["models"][0]["open"] == 4


def test_a_solver_of_rounds_is_told(place: Callable[..., Said], own: Path) -> None:
    recipe = yaml.safe_load((own / "sums.yaml").read_text()) | {"solver": "reconsider"}
    (own / "again.yaml").write_text(yaml.safe_dump(recipe))
    said = place("-m", "echo:oracle", "-b", "again", "-b", "sums")
    assert said.code == 0 and "only the first round is counted of again: the others depend on the answers" in said.err


def test_the_run_that_follows_builds_nothing_again(
    prefect_server: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    more = ("-b", "sums", "-b", "mini_odd", "--limit", "6", "--catalog", str(own), "--json")
    ledger = ("--ledger", str(own.parent / "l.duckdb"))
    planned = told(assay("plan", "-m", "echo:oracle", *more, *ledger))
    before = rows(own, "SELECT count(*) FROM asked")

    put = Run.put
    monkeypatch.setattr(
        Run,
        "put",
        lambda run, table, *given: pytest.fail(f"{table} again") if table == "samples" else put(run, table, *given),
    )
    monkeypatch.setattr(prompt, "_write", lambda *given: pytest.fail("prompts again"))
    ran = told(assay("run", "-m", "echo:oracle", *more, *ledger))
    assert ran["run"] == planned["run"]
    assert {score["benchmark"]: score["value"] for score in ran["scores"]} == {"sums": 1.0, "mini_odd": 1.0}
    assert rows(own, "SELECT count(*) FROM asked") == before == [(9,)]
    assert rows(own, "SELECT count(*) FROM completions") == before
    assert rows(own, "SELECT state FROM runs") == [("done",)]

    again = told(assay("plan", "-m", "echo:oracle", *more, *ledger))  # another run, with nothing left to ask
    assert again["run"] != ran["run"]
    (model,) = again["models"]
    assert (model["open"], model["cached"], model["shards"], model["prompt_tokens"]) == (0, 9, 0, 0)
    assert model["times"] == [{"replicas": 1, "seconds": 0.0}] and model["benchmarks"] == []
    (model,) = told(assay("plan", "-m", "echo:oracle", *more, *ledger, "--refresh"))["models"]
    assert (model["open"], model["cached"]) == (9, 0)
    assert rows(own, "SELECT DISTINCT refresh FROM runs") == [(False,)]

    rows(
        own, "UPDATE shards SET seconds = 60.0 / (SELECT count(*) FROM shards)"
    )  # as if the model had been slow enough to be believed
    assert model["rates_from"] == "defaults"
    (slow,) = told(assay("plan", "-m", "echo:oracle", *more, *ledger, "--refresh"))["models"]
    assert slow["rates_from"] == "this model on cpu"
    # whether it was loaded for this run depends on what this process had loaded before
    assert slow["times"][0]["seconds"] == pytest.approx(60 + slow["load"], rel=0.01)
    (pooled,) = told(assay("plan", "-m", "echo:oracle", *more, *ledger, "--set", "compute.pool=gpu"))["models"]
    assert pooled["rates_from"] == "defaults"  # what ran in the run's own process says nothing of a pool


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "echo:oracle", "-b", "sumss"], "no benchmark 'sumss'; did you mean sums or "),
        (["-m", "echo:orakel", "-b", "sums"], "no model of echo 'orakel'"),
        (["-m", "echo:oracle", "-b", "sums", "--limit", "0"], "limit: Input should be greater than or equal to 1"),
        (["-m", "echo:oracle", "-b", "sums", "--set", "partitioner=balance"], "no partitioner 'balance'"),
        (["-b", "sums"], "models"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(
    told: Told, own: Path, arguments: list[str], words: str
) -> None:
    assert words in told("plan", *arguments, "--catalog", str(own))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (59.4, "59 s"),
        (303, "5 min 03 s"),
        (7500, "2 h 05 min"),
        (3.6e6, "1,000 h 00 min"),
    ],
)
def test_a_duration_as_a_person_says_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words

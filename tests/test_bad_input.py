"""What a person gets wrong: exit code 2, one message that says what was wanted, what came and what there is; and
nothing is written, asked or loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Told, evaluate


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "no command 'rum'; did you mean run or resume?"),
        (["run", "--limmit", "3"], "No such option '--limmit'. Did you mean '--limit'? (see assay run --help)"),
        (["run", "--limit", "x"], "Invalid value for '--limit': 'x' is not a valid integer"),
        (["ls", "benchmark"], "'benchmark' is not one of 'benchmarks'"),
        (["run", "-m", "echo:oracle", "-b", "gsm8kk"], "no benchmark 'gsm8kk'; did you mean gsm8k"),
        (["run", "-m", "echo:oracle", "-b", "gsm8k@cott"], "no variant 'cott'; did you mean cot"),
        (["run", "-m", "echo:oracle", "-s", "minni"], "no suite 'minni'; did you mean mini?"),
        (["run", "-m", "gpt3", "-s", "mini"], "no model 'gpt3'; did you mean gpt2"),
        (["run", "-m", "ecko:oracle", "-s", "mini"], "no model adapter 'ecko'; did you mean echo?"),
        (["run", "-m", "echo:", "-s", "mini"], "the model 'echo:' lacks a path: wanted adapter:path"),
        (["run", "-m", "echo:orakel", "-s", "mini"], "orakel"),
        (["run", "-m", "echo:oracle"], "no benchmarks and no suites: name at least one"),
        (["run", "-s", "mini"], "models"),
        (["run"], "models"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "-m", "echo:oracle", "-s", "mini", "--catalog", "nowhere"], "--catalog nowhere: no such folder"),
        (["run", "-m", "hf:nowhere/at/all", "-b", "mini_needle"], "nowhere/at/all"),
        (
            ["run", "-m", "openai:gpt", "-b", "mini_needle", "--set", "model.api_key_env=NO_SUCH_KEY"],
            "openai:gpt needs a key, and $NO_SUCH_KEY is not set",
        ),
        (["show", "gsm8kk"], "no benchmark, model or run 'gsm8kk'; did you mean gsm8k"),
        (["prompt", "gsm8kk"], "no benchmark 'gsm8kk'; did you mean gsm8k"),
        (["prompt", "gsm8k", "-n", "0"], "Invalid value for '-n'"),
        (["resume"], "no ledger at"),
        (["samples"], "no ledger at"),
        (["sql", "SELECT 1"], "no ledger at"),
        (["sql"], "no ledger at"),
        (["ls", "runs"], "no ledger at"),
        (["data", "pull", "gsm9k"], "gsm9k"),
        (["data", "verify", "gsm9k"], "gsm9k"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_names_and_options(told: Told, arguments: list[str], words: str) -> None:
    assert words in told(*arguments)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--limit", "0"], "limit: Input should be greater than or equal to 1, got 0"),
        (["--set", "nothing"], "--set wants KEY=VALUE, such as sampling.max_tokens=64, got 'nothing'"),
        (["--set", "limmit=3"], "no key of an evaluation 'limmit'; did you mean limit?"),
        (["--set", "sampling.max_token=3"], "no key of sampling 'max_token'; did you mean max_tokens or "),
        (["--set", "sampling.max_tokens=many"], "max_tokens: Input should be a valid integer"),
        (["--set", "sampling.stop=['']"], "an empty stop string"),
        (["--set", "sampling.temperature=[1"], "--set sampling.temperature"),
        (["--set", "model.colour=red"], "colour"),
        (["-m", "echo:oracle"], "echo:oracle and echo:oracle are the same model: name it once"),
        (["-m", "hf:EMPTY"], "config.json"),
        (["-m", "hf:BARE"], "weights"),
        (["-m", "openai:x", "--set", "model.base_urll=x"], "base_url"),
        (["-m", "lost:x"], "adapter 'lost' needs the package no_such_library: pip install no_such_library"),
        (["-m", "half:x"], "has no function load(spec)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_evaluations_and_models(
    told: Told, own: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], words: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (own / "empty").mkdir()
    (own / "bare").mkdir()
    (own / "bare" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    (own / "models").mkdir()
    (own / "models" / "lost.py").write_text("import no_such_library\n")
    (own / "models" / "half.py").write_text("def describe(spec):\n    return None\n")
    places = {"EMPTY": str(own / "empty"), "BARE": str(own / "bare")}
    for name, place in places.items():
        more = [word.replace(name, place) for word in more]
    assert words in told(*evaluate(own, *more))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [echo:oracle]\nbenchmark: [sums]\n", "no key of an evaluation 'benchmark'; did you mean benchmarks?"),
        ("models: [{adapter: echo, pfad: oracle}]\nbenchmarks: [sums]\n", "models.0"),
        ("models: []\nbenchmarks: [sums]\n", "models"),
        ("models: [echo:oracle\n", "spec.yaml"),
        ("echo:oracle", "spec.yaml"),
        ("", "models: Field required"),
        ("models: [echo:oracle]\nbenchmarks: [sums]\nmax_rounds: 0\n", "max_rounds"),
        ("models: [echo:oracle]\nbenchmarks: 3\n", "benchmarks"),
        ("models: [echo:oracle]\nbenchmarks: [sums]\nsampling: 3\n", "sampling"),
        ("models: [echo:oracle]\nbenchmarks: [sums]\ncatalog: {a: 1}\n", "catalog"),
    ],
)
def test_a_spec_file(told: Told, own: Path, text: str, words: str) -> None:
    (own.parent / "spec.yaml").write_text(text)
    assert words in told("run", str(own.parent / "spec.yaml"))


def _newer(path: Path) -> None:
    from storage.ledger import Ledger

    with Ledger(path).write() as con:
        con.execute("INSERT INTO schema_versions VALUES (99, 'future', now()::TIMESTAMP)")
    path.with_name(path.name + ".lock").unlink(missing_ok=True)


LEDGERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (_newer, "is of schema 99, and this assay knows schemas up to"),
    "text": (lambda path: path.write_text("hello " * 1000), "not a valid DuckDB database file"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
}
COMMANDS = ["run", "resume", "samples", "sql", "ls"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", LEDGERS)
def test_a_ledger_that_is_none(told: Told, own: Path, tmp_path: Path, kind: str, command: str) -> None:
    make, words = LEDGERS[kind]
    make(tmp_path / "l.duckdb")
    arguments = {"run": evaluate(own), "resume": ["resume"], "samples": ["samples"], "sql": ["sql", "FROM runs"],
                 "ls": ["ls", "runs"]}[command]  # fmt: skip
    message = told(*arguments, "--ledger", str(tmp_path / "l.duckdb"))
    assert words in message and "l.duckdb" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resume"], "has no unfinished run: nothing to resume"),
        (["resume", "b"], "has no run 'b'"),
        (["samples", "b"], "no run 'b'; there is a"),
        (["samples", "-b", "gsm8k"], "no benchmark in the run a 'gsm8k'; there is none"),
        (["samples", "-n", "0"], "Invalid value for '-n'"),
        (["sql", "SELEKT 1"], 'the ledger does not understand this: Parser Error: syntax error at or near "SELEKT"'),
        (["sql", "FROM leaderbord"], "Table with name leaderbord does not exist"),
        (["sql", "leaderbord"], "did you mean "),
        (["sql", "DELETE FROM runs"], "the ledger does not understand this: "),
        (["show", "b"], "no benchmark, model or run 'b'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_ledger_has_not(told: Told, tmp_path: Path, arguments: list[str], words: str) -> None:
    from storage.ledger import Ledger

    with Ledger(tmp_path / "l.duckdb").write() as con:
        con.execute("INSERT INTO runs (run_id, state, created) VALUES ('a', 'done', now()::TIMESTAMP)")
    assert words in told(*arguments, "--ledger", str(tmp_path / "l.duckdb"))


LOADED = "def describe(spec):\n    raise RuntimeError('asked before the ledger was looked at')\n\nload = describe\n"


@pytest.mark.parametrize("place", ["/proc", "nowhere", "file"])
def test_a_disk_that_cannot_be_written(told: Told, own: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / place / "l.duckdb"
    assert f"the ledger {path} cannot be written: " in told(*evaluate(own, "--ledger", str(path)))
    (own / "models").mkdir()
    (own / "models" / "dear.py").write_text(LOADED)  # the ledger comes first: to look at a model may take long
    assert f"the ledger {path} cannot be written: " in told(*evaluate(own, "--ledger", str(path), model="dear:x"))


def test_a_server_that_does_not_answer(told: Told, own: Path) -> None:
    assert told(*evaluate(own)).startswith("no Prefect server answers at http://127.0.0.1:9/api (PREFECT_API_URL): ")


def test_no_server_stays_behind_a_bad_evaluation(own: Path, tmp_path: Path) -> None:
    home, here = tmp_path / "prefect", tmp_path / "here"
    here.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "ASSAY"))}
    arguments = [sys.executable, "-m", "flows.cli", *evaluate(own, benchmark="summs")]
    ended = subprocess.run(arguments, cwd=here, env=env | {"PREFECT_HOME": str(home)}, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"assay: no benchmark 'summs'; did you mean sums or \S+ or \S+\?\n", ended.stderr)
    assert list(here.iterdir()) == []
    assert list((home / "assay" / "clients").iterdir()) == []
    until = time.monotonic() + 60  # the server looks at its clients once it has started
    while (home / "assay" / "server.json").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not (home / "assay" / "server.json").exists()

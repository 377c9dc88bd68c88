"""What each command says about a small ledger of real runs, through the command line's own door."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from conftest import ROWS, SUMS, TINY
from hf_models import save

from assay.catalog import benchmark_ids, model_names
from flows.cli import main
from flows.commands.ls import WHAT

RUDE = "\x1b[31mred\x1b[0m\x07 [bold]not bold[/bold] 1"
"""An answer with commands to a terminal, and with the markup of rich."""
TIRED = "request failed: sums (tired): tired [/INST] \N{REPLACEMENT CHARACTER}[31m"


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Place(NamedTuple):
    """A ledger and the catalogue of what was run."""

    ledger: Path
    own: Path
    first: Said
    second: Said

    @property
    def runs(self) -> list[str]:
        """The runs' ids."""
        return [json.loads(said.out.splitlines()[-1])["run"] for said in (self.first, self.second)]

    def ask(self, *arguments: str) -> Said:
        """What a command says of the ledger; it has to end well."""
        said = assay(*arguments, "--ledger", str(self.ledger))
        assert said.code == 0, said.err
        return said


def assay(*arguments: str) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["assay", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Said(code or 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def place(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two runs: two models on a benchmark of texts and one of choices; and one in which a request fails."""
    folder = tmp_path_factory.mktemp("commands")
    own = folder / "own"
    own.mkdir()
    (own / "sums.yaml").write_text("# Small sums. https://example.org/sums\n" + yaml.safe_dump(SUMS))
    (own / "sums.jsonl").write_text(ROWS)
    rules = [{"pattern": "^2", "error": "tired [/INST] \x1b[31m"}, {"pattern": ".", "answer": "1"}]
    models = {
        "rude": {"adapter": "echo", "path": "scripted", "options": {"default": RUDE}},
        "tired": {"adapter": "echo", "path": "scripted", "options": {"answers": rules}},
    }
    (own / "models.yaml").write_text(yaml.safe_dump(models))
    (own / "suites.yaml").write_text("both: [sums, mini_odd]\n")
    more = ("--catalog", str(own), "--ledger", str(folder / "l.duckdb"), "--limit", "4", "--json")
    first = assay("run", "-m", "echo:oracle", "-m", "rude", "-s", "both", *more)
    second = assay("run", "-m", "tired", "-b", "sums", *more)
    return Place(folder / "l.duckdb", own, first, second)


def test_json_is_one_object_in_the_last_line(place: Place) -> None:
    assert place.first.code == 0, place.first.err
    (line,) = place.first.out.splitlines()
    told = json.loads(line)
    assert sorted(told) == ["ledger", "run", "scores"] and told["ledger"] == str(place.ledger)
    names = ["model", "benchmark", "dimension", "metric", "value", "ci_low", "ci_high", "n", "n_errors"]
    assert all(list(row) == names for row in told["scores"])
    figures = {(row["model"], row["benchmark"]): (row["value"], row["n"], row["n_errors"]) for row in told["scores"]}
    assert figures.pop(("rude", "mini_odd"))[1:] == (4, 0)
    assert figures == {
        ("echo:oracle", "sums"): (1, 3, 0),
        ("echo:oracle", "mini_odd"): (1, 4, 0),
        ("rude", "sums"): (pytest.approx(1 / 3), 3, 0),  # what is read is its last number: 0 + 1 is right
    }


def test_a_failed_request_is_named_and_the_exit_code_is_one(place: Place) -> None:
    assert place.second.code == 1
    assert TIRED in place.second.err
    (row,) = json.loads(place.second.out)["scores"]
    assert (row["n"], row["n_errors"]) == (2, 1)


@pytest.mark.parametrize("what", WHAT)
def test_ls_in_every_format(place: Place, what: str) -> None:
    arguments = ("ls", what, "--catalog", str(place.own))
    rows = place.ask(*arguments, "--format", "json").rows
    names, *cells = csv.reader(io.StringIO(place.ask(*arguments, "--format", "csv").out))
    assert len(rows) == len(cells) > 0 and list(rows[0]) == names
    assert [str(row[names[0]]) for row in rows] == [one[0] for one in cells]
    table = place.ask(*arguments).out
    assert f"{len(rows)} rows" in table and all(str(row[names[0]]) in table for row in rows)


def test_ls_knows_what_there_is(place: Place) -> None:
    def listed(what: str) -> dict[str, dict[str, Any]]:
        rows = place.ask("ls", what, "--catalog", str(place.own), "--format", "json").rows
        return {next(iter(row.values())): row for row in rows}

    benchmarks = listed("benchmarks")
    assert list(benchmarks) == [name for name in benchmark_ids([place.own]) if "@" not in name]
    assert benchmarks["sums"]["data"] == "present" and benchmarks["mini_add"]["data"] == "generated"
    assert (benchmarks["mmlu"]["questions"], benchmarks["mmlu"]["kinds"]) == (14042, "loglikelihood choice generate")
    assert "cot" in benchmarks["mmlu"]["variants"].split()
    assert list(listed("models")) == model_names([place.own])
    assert listed("suites")["both"]["benchmarks"] == "sums mini_odd"
    assert {"echo", "hf", "openai"} <= set(listed("adapters"))
    assert "last_number" in listed("extractors") and "number_match" in listed("scorers")
    runs = listed("runs")
    assert list(runs) == place.runs[::-1]  # the newest first
    assert runs[place.runs[0]]["models"].split() == ["echo:oracle", "rude"]
    assert (runs[place.runs[0]]["state"], runs[place.runs[0]]["benchmarks"]) == ("done", 2)


def test_show(place: Place) -> None:
    recipe = yaml.safe_load(place.ask("show", "gsm8k@cot").out)
    assert (recipe["name"], recipe["variant"]) == ("gsm8k", "cot") and recipe["paper"].startswith("https://")
    own = yaml.safe_load(place.ask("show", "sums", "--catalog", str(place.own)).out)
    assert own["score"] == ["number_match"] and own["paper"] == "https://example.org/sums"
    told = yaml.safe_load(place.ask("show", f"hf:{TINY / 'step-300'}").out)
    assert told["facts"]["architecture"] == "LlamaForCausalLM" and "loglikelihood" in told["answers"]
    assert yaml.safe_load(place.ask("show", "rude", "--catalog", str(place.own)).out)["model"]["path"] == "scripted"
    for run in place.runs:
        said = place.ask("show", run).out
        assert f"run: {run}" in said and "number_match" in said
        assert all(step in said for step in ("prepare", "prompt", "postprocess", "score"))
    assert TIRED in place.ask("show", place.runs[1]).out


def free(*arguments: str) -> str:
    """What a command that needs no ledger says."""
    said = assay(*arguments)
    assert said.code == 0, said.err
    return said.out


def test_prompt_shows_the_messages_and_the_very_text_of_a_model(place: Place, tmp_path: Path) -> None:
    catalog = ("--catalog", str(place.own))
    assert free("prompt", "sums", "-n", "2", *catalog).count("# sums ") == 2
    plain = free("prompt", "sums", *catalog)
    assert "## user\n0 + 1 = \n" in plain and "## target\n'1'" in plain
    choices = free("prompt", "mini_odd@few_shot")
    assert choices.count("## continuation") == 4 and choices.count("Answer:") == 3
    chat = save(tmp_path / "chat", chat=True)
    assert "## the text that the model gets\n<s><user>0 + 1 = </s><assistant>\n" in free(
        "prompt", "sums", "-m", f"hf:{chat}", *catalog
    )
    meta = {"begin": "[B]", "round": [{"role": "user", "begin": "[U]", "end": "[E]"},
                                      {"role": "assistant", "begin": "[A]", "generate": True}]}  # fmt: skip
    (tmp_path / "models.yaml").write_text(
        yaml.safe_dump({
            "meta": {"adapter": "hf", "path": str(chat), "meta_template": meta},
            "silent": {"adapter": "echo", "path": "oracle", "meta_template": meta},
        })
    )  # fmt: skip
    for model in ("meta", "silent"):
        said = free("prompt", "sums", "-m", model, *catalog, "--catalog", str(tmp_path))
        assert "## the text that the model gets\n[B][U]0 + 1 = [E][A]\n" in said


def test_samples(place: Place) -> None:
    first = place.runs[0]
    wrong = place.ask("samples", first, "-b", "sums", "-m", "rude", "--which", "wrong", "-n", "9")
    assert wrong.err == f"2 shown of the run {first}\n"
    assert wrong.out.count("# sums ") == 2 and 'number_match: 0.0   read: "1"' in wrong.out
    right = place.ask("samples", first, "-b", "sums", "-m", "rude", "--which", "right", "--prompt")
    assert right.err.startswith("1 shown") and "## prompt\n[user] 0 + 1 = \n" in right.out
    choices = place.ask("samples", first, "-b", "mini_odd", "-m", "echo:oracle").out
    assert choices.count("# mini_odd ") == choices.count("## acc") == choices.count(": 1.0   read: {") == 3
    newest = place.ask("samples")
    assert newest.err == f"2 shown of the run {place.runs[1]}\n"  # what failed has no score


@pytest.mark.parametrize("command", ["samples", "sql"])
def test_what_a_model_writes_commands_no_terminal(place: Place, command: str) -> None:
    asked = {
        "samples": ["samples", place.runs[0], "-m", "rude", "-b", "sums"],
        "sql": ["sql", "SELECT text FROM completions WHERE text LIKE '%red%' LIMIT 1"],
    }
    said = place.ask(*asked[command])
    assert "red" in said.out and "[bold]not bold[/bold]" in said.out
    assert "\x1b" not in said.out and "\x07" not in said.out


def test_sql(place: Place) -> None:
    query = "SELECT benchmark, n FROM leaderboard WHERE model = 'echo:oracle' ORDER BY benchmark"
    assert place.ask("sql", query, "--format", "json").rows == [
        {"benchmark": "mini_odd", "n": 4}, {"benchmark": "sums", "n": 3},
    ]  # fmt: skip
    assert place.ask("sql", query, "--format", "csv").out == "benchmark,n\r\nmini_odd,4\r\nsums,3\r\n"
    assert "2 rows" in place.ask("sql", query).out
    there = place.ask("sql").out
    assert "leaderboard" in there and "completions" in there
    for name in (path.stem for path in (Path(__file__).parent.parent / "storage" / "queries").glob("*.sql")):
        assert name in there
        assert place.ask("sql", name, "--format", "csv").out.count("\r\n") >= 1
    assert {row["model"] for row in place.ask("sql", "leaderboard", "--format", "json").rows} >= {"rude", "tired"}


def test_doctor(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    well = place.ask("doctor").out
    assert "ok    Prefect" in well and f"{place.ledger}, " in well and "wrong" not in well
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    ill = assay("doctor", "--ledger", str(place.ledger))
    assert ill.code == 1
    assert "wrong Prefect       no Prefect server answers at http://127.0.0.1:9/api" in ill.out
    monkeypatch.delenv("PREFECT_API_URL")
    assert "ok    Prefect       embedded" in place.ask("doctor").out
    (place.ledger.parent / "text").write_text("hello " * 1000)
    assert assay("doctor", "--ledger", str(place.ledger.parent / "text")).code == 1


def test_data_ls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path))
    rows = [json.loads(line) for line in free("data", "ls", "gsm8k", "--format", "json").splitlines()]
    assert [(row["data set"], row["state"]) for row in rows] == [("gsm8k", "absent")]


HEAVY = ["prefect", "torch", "transformers", "duckdb", "pydantic", "pyarrow", "yaml"]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]], ids=" ".join)
def test_help_is_quick(arguments: list[str]) -> None:
    code = (
        f"import sys\nsys.argv = ['assay', *{arguments!r}]\nfrom flows.cli import main\n"
        f"try:\n    main()\nfinally:\n    print(sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"
    assert "assay" in ended.stdout

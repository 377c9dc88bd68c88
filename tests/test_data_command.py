"""assay data ls, pull, verify: what is there, what is fetched, and the exit codes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import DATA, needs_data

from assay import lock
from flows.commands.data import command

FILES = {"set/a.csv": b"n\n1\n", "set/b.csv": b"n\n2\n", "other/c.csv": b"n\n3\n"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue whose lock pins three files, which a folder serves by file: URLs; the data folder is empty. Our own
    lock, of thousands of files, is out of the way."""
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(lock, "RAW", f"{tmp_path.as_uri()}/server")
    monkeypatch.setattr(lock, "LOCK", tmp_path / "empty" / "datasets.lock")
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    lines = []
    for name, content in FILES.items():
        served = tmp_path / "server" / "o" / "r" / "c" / name
        served.parent.mkdir(parents=True, exist_ok=True)
        served.write_bytes(content)
        lines.append(f"{name}\t{hashlib.sha256(content).hexdigest()}\t{len(content)}\to/r\tc\t{name}\n")
    (catalog / "datasets.lock").write_text("".join(lines))
    (catalog / "numbers.yaml").write_text(
        "dimension: reasoning\nlicence: CC0\nsources: [{files: {path: set/*.csv}}]\n"
        "sample: {input: n}\nextract: [stripped]\nscore: [exact_match]\n"
    )
    return tmp_path


def assay_data(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(command, [*words, "--catalog", str(folder / "catalog")])


def listed(folder: Path) -> dict[str, dict[str, object]]:
    result = assay_data(folder, "ls", "--format", "json")
    assert result.exit_code == 0, result.output
    return {row["data set"]: row for row in map(json.loads, result.stdout.splitlines())}


def test_list_pull_verify(folder: Path) -> None:
    assert listed(folder)["set"] == {"data set": "set", "files": 2, "bytes": 8, "state": "absent", "licence": "CC0"}
    pulled = assay_data(folder, "pull", "set")
    assert pulled.exit_code == 0, pulled.output
    assert (folder / "data" / "set" / "b.csv").read_bytes() == FILES["set/b.csv"]
    assert {name: row["state"] for name, row in listed(folder).items()} == {"other": "absent", "set": "present"}
    assert assay_data(folder, "verify", "set").exit_code == 0
    (folder / "data" / "set" / "b.csv").unlink()
    assert listed(folder)["set"]["state"] == "incomplete"
    (folder / "data" / "set" / "a.csv").write_bytes(b"n\n7\n")
    assert listed(folder)["set"]["state"] == "corrupt"


def test_verify_names_what_is_wrong(folder: Path) -> None:
    assay_data(folder, "pull")
    assert assay_data(folder, "verify").exit_code == 0
    (folder / "data" / "set" / "a.csv").write_bytes(b"n\n7\n")
    (folder / "data" / "other" / "c.csv").unlink()
    result = assay_data(folder, "verify")
    assert result.exit_code == 1
    assert "1 of 3 files" in result.stdout
    assert result.stderr.splitlines() == ["other/c.csv: absent", "set/a.csv: corrupt"]


def test_pull_mends_what_is_corrupt(folder: Path) -> None:
    path = folder / "data" / "set" / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"n\n7\n")
    assert "3 to fetch, 3 fetched" in assay_data(folder, "pull").stdout
    assert path.read_bytes() == FILES["set/a.csv"]
    assert "0 to fetch" in assay_data(folder, "pull").stdout


def test_pull_says_what_it_could_not_have(folder: Path) -> None:
    (folder / "server" / "o" / "r" / "c" / "set" / "a.csv").unlink()
    (folder / "server" / "o" / "r" / "c" / "set" / "b.csv").write_bytes(b"no such thing")
    result = assay_data(folder, "pull")
    assert result.exit_code == 1
    assert "set/a.csv is not under" in result.stderr and "server/o/r/c/set/a.csv" in result.stderr
    assert "set/b.csv gave another file than pinned" in result.stderr
    assert [path.name for path in (folder / "data").rglob("*") if path.is_file()] == ["c.csv"]


def test_pull_gives_up_where_nothing_comes(folder: Path) -> None:
    sha = hashlib.sha256(b"x").hexdigest()
    lines = [f"many/{i:04}.csv\t{sha}\t1\to/r\tc\tnone/{i}\n" for i in range(2000)]
    (folder / "catalog" / "datasets.lock").write_text("".join(lines))
    result = assay_data(folder, "pull", "many")
    assert result.exit_code == 1
    assert "… and" in result.stderr
    assert not (folder / "data").exists()


def test_an_unknown_name(folder: Path) -> None:
    for word in ("ls", "pull", "verify"):
        result = assay_data(folder, word, "sett")
        assert str(result.exception) == "no data set 'sett'; did you mean set?"


@needs_data
def test_the_real_data_is_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(DATA))
    result = CliRunner().invoke(command, ["verify", "gsm8k", "mmlu"])
    assert result.exit_code == 0, result.output
    assert "173 of 173 files of 2 data sets are as pinned" in result.stdout

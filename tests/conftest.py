"""Where the real questions and the real small model are, and the marks of tests that need them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ApiServer

from adapters.api import patience
from flows.cli import main

ROOT = Path(__file__).parent.parent


def _folder(variable: str, beside: Path, *holds: str) -> Path | None:
    for folder in (os.environ.get(variable), str(beside)):
        if folder and all((Path(folder) / name).exists() for name in holds):
            return Path(folder).resolve()
    return None


DATA = _folder("ASSAY_DATA", ROOT.parent / "shared" / "data", "gsm8k", "mmlu")
STORIES = _folder("ASSAY_STORIES", ROOT.parent / "shared" / "models" / "stories260K", "config.json")
TINY = ROOT / "examples" / "tiny" / "checkpoints"

needs_data = pytest.mark.skipif(DATA is None, reason="the real questions are not here: set ASSAY_DATA to their folder")
needs_stories = pytest.mark.skipif(STORIES is None, reason="stories260K is not here: set ASSAY_STORIES to its folder")


SLOW = ("evaluation", "worker_deaths", "workers", "commands", "every_question", "interruption", "full_disk")
"""Files that take long though they have few tests: first, else one process has them while the other has none left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in SLOW)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """The fake server of an OpenAI-compatible API."""
    with ApiServer() as running:
        yield running


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no server in the environment, and no long waits before a request is tried again."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.001)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server for the session, shared by the test processes; its API URL, which is set for the tests."""
    from flows.server import Embedded, apply_settings

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(shared / "prefect"))
        apply_settings()
        server = Embedded()
        server.start()
        try:
            patch.setenv("PREFECT_API_URL", server.ready())
            yield server.url
        finally:
            server.stop()


SUMS: dict[str, Any] = {
    "dimension": "reasoning",
    "sources": [{"files": {"path": "sums.jsonl"}}],
    "sample": {"input": "question", "target": "answer"},
    "prompt": {"template": "{{ input }} = "},
    "extract": ["last_number"],
    "score": ["number_match"],
}
ROWS = "".join(json.dumps({"question": f"{i} + 1", "answer": str(i + 1)}) + "\n" for i in range(3))

Told = Callable[..., str]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A catalogue folder with a benchmark of three sums."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "sums.yaml").write_text(yaml.safe_dump(SUMS))
    (folder / "sums.jsonl").write_text(ROWS)
    return folder


@pytest.fixture
def told(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Told:
    """A command that has to fail: its one message. Run in an empty folder; the server it names does not exist."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("ASSAY_LEDGER", raising=False)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["assay", *arguments])
        before = tree(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == 2, out + err
        assert out == "" and "Traceback" not in err
        assert tree(tmp_path) == before
        assert err.startswith("assay: ") and ("\n" not in err[:-1] or "LINE 1: " in err), err  # DuckDB shows the place
        return err.removeprefix("assay: ").rstrip("\n")

    return call


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def evaluate(own: Path, *more: str, model: str = "echo:oracle", benchmark: str = "sums") -> list[str]:
    return ["run", "-m", model, "-b", benchmark, "--catalog", str(own), *more]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue folder; the data folder is another, empty one."""
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"

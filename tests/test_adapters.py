"""Finding a model adapter by name: ours, a user's folder, an installed distribution."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters import adapter_names, library, model_adapter
from assay.errors import ModelError, SpecError
from assay.spec import ModelSpec

ADAPTER = """
from assay.types import Completion, ModelInfo

def describe(spec):
    return ModelInfo(identity={"path": spec.path}, kinds=frozenset({"generate"}))

def load(spec):
    return Loud()

class Loud:
    def answer(self, requests):
        yield [Completion(r.key, text=r.messages[-1]["content"].upper()) for r in requests]
"""


def catalogue(folder: Path, **files: str) -> Path:
    (folder / "models").mkdir(parents=True)
    for name, text in files.items():
        (folder / "models" / f"{name}.py").write_text(text)
    return folder


def distribution(folder: Path, points: str) -> None:
    info = folder / "loud_model-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-model\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[assay.models]\n{points}\n")


def test_ours() -> None:
    assert model_adapter("echo").__name__ == "adapters.models.echo"
    assert {"echo", "openai"} <= set(adapter_names("models"))


def test_a_users_folder(tmp_path: Path) -> None:
    folder = catalogue(tmp_path / "mine", loud=ADAPTER, _helper="raise RuntimeError")
    module = model_adapter("loud", [tmp_path, folder])
    assert module.describe(ModelSpec(adapter="loud", path="x")).identity == {"path": "x"}
    assert model_adapter("loud", [folder]) is module
    assert "_helper" not in adapter_names("models", [folder])


def test_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud_model.py").write_text(ADAPTER)
    distribution(tmp_path, "shout = loud_model")
    monkeypatch.syspath_prepend(tmp_path)
    assert model_adapter("shout").__name__ == "loud_model"


@pytest.mark.parametrize(
    ("name", "says"), [("ehco", "did you mean echo"), ("../echo", "no model adapter"), ("models.echo", "no model")]
)
def test_an_unknown_name(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=says):
        model_adapter(name, [tmp_path])


def test_a_name_of_the_users_is_meant(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean loudest"):
        model_adapter("loudset", [catalogue(tmp_path / "c", loudest=ADAPTER)])


@pytest.mark.parametrize("text", ["import no_such_lib.part\n", "from no_such_lib import x\n"])
def test_a_missing_library(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = "needs the package no_such_lib: pip install no_such_lib"
    with pytest.raises(ModelError, match=f"adapter 'loud' {wanted}"):
        model_adapter("loud", [catalogue(tmp_path / "c", loud=text + ADAPTER)])
    (tmp_path / "loud_lacking.py").write_text(text + ADAPTER)
    distribution(tmp_path, "lacking = loud_lacking")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=f"adapter 'lacking' {wanted}"):
        model_adapter("lacking")
    with pytest.raises(ModelError, match="adapter 'x' needs the package no_such_lib: pip install 'y>=2'"):
        library("no_such_lib", "x", "'y>=2'")


def test_a_file_that_fails_or_is_no_adapter(tmp_path: Path) -> None:
    folder = catalogue(
        tmp_path / "c", broken="1 / 0\n", half="def describe(spec): ...\n", lost="import assay.nothing\n"
    )
    with pytest.raises(SpecError, match=r"broken\.py: ZeroDivisionError"):
        model_adapter("broken", [folder])
    with pytest.raises(SpecError, match=r"'half' .*half\.py\) has no function load"):
        model_adapter("half", [folder])
    with pytest.raises(ModuleNotFoundError, match=r"assay\.nothing"):
        model_adapter("lost", [folder])


def test_names_are_ours_and_imports_are_light() -> None:
    code = (
        "import sys; from adapters import model_adapter; model_adapter('openai'); model_adapter('echo');"
        "assert not {'openai', 'torch', 'transformers', 'duckdb', 'pyarrow'} & set(sys.modules)\n"
        "import openai; assert openai.OpenAI and openai is not model_adapter('openai')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.returncode == 0, done.stderr

"""What is passed through to torch and transformers: a compiled network, weights that are quantized."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hf_models import LINES, answers, close, save, score, spec, write

from adapters.models import hf
from assay.errors import ModelError

ASKED = [
    score("choice", LINES[1], " four", " two plus two"),
    score("other", LINES[0], " cat"),
    write("text", LINES[2], max_tokens=6),
]
INT8 = {"quant_method": "quanto", "weights": "int8"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def traced() -> Iterator[None]:
    """torch.compile follows the network and runs it as it is: what takes minutes is to make machine code of it."""
    import torch

    torch.compiler.set_default_backend("eager")
    yield
    torch.compiler.reset()
    torch.compiler.set_default_backend("inductor")


def test_a_compiled_network_gives_the_same_answers(made: Path, traced: None) -> None:
    from torch._dynamo.utils import counters

    counters.clear()
    compiled = answers(hf.load(spec(made, compile=True)), ASKED[:1])
    assert counters["frames"]["ok"] > 0
    assert close(compiled["choice"], answers(hf.load(spec(made)), ASKED[:1])["choice"])


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own
def test_a_network_made_into_machine_code_gives_the_same_answers(made: Path) -> None:
    compiled, plain = (answers(hf.load(spec(made, device="auto", compile=one)), ASKED) for one in (True, False))
    assert all(close(compiled[k], plain[k]) and compiled[k].text == plain[k].text for k in plain)


def test_compiling_is_not_in_the_identity(made: Path) -> None:
    assert hf.describe(spec(made, compile=True)).identity == hf.describe(spec(made)).identity


@pytest.mark.parametrize("how", [{"device_map": "auto"}, {"attention": "eager"}])
def test_where_and_how_it_is_computed_changes_no_answer(made: Path, how: dict[str, Any]) -> None:
    other, plain = answers(hf.load(spec(made, **how)), ASKED), answers(hf.load(spec(made)), ASKED)
    assert all(close(other[k], plain[k]) and other[k].text == plain[k].text for k in plain)
    assert hf.describe(spec(made, **how)).identity == hf.describe(spec(made)).identity


def test_quantized_weights_give_other_answers_that_are_near(made: Path) -> None:
    pytest.importorskip("optimum.quanto")
    exact, rough = (answers(hf.load(spec(made, **how)), ASKED) for how in ({}, {"quantization": INT8}))
    for name in ("choice", "other"):
        assert rough[name].sums == pytest.approx(exact[name].sums, rel=0.1)
        assert rough[name].sums != pytest.approx(exact[name].sums, rel=1e-4)


def test_quantization_is_in_the_identity(made: Path) -> None:
    four = {"quant_method": "quanto", "weights": "int4"}
    ways = ({}, {"quantization": INT8}, {"quantization": four})
    plain, int8, int4 = (hf.describe(spec(made, **how)).identity for how in ways)
    assert int8["quantization"] == INT8
    assert len({json.dumps(dict(one)) for one in (plain, int8, int4)}) == 3


def fp8(folder: Path) -> None:
    """Store the layers' weights in eight bits with a scale, and say so in the configuration, as releases do."""
    import torch
    from safetensors.torch import load_file, save_file

    stored: dict[str, Any] = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        stored[name] = weight
        if name.endswith("proj.weight"):
            scale = weight.abs().max() / torch.finfo(torch.float8_e4m3fn).max
            stored[name] = (weight / scale).to(torch.float8_e4m3fn)
            stored[f"{name}_scale_inv"] = scale.reshape(1, 1)
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    how = {"quant_method": "fp8", "weight_block_size": [128, 128], "dequantize": True}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": how}))


def test_a_folder_that_is_quantized_loads(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "fp8"))
    fp8(folder)
    exact, rough = (answers(hf.load(spec(one)), ASKED) for one in (made, folder))
    assert rough["choice"].sums == pytest.approx(exact["choice"].sums, rel=0.1)
    assert rough["choice"].sums != pytest.approx(exact["choice"].sums, rel=1e-4)
    assert hf.describe(spec(folder)).identity != hf.describe(spec(made)).identity


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"quant_method": "quant"}, "quantization: .*got quant - supported types are"),
        ({"weights": "int8"}, "quantization: .*no `quant_method`"),
        (INT8 | {"weights": "int7"}, "quantization: .*int7"),
        ({"quant_method": "quanto", "weight": "int8"}, "no option of QuantoConfig 'weight'; did you mean weights"),
    ],
)
def test_quantization_that_there_is_not(made: Path, told: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        hf.load(spec(made, quantization=told))


def test_a_library_that_is_missing(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(ModelError, match="quantization: it needs the package torchao: pip install torchao"):
        hf.load(spec(made, quantization={"quant_method": "torchao", "quant_type": {"default": {}}}))

"""A model of vLLM as it is described: from its files, in an environment without vLLM."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hf_models import save, spec, user

from adapters import model_adapter
from adapters.models import hf, vllm
from adapters.vllm_engine import lora
from assay.errors import ModelError
from assay.spec import ModelSpec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"), chat=True)


def adapted(folder: Path, layers: tuple[str, ...] = ("q_proj", "v_proj"), **config: Any) -> Path:
    """A LoRA adapter's folder."""
    import torch
    from safetensors.torch import save_file

    names = [
        f"base_model.model.model.layers.0.self_attn.{layer}.lora_{side}.weight" for layer in layers for side in "AB"
    ]
    save_file({name: torch.zeros(2, 2) for name in names}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2, "target_modules": list(layers), **config}))
    return folder


def mine(folder: Path, **options: Any) -> ModelSpec:
    return ModelSpec(adapter="vllm", path=str(folder), options=options)


def identity(folder: Path, **options: Any) -> dict[str, Any]:
    return dict(vllm.describe(mine(folder, **options)).identity)


def test_it_is_what_hf_describes_but_for_the_adapter(made: Path) -> None:
    ours, theirs = vllm.describe(mine(made, dtype="float32")), hf.describe(spec(made, dtype="float32"))
    assert dict(ours.identity) == {**theirs.identity, "adapter": "vllm"}
    assert ours.kinds == theirs.kinds - {"embed"}
    assert (ours.needs, ours.chat, ours.max_length) == (
        theirs.needs, theirs.chat, theirs.max_length,
    )  # fmt: skip
    assert vllm.rendered(mine(made), user("The cat?"), "generate") == "<s><user>The cat?</s><assistant>"


def test_describing_needs_neither_vllm_nor_torch(made: Path) -> None:
    code = (
        "import sys; sys.modules['vllm'] = None; from adapters.models import vllm; from assay.spec import ModelSpec;"
        f"vllm.describe(ModelSpec(adapter='vllm', path={str(made)!r}));"
        "sys.exit(str([m for m in ('torch', 'transformers', 'peft', 'huggingface_hub') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_how_it_is_run_changes_no_identity(made: Path) -> None:
    spread = {"tensor_parallel_size": 4, "pipeline_parallel_size": 2}
    info = vllm.describe(mine(made, **spread, gpu_memory_utilization=0.5, max_num_seqs=8, enforce_eager=True))
    assert dict(info.identity) == identity(made) == identity(made, prefix_caching=False, read_prefix_cache=False)
    assert info.facts["devices"] == 8


def test_what_changes_answers_changes_the_identity(made: Path, tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        {}, {"dtype": "bfloat16"}, {"max_length": 50}, {"add_bos": False}, {"chat": False}, {"quantization": "fp8"},
        {"engine": {"kv_cache_dtype": "fp8"}}, {"lora": str(adapted(tmp_path))},
    ]  # fmt: skip
    assert len({json.dumps(identity(made, **one), sort_keys=True) for one in options}) == len(options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tensor_paralel_size": 2}, "no option of vllm 'tensor_paralel_size'; did you mean tensor_parallel_size"),
        ({"tensor_parallel_size": 0}, "options of vllm:.*tensor_parallel_size"),
        ({"gpu_memory_utilization": 1.5}, "options of vllm:.*gpu_memory_utilization"),
        ({"engine": {"max_model_len": 9}}, "'max_model_len' is no further argument: it is what max_length says"),
        ({"lora": "nowhere"}, "PEFT adapter nowhere: no such folder"),
        ({"tokenizer": "nowhere"}, "tokenizer nowhere: no such folder"),
    ],
)
def test_what_is_wrong_is_said(made: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        vllm.describe(mine(made, **options))


def test_what_the_engine_is_told_of_a_lora_adapter(tmp_path: Path) -> None:
    """Only the layers that it changes: with the output layer among them, vLLM scores no texts on a CPU."""
    told = lora.arguments(adapted(tmp_path, r=9, rank_pattern={"q_proj": 20}))
    assert told == {"enable_lora": True, "max_lora_rank": 32, "lora_target_modules": ["q_proj", "v_proj"]}
    for changes, said in (
        ({"r": 1000}, "rank 1000, and vLLM takes 512 at most"),
        ({"layers": ("lm_head",)}, "lm_head"),
    ):
        with pytest.raises(ModelError, match=said):
            lora.arguments(adapted(tmp_path, **changes))


def test_where_vllm_is_missing_that_is_said(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "find_spec", lambda name: None)
    for function in (model_adapter("vllm").ready, vllm.load):
        with pytest.raises(ModelError, match=r"needs the package vllm, .* \(docs/vllm.md .*pool"):
            function(mine(made))

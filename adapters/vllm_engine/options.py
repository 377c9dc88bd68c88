"""What a user may say of a model that vLLM runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from adapters.hf.options import Common

OWN: Mapping[str, str] = {
    "model": "the model's path", "tokenizer": "tokenizer", "dtype": "dtype", "max_model_len": "max_length",
    "trust_remote_code": "trust_remote_code", "revision": "revision", "quantization": "quantization",
    "enable_lora": "lora", "max_lora_rank": "lora",
    "lora_target_modules": "lora", "enable_prefix_caching": "prefix_caching",
    "tensor_parallel_size": "tensor_parallel_size", "pipeline_parallel_size": "pipeline_parallel_size",
    "gpu_memory_utilization": "gpu_memory_utilization", "max_num_seqs": "max_num_seqs",
    "enforce_eager": "enforce_eager",
}  # fmt: skip
"""Arguments of vLLM's engine that are said otherwise."""


class Options(Common):
    """The options of `vllm:PATH`; those from `prefix_caching` on change no answer."""

    quantization: str | None = None
    """How weights are quantized, as vLLM names it: awq, gptq, fp8 …; by default as the configuration says."""
    lora: str | None = None
    """Folder of a PEFT LoRA adapter to put on the model."""
    engine: dict[str, Any] = {}
    """Further arguments of `vllm.LLM`. They are taken to change answers, as some do: new ones are a new model."""
    prefix_caching: bool = True
    """Keep what was computed of a prompt for others that begin in the same way."""
    read_prefix_cache: bool = True
    """Read that cache for continuations of several tokens too, in a way that vLLM does not document: each answer is
    checked, and asked for without the cache where it may not stand."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """Devices over which each layer is spread."""
    pipeline_parallel_size: int = Field(default=1, ge=1)
    """Groups of devices over which the layers are dealt."""
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    """The part of a device's memory (on a CPU, of the machine's) that weights and cache may take; by default vLLM's."""
    max_num_seqs: int | None = Field(default=None, ge=1)
    """Prompts that are computed at once at most; by default vLLM's."""
    enforce_eager: bool = False
    """Run the network as it is written: starts sooner, runs slower."""

    @field_validator("engine")
    @classmethod
    def _further(cls, engine: dict[str, Any]) -> dict[str, Any]:
        for name in engine:
            if name in OWN:
                raise ValueError(f"{name!r} is no further argument: it is what {OWN[name]} says")
        return engine

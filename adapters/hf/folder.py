"""What lies in a model's folder: configuration, weights, tokenizer; read without loading the model."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from adapters import library
from adapters.hf.digests import file_digest
from assay.errors import ModelError

WEIGHTS = ("*.safetensors", "*.bin")
SMALL = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py")
TOKENIZER = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "*.tiktoken",
    "chat_template.jinja",
)  # fmt: skip
LENGTHS = ("n_positions", "max_position_embeddings", "n_ctx")
DEFAULT_LENGTH = 2048
UNLIMITED = 1_000_000_000_000
"""A tokenizer that knows no limit writes 1e30."""
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class Folder(NamedTuple):
    """Where a model lies."""

    path: Path
    commit: str | None
    """Of the hub's repository that the folder is a snapshot of; None for a folder of the user's own."""


def locate(path: str, revision: str | None, patterns: Sequence[str]) -> Folder:
    """The folder of a model: the one of that name, else a snapshot from the hub with the files of these patterns.

    Raises ModelError where there is neither.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return Folder(folder, None)
    if not _HUB_NAME.fullmatch(path):
        what = "is a file, not a folder" if folder.exists() else "no such folder"
        raise ModelError(f"model {path}: {what}; wanted one with config.json and weights, or OWNER/NAME of the hub")
    hub = library("huggingface_hub", "hf")
    try:
        snapshot = Path(hub.snapshot_download(path, revision=revision, allow_patterns=list(patterns)))
    except (hub.errors.HfHubHTTPError, OSError, ValueError) as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"model {path}: no such folder, and not to be had from the hub: {cause}") from error
    return Folder(snapshot, snapshot.name)


def read_json(path: Path) -> dict[str, Any]:
    """The map in a JSON file, an empty one where there is no file. Raises ModelError where it holds something else."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: wanted a JSON map, got {type(value).__name__}")
    return value


def config_of(folder: Path) -> dict[str, Any]:
    """The model's configuration. Raises ModelError where it is missing or of a model that is not causal."""
    config = read_json(folder / "config.json")
    if not config:
        there = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        hint = "a PEFT adapter: name its base model, and it as option peft; " if _is_peft(folder) else ""
        raise ModelError(f"model {folder}: no config.json; {hint}the folder holds {there}")
    if config.get("is_encoder_decoder"):
        raise ModelError(f"model {folder}: an encoder-decoder ({config.get('model_type')}); hf runs causal models")
    return config


def has_head(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a network that gives probabilities of the next token, and not hidden states alone
    (BertModel) or those of a masked token."""
    names = [str(name) for name in config.get("architectures") or ()]
    bare = all(name.endswith(("Model", "ForMaskedLM")) and not name.endswith("LMHeadModel") for name in names)
    return not names or not bare or "AutoModelForCausalLM" in (config.get("auto_map") or {})


def weights_of(folder: Path) -> list[Path]:
    """The files of the model's weights. Raises ModelError where there are none, or fewer than their index names."""
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        names = sorted(set(read_json(folder / index).get("weight_map", {}).values()))
        missing = [name for name in names if not (folder / name).exists()]
        if missing:
            raise ModelError(f"model {folder}: {index} names {len(names)} files, missing are {', '.join(missing[:3])}")
        if names:
            return [folder / name for name in names]
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).exists():
            return [folder / name]
    there = ", ".join(sorted(p.name for p in folder.iterdir())[:8])
    raise ModelError(f"model {folder}: no weights: wanted model.safetensors or pytorch_model.bin; it holds {there}")


def peft_of(folder: Path) -> list[Path]:
    """The files of a PEFT adapter. Raises ModelError for a folder that holds none."""
    if not _is_peft(folder):
        raise ModelError(f"PEFT adapter {folder}: no such folder with an adapter_config.json")
    files = [p for name in ("adapter_model.safetensors", "adapter_model.bin") if (p := folder / name).exists()]
    if not files:
        raise ModelError(f"PEFT adapter {folder}: no weights: wanted adapter_model.safetensors or adapter_model.bin")
    return [folder / "adapter_config.json", files[0]]


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that make the tokenizer. Raises ModelError where there are none."""
    files = sorted({path for name in TOKENIZER for path in folder.glob(name)})
    if not files:
        raise ModelError(f"model {folder}: no tokenizer; wanted tokenizer.json or its like, or the option tokenizer")
    return files


def digests_of(files: Sequence[Path]) -> dict[str, str]:
    """File name -> SHA-256."""
    return {path.name: file_digest(path) for path in files}


def chat_template_of(folder: Path) -> str | None:
    """The tokenizer's default chat template; None for a model that has none."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text()
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):  # several by name
        template = {t.get("name"): t.get("template") for t in template}.get("default")
    return template if isinstance(template, str) else None


def max_length_of(config: Mapping[str, Any], tokenizer: Path) -> int:
    """How many tokens the model sees: as lm-evaluation-harness finds it, from the configuration, else the tokenizer."""
    for part in (config.get("text_config") or {}, config):
        for name in LENGTHS:
            if isinstance(part.get(name), int):
                return int(part[name])
    limit = read_json(tokenizer / "tokenizer_config.json").get("model_max_length")
    return int(limit) if isinstance(limit, int | float) and limit < UNLIMITED else DEFAULT_LENGTH


class Tensors(NamedTuple):
    """What the headers of weight files say."""

    parameters: int | None
    """None where the files are not safetensors."""
    dtype: str | None
    """Of most parameters."""


def tensors_of(files: Sequence[Path]) -> Tensors:
    """The number of parameters and their type. Raises ModelError for a file that is not what its name says."""
    counts: dict[str, int] = {}
    for path in files:
        if path.suffix != ".safetensors":
            return Tensors(None, None)
        for name, tensor in header(path).items():
            if name != "__metadata__":
                counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + prod(tensor["shape"])
    return Tensors(sum(counts.values()), DTYPES.get(max(counts, key=counts.__getitem__, default="")))


def header(path: Path) -> dict[str, Any]:
    """Names, types and shapes of a safetensors file's tensors. Raises ModelError where it is not one, or not whole."""
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= size <= path.stat().st_size - 8:
            raise ModelError(f"{path} is not a whole safetensors file ({path.stat().st_size} bytes)")
        try:
            header: dict[str, Any] = json.loads(file.read(size))
        except ValueError as error:
            raise ModelError(f"{path} is not a safetensors file: {error}") from error
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    there, told = path.stat().st_size, 8 + size + max(ends, default=0)
    if there != told:
        raise ModelError(f"{path} is not a whole safetensors file: {there} bytes, and its header tells of {told}")
    return header


def _is_peft(folder: Path) -> bool:
    return (folder / "adapter_config.json").exists()

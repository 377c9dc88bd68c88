"""What is known of a model from its files alone: what makes its answers what they are, and how texts are put to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adapters.hf.engine import load_tokenizer, stop_tokens
from adapters.hf.folder import (
    SMALL,
    Folder,
    Tensors,
    chat_template_of,
    config_of,
    digests_of,
    locate,
    max_length_of,
    peft_of,
    read_json,
    tensors_of,
    tokenizer_files,
    weights_of,
)
from adapters.hf.halves import KINDS
from adapters.hf.options import Common
from adapters.hf.texts import Texts
from assay.errors import ModelError
from assay.keys import digest, key
from assay.spec import ModelSpec
from assay.types import Kind, Message, ModelInfo, Request

INCIDENTAL = ("transformers_version", "_name_or_path", "use_cache", "torch_dtype", "dtype")
"""Keys of a configuration that change no answer, or are in the identity by themselves."""


class Known(NamedTuple):
    """A model's files, read."""

    folder: Folder
    config: Mapping[str, Any]
    files: Sequence[Path]
    """Of the weights; none for a model of the hub, which is known by its commit."""
    tensors: Tensors
    tokenizer: Path
    """The folder that the tokenizer lies in."""
    chat: bool
    """Whether messages go through the chat template."""
    dtype: str
    max_length: int


def known(spec: ModelSpec, options: Common, patterns: Sequence[str] = SMALL) -> Known:
    """What there is of a model; one of the hub is fetched as far as these patterns say.

    Raises ModelError for a folder that is no model's, or lacks what the options ask for.
    """
    folder = locate(spec.path, options.revision, patterns)
    config = config_of(folder.path)
    files = [] if folder.commit else weights_of(folder.path)
    tensors = tensors_of(files)
    tokenizer = Path(options.tokenizer).expanduser() if options.tokenizer else folder.path
    if not tokenizer.is_dir():
        raise ModelError(f"tokenizer {tokenizer}: no such folder")
    chat = _is_chat(spec, options, tokenizer)
    length = options.max_length or max_length_of(config, tokenizer)
    return Known(folder, config, files, tensors, tokenizer, chat, _dtype(options, config, tensors.dtype), length)


def info(
    model: Known, identity: Mapping[str, Any], facts: Mapping[str, Any], kinds: frozenset[str] = KINDS
) -> ModelInfo:
    """The model as it is described, with its adapter's own facts, and the kinds of request that this one answers."""
    return ModelInfo(
        identity=identity,
        kinds=kinds,
        needs=frozenset({"prompt_sums", "token_logprobs", "windows"}) if "loglikelihood" in kinds else frozenset(),
        chat=model.chat,
        max_length=model.max_length,
        facts={
            "parameters": model.tensors.parameters,
            "architecture": (model.config.get("architectures") or [None])[0],
            **facts,
        },
    )


def identity(spec: ModelSpec, options: Common, model: Known) -> dict[str, Any]:
    """What changes an answer. A model of the hub is known by its commit, one of the user's own by its weights."""
    path, commit = model.folder
    config = {name: value for name, value in model.config.items() if name not in INCIDENTAL}
    same: dict[str, Any] = {
        "adapter": spec.adapter,
        "weights": {"hub": spec.path, "commit": commit} if commit else key(digests_of(model.files)),
        "config": key(config, read_json(path / "generation_config.json").get("eos_token_id")),
        "tokenizer": key(digests_of(tokenizer_files(model.tokenizer))),
        "dtype": model.dtype,
        "max_length": model.max_length,
    }
    if spec.meta_template:
        same["meta_template"] = spec.meta_template.model_dump(mode="json")
    elif model.chat:
        same["chat_template"] = digest((chat_template_of(model.tokenizer) or "").encode())
    if options.add_bos is not None:
        same["add_bos"] = options.add_bos
    if options.trust_remote_code:
        same["remote_code"] = key(digests_of(sorted(path.glob("*.py"))))
    return same


def adapter_identity(folder: str) -> str:
    """What distinguishes a PEFT adapter from others. Raises ModelError for a folder that holds none."""
    return key(digests_of(peft_of(Path(folder).expanduser())))


def texts_of(spec: ModelSpec, options: Common, model: Known) -> Texts:
    """The tokenizer with the templates around it. Raises ModelError where it does not load."""
    tokenizer = load_tokenizer(model.tokenizer, options.trust_remote_code)
    return Texts(tokenizer, spec.meta_template, model.chat, options.add_bos)


def text_of(spec: ModelSpec, options: Common, messages: Sequence[Message], kind: Kind) -> str:
    """The text that the model gets for messages, before it is cut to its length; only the tokenizer is loaded."""
    return texts_of(spec, options, known(spec, options)).prompt(Request("", kind, messages)).text


def counts_of(spec: ModelSpec, options: Common) -> Callable[[Request], int]:
    """A function that says how many tokens a request is, with its longest continuation, before it is cut; only the
    tokenizer is loaded."""
    texts = texts_of(spec, options, known(spec, options))

    def count(request: Request) -> int:
        prompt = texts.prompt(request)
        if not request.continuations:
            return len(texts.encode([prompt.text])[0])
        pairs = texts.pairs([(prompt.text, prompt.after(text)) for text in request.continuations])
        return max(len(context) + len(continuation) for context, continuation in pairs)

    return count


def stops_of(model: Known, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a text."""
    return stop_tokens(model.config, read_json(model.folder.path / "generation_config.json"), tokenizer)


def _is_chat(spec: ModelSpec, options: Common, tokenizer: Path) -> bool:
    """Whether messages go through the chat template. Raises ModelError where that is asked for and there is none."""
    template = chat_template_of(tokenizer)
    if options.chat and template is None:
        raise ModelError(f"chat: the tokenizer in {tokenizer} has no chat template; give the model a meta_template")
    return spec.meta_template is None and template is not None and options.chat is not False


def _dtype(options: Common, config: Mapping[str, Any], stored: str | None) -> str:
    """The type of the weights: asked for, else as the configuration says, else as they are stored."""
    if options.dtype != "auto":
        return options.dtype
    for part in (config, config.get("text_config") or {}):
        named = part.get("dtype") or part.get("torch_dtype")
        if isinstance(named, str):
            return named.removeprefix("torch.")
    return stored or "float32"

"""Any causal language model of transformers, base or chat: `hf:FOLDER`, or `hf:OWNER/NAME` for one of the hub.

Prompts that are too long lose their left end. For scoring, context and continuation together have at most one token
more than the model sees; for writing, the prompt leaves room for `max_tokens`, or for half of the window where they
would fill it. The options are those of `adapters/hf/options.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.hf.folder import (
    SMALL,
    WEIGHTS,
    Folder,
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
from adapters.hf.options import Options, options_of
from assay.errors import ModelError
from assay.keys import digest, key
from assay.spec import ModelSpec
from assay.types import Completion, Kind, Message, Model, ModelInfo, Request

if TYPE_CHECKING:
    from adapters.hf.texts import Texts

SCORING = frozenset({"loglikelihood", "rolling", "choice"})
KINDS = SCORING | {"generate"}
INCIDENTAL = ("transformers_version", "_name_or_path", "use_cache", "torch_dtype", "dtype")
"""Keys of a configuration that change no answer, or are in the identity by themselves."""


def describe(spec: ModelSpec) -> ModelInfo:
    """What is known of the model from its files; nothing is loaded.

    Raises ModelError for a folder that is no model's, an option that there is not, or a library that is missing.
    """
    options = options_of(spec)
    for package in ("torch", "transformers", *(["peft"] if options.peft else [])):
        if find_spec(package) is None:
            raise ModelError(f"adapter 'hf' needs the package {package}: pip install {package}")
    folder = locate(spec.path, options.revision, SMALL)
    config = config_of(folder.path)
    tokenizer = _tokenizer_folder(folder.path, options)
    files = [] if folder.commit else weights_of(folder.path)
    tensors = tensors_of(files)
    chat = _is_chat(spec, options, tokenizer)
    dtype = _dtype(options, config, tensors.dtype)
    return ModelInfo(
        identity=_identity(spec, options, folder, files, dtype, chat),
        kinds=KINDS,
        needs=frozenset({"prompt_sums", "token_logprobs"}),
        chat=chat,
        max_length=_max_length(options, config, tokenizer),
        facts={
            "parameters": tensors.parameters,
            "architecture": (config.get("architectures") or [None])[0],
            "device": options.device_map or options.device,
            "torch": version("torch"),
            "transformers": version("transformers"),
        },
    )


def load(spec: ModelSpec) -> Model:
    """The model, on its device. Raises ModelError where it cannot be loaded."""
    from adapters.hf.engine import Paths, load_engine, stop_tokens
    from adapters.hf.generation import Generation
    from adapters.hf.likelihood import Likelihood

    options = options_of(spec)
    folder, commit = locate(spec.path, options.revision, (*SMALL, *WEIGHTS))
    config = config_of(folder)
    stored = None if commit else tensors_of(weights_of(folder)).dtype  # as describe, which sees no weights of the hub
    place = _tokenizer_folder(folder, options)
    peft = Path(options.peft).expanduser() if options.peft else None
    texts = _texts(spec, options, place)
    dtype, length = _dtype(options, config, stored), _max_length(options, config, place)
    engine = load_engine(Paths(folder, peft), dtype, length, options)
    stops = stop_tokens(config, read_json(folder / "generation_config.json"), texts.tokenizer)
    return HF(Likelihood(engine, texts), Generation(engine, texts, stops))


def rendered(spec: ModelSpec, messages: Sequence[Message], kind: Kind) -> str:
    """The text that the model gets for messages, before it is cut to its length; only the tokenizer is loaded.

    Raises SpecError and ModelError as `load` does, ModelError for a dialogue that the chat template refuses.
    """
    options = options_of(spec)
    folder = locate(spec.path, options.revision, SMALL).path
    return _texts(spec, options, _tokenizer_folder(folder, options)).prompt(Request("", kind, messages)).text


def _texts(spec: ModelSpec, options: Options, place: Path) -> Texts:
    from adapters.hf.engine import load_tokenizer
    from adapters.hf.texts import Texts

    tokenizer = load_tokenizer(place, options)
    return Texts(tokenizer, spec.meta_template, _is_chat(spec, options, place), options.add_bos)


class HF:
    """A loaded model: one half scores texts, the other writes them."""

    def __init__(self, likelihood: Any, generation: Any) -> None:
        self.likelihood, self.generation = likelihood, generation

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Completion]]:
        """The completions of all requests, a batch as soon as it is done; what fails has an error."""
        other = [r for r in requests if r.kind not in KINDS]
        if other:
            yield [Completion(r.key, error=f"hf cannot answer requests of kind {r.kind!r}") for r in other]
        yield from self.likelihood.answer([r for r in requests if r.kind in SCORING])
        yield from self.generation.answer([r for r in requests if r.kind == "generate"])


def _identity(
    spec: ModelSpec, options: Options, folder: Folder, files: Sequence[Path], dtype: str, chat: bool
) -> dict[str, Any]:
    """What changes an answer. A model of the hub is known by its commit, one of the user's own by its weights."""
    path, tokenizer = folder.path, _tokenizer_folder(folder.path, options)
    config = {name: value for name, value in config_of(path).items() if name not in INCIDENTAL}
    identity: dict[str, Any] = {
        "adapter": "hf",
        "weights": {"hub": spec.path, "commit": folder.commit} if folder.commit else key(digests_of(files)),
        "config": key(config, read_json(path / "generation_config.json").get("eos_token_id")),
        "tokenizer": key(digests_of(tokenizer_files(tokenizer))),
        "dtype": dtype,
        "max_length": _max_length(options, config, tokenizer),
    }
    if spec.meta_template:
        identity["meta_template"] = spec.meta_template.model_dump(mode="json")
    elif chat:
        identity["chat_template"] = digest((chat_template_of(tokenizer) or "").encode())
    if options.peft:
        identity["peft"] = key(digests_of(peft_of(Path(options.peft).expanduser())))
    if options.add_bos is not None:
        identity["add_bos"] = options.add_bos
    if options.trust_remote_code:
        identity["remote_code"] = key(digests_of(sorted(path.glob("*.py"))))
    return identity


def _tokenizer_folder(folder: Path, options: Options) -> Path:
    if options.tokenizer is None:
        return folder
    path = Path(options.tokenizer).expanduser()
    if not path.is_dir():
        raise ModelError(f"tokenizer {path}: no such folder")
    return path


def _is_chat(spec: ModelSpec, options: Options, tokenizer: Path) -> bool:
    """Whether messages go through the chat template. Raises ModelError where that is asked for and there is none."""
    template = chat_template_of(tokenizer)
    if options.chat and template is None:
        raise ModelError(f"chat: the tokenizer in {tokenizer} has no chat template; give the model a meta_template")
    return spec.meta_template is None and template is not None and options.chat is not False


def _dtype(options: Options, config: dict[str, Any], stored: str | None) -> str:
    """The type of the weights: asked for, else as the configuration says, else as they are stored."""
    if options.dtype != "auto":
        return options.dtype
    for part in (config, config.get("text_config") or {}):
        named = part.get("dtype") or part.get("torch_dtype")
        if isinstance(named, str):
            return named.removeprefix("torch.")
    return stored or "float32"


def _max_length(options: Options, config: dict[str, Any], tokenizer: Path) -> int:
    return options.max_length or max_length_of(config, tokenizer)

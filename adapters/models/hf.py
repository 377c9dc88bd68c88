"""Any causal language model of transformers, base or chat: `hf:FOLDER`, or `hf:OWNER/NAME` for one of the hub. It
embeds too, and a network without a head, such as BERT, does nothing else.

Prompts that are too long lose their left end. For scoring, context and continuation together have at most one token
more than the model sees; for writing, the prompt leaves room for `max_tokens`, or for half of the window where they
would fill it. The options are those of `adapters/hf/options.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from adapters.hf.folder import SMALL, WEIGHTS, has_head
from adapters.hf.halves import EMBEDDING, KINDS, Halves
from adapters.hf.known import adapter_identity, counts_of, identity, info, known, stops_of, text_of, texts_of
from adapters.hf.options import Options, options_of
from assay.errors import ModelError
from assay.spec import ModelSpec
from assay.types import Kind, Message, Model, ModelInfo, Request


def describe(spec: ModelSpec) -> ModelInfo:
    """What is known of the model from its files; nothing is loaded.

    Raises ModelError for a folder that is no model's, an option that there is not, or a library that is missing.
    """
    options = options_of(spec, Options)
    for package in ("torch", "transformers", *(["peft"] if options.peft else [])):
        if find_spec(package) is None:
            raise ModelError(f"adapter 'hf' needs the package {package}: pip install {package}")
    model = known(spec, options)
    same = identity(spec, options, model) | ({"peft": adapter_identity(options.peft)} if options.peft else {})
    if options.quantization is not None:
        same["quantization"] = options.quantization
    facts = {
        "device": options.device_map or options.device,
        "devices": options.tensor_parallel,
        "torch": version("torch"),
        "transformers": version("transformers"),
    }
    return info(model, same, facts, KINDS | EMBEDDING if has_head(model.config) else EMBEDDING)


def load(spec: ModelSpec) -> Model:
    """The model, on its device or devices. Raises ModelError where it cannot be loaded."""
    options = options_of(spec, Options)
    if options.tensor_parallel == 1:
        return load_here(spec, options)
    from adapters.hf.parallel import Spread

    return Spread(spec, options, lambda: load_here(spec, options))


def load_here(spec: ModelSpec, options: Options) -> Halves:
    """The model, or this process's part of it. Raises ModelError where it cannot be loaded."""
    from adapters.hf.embedding import Embedding
    from adapters.hf.engine import Paths, load_engine
    from adapters.hf.generation import Generation
    from adapters.hf.likelihood import Likelihood
    from adapters.hf.packing import Packing
    from adapters.hf.probe import Probe

    model = known(spec, options, (*SMALL, *WEIGHTS))
    peft = Path(options.peft).expanduser() if options.peft else None
    texts, head = texts_of(spec, options, model), has_head(model.config)
    engine = load_engine(Paths(model.folder.path, peft), model.dtype, model.max_length, options, head)
    embedding = Embedding(engine, texts.tokenizer)
    if not head:
        return Halves("hf", None, None, embedding)
    probe = Probe(Packing(engine))
    generation = Generation(engine, texts, stops_of(model, texts.tokenizer), probe)
    return Halves("hf", Likelihood(engine, texts, probe), generation, embedding)


def rendered(spec: ModelSpec, messages: Sequence[Message], kind: Kind) -> str:
    """The text that the model gets for messages, before it is cut to its length; only the tokenizer is loaded.

    Raises SpecError and ModelError as `load` does, ModelError for a dialogue that the chat template refuses.
    """
    return text_of(spec, options_of(spec, Options), messages, kind)


def counter(spec: ModelSpec) -> Callable[[Request], int]:
    """A function that says how many tokens a request is, its longest continuation included, before it is cut; only the
    tokenizer is loaded. Raises as `rendered` does."""
    return counts_of(spec, options_of(spec, Options))

"""A causal language model in vLLM's own engine, in this process: `vllm:FOLDER`, or `vllm:OWNER/NAME` of the hub.

What it is asked, token for token, is what `hf` asks (texts, templates, windows, what is cut where a prompt is too
long), and its log-probabilities are the same within what the type of the weights can tell. The options are those of
`adapters/vllm_engine/options.py`. vLLM lives in an environment of its own; describing a model needs its files alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from adapters.hf.folder import SMALL, WEIGHTS
from adapters.hf.halves import Halves
from adapters.hf.known import adapter_identity, counts_of, identity, info, known, stops_of, text_of, texts_of
from adapters.hf.options import options_of
from adapters.vllm_engine import lora
from adapters.vllm_engine.options import Options
from assay.errors import ModelError
from assay.spec import ModelSpec
from assay.types import Kind, Message, Model, ModelInfo, Request


def describe(spec: ModelSpec) -> ModelInfo:
    """What is known of the model from its files; vLLM need not be here.

    Raises ModelError for a folder that is no model's, an option that there is not, or a LoRA adapter that vLLM does not
    take.
    """
    options = options_of(spec, Options)
    model = known(spec, options)
    same = identity(spec, options, model)
    for name in ("quantization", "engine"):
        if value := getattr(options, name):
            same[name] = value
    if options.lora:
        lora.arguments(Path(options.lora).expanduser())
        same["lora"] = adapter_identity(options.lora)
    return info(model, same, {"devices": options.tensor_parallel_size * options.pipeline_parallel_size})


def ready(spec: ModelSpec) -> None:
    """Raise ModelError where vLLM is not in this environment, which `describe` can do without."""
    if find_spec("vllm") is None:
        raise ModelError(
            f"{spec.label} needs the package vllm, which has an environment of its own (docs/vllm.md says how to make "
            "it): run assay there, or in compute name a pool whose worker lives there"
        )


def load(spec: ModelSpec) -> Model:
    """The model in vLLM's engine. Raises ModelError where vLLM is missing or the model does not load."""
    from adapters.hf.drafts import Drafts
    from adapters.hf.spans import Spans
    from adapters.vllm_engine.engine import load_engine
    from adapters.vllm_engine.scoring import Scoring
    from adapters.vllm_engine.writing import Writing

    options = options_of(spec, Options)
    ready(spec)
    model = known(spec, options, (*SMALL, *WEIGHTS))
    texts = texts_of(spec, options, model)
    engine = load_engine(model, options)
    scoring = Scoring(engine, Spans(texts, model.max_length), options.prefix_caching and options.read_prefix_cache)
    return Halves("vllm", scoring, Writing(engine, Drafts(texts, model.max_length, stops_of(model, texts.tokenizer))))


def rendered(spec: ModelSpec, messages: Sequence[Message], kind: Kind) -> str:
    """The text that the model gets for messages, before it is cut to its length; only the tokenizer is loaded.

    Raises SpecError and ModelError as `load` does, ModelError for a dialogue that the chat template refuses.
    """
    return text_of(spec, options_of(spec, Options), messages, kind)


def counter(spec: ModelSpec) -> Callable[[Request], int]:
    """A function that says how many tokens a request is, its longest continuation included, before it is cut; only the
    tokenizer is loaded. Raises as `rendered` does."""
    return counts_of(spec, options_of(spec, Options))

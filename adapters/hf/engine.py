"""A model of transformers, loaded: tokens in, logits or hidden states out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from adapters import library
from adapters.hf.budget import Budget, budget_of
from adapters.hf.lockstep import keep_step
from adapters.hf.options import Options
from adapters.hf.settings import settings_of
from assay.errors import ModelError


class Paths(NamedTuple):
    """Where the parts of a model lie."""

    model: Path
    peft: Path | None


class Engine:
    """The network and what it takes."""

    def __init__(self, network: Any, max_length: int, budget: Budget, rows: int | None) -> None:
        self.network, self.max_length, self.rows = network, max_length, rows
        self.tokens, self.kept = budget
        self.device = network.device
        head = network.get_output_embeddings()
        self.vocabulary = 0 if head is None else int(head.weight.shape[0])
        self.torch: Any = library("torch", "hf")
        self.whole = network.get_base_model() if hasattr(network, "peft_config") else network
        self.base = self.whole.base_model
        """The network without its head; where it has none, itself."""
        self.hidden = int(self.whole.config.get_text_config().hidden_size)
        self.takes = frozenset(inspect.signature(self.whole.forward).parameters)
        self.cached = "past_key_values" in self.takes
        """False for networks whose state is not a cache of keys and values: they read the text again for each token."""

    def pad(self, rows: Sequence[Any], width: int, left: bool = False) -> Any:
        """The rows as one tensor, filled up with zeros on the right or left."""
        ids = self.torch.zeros((len(rows), width), dtype=self.torch.long)
        for i, row in enumerate(rows):
            where = slice(width - len(row), width) if left else slice(0, len(row))
            ids[i, where] = self.torch.as_tensor(row, dtype=self.torch.long)
        return ids.to(self.device)

    def states(self, ids: Any, mask: Any = None) -> Any:
        """The last hidden states of rows padded on the right; what a mask leaves out is not looked at.

        Without one, padding comes after all that counts, so a causal model sees each row as it stands alone.
        """
        extra: dict[str, Any] = {}
        if mask is not None and "attention_mask" in self.takes:
            extra["attention_mask"] = mask
        if "use_cache" in self.takes:
            extra["use_cache"] = False
        return self.base(input_ids=ids, **extra).last_hidden_state

    def head(self, states: Any) -> Any:
        """The logits (tokens, vocabulary) after hidden states (tokens, width).

        Networks scale and cap their logits in ways of their own, so each computes them itself, given the states as if
        they were those of its own layers.
        """
        own = vars(self.base).get("forward")  # one that accelerate or a rank has put there
        self.base.forward = lambda *_, **__: known_states()(last_hidden_state=states[None])
        try:
            return self.whole(input_ids=self.torch.zeros((1, 1), dtype=self.torch.long, device=self.device)).logits[0]
        finally:
            del self.base.forward  # a bound method in its place would keep the network alive when it is let go
            if own is not None:
                self.base.forward = own

    def step(self, ids: Any, mask: Any, cache: Any) -> tuple[Any, Any]:
        """The logits after the last token of rows padded on the left, and the cache for the next step.

        `mask` covers all tokens so far, `ids` those that the cache does not hold yet.
        """
        extra: dict[str, Any] = {}
        if "position_ids" in self.takes:
            places = (mask.cumsum(-1) - 1).clamp(min=0)
            extra["position_ids"] = places[:, -ids.shape[1] :]
        if "logits_to_keep" in self.takes:
            extra["logits_to_keep"] = 1
        if self.cached:
            extra |= {"past_key_values": cache, "use_cache": True}
        if "attention_mask" in self.takes:
            extra["attention_mask"] = mask
        output = self.network(input_ids=ids, **extra)
        return output.logits[:, -1].float().to(self.device), output.past_key_values if self.cached else None


@cache
def known_states() -> Any:
    """The class of hidden states as the layers of a network give them; whatever else they might give is None."""
    from transformers.modeling_outputs import BaseModelOutputWithPast

    class Known(BaseModelOutputWithPast):  # type: ignore[misc]
        def __getattr__(self, name: str) -> None:
            if name.startswith("__"):
                raise AttributeError(name)

    return Known


def load_engine(paths: Paths, dtype: str, max_length: int, options: Options, head: bool = True) -> Engine:
    """The network on its device, ready to answer; without `head`, one that only embeds.

    Raises ModelError where a library is missing or it does not load.
    """
    torch = library("torch", "hf")
    transformers = library("transformers", "hf")
    transformers.utils.logging.disable_progress_bar()  # the run shows its own
    device = device_of(torch, options)
    try:
        settings = settings_of(transformers, paths.model, device, options) | {"dtype": getattr(torch, dtype)}
        kind = transformers.AutoModelForCausalLM if head else transformers.AutoModel
        network = kind.from_pretrained(paths.model, **settings)
        if options.compile:
            network.base_model.compile(dynamic=True)  # not the head: it may be put on some rows alone
        if paths.peft is not None:
            network = library("peft", "hf", "peft").PeftModel.from_pretrained(network, paths.peft)
        if not {"device_map", "distributed_config"} & settings.keys():
            network = network.to(device)
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, ImportError) as error:
        raise ModelError(f"model {paths.model} does not load: {type(error).__name__}: {error}") from error
    network.eval()
    if options.tensor_parallel > 1:
        keep_step(network)
    budget = budget_of(network, options.batch_tokens, options.tensor_parallel == 1)
    return Engine(network, max_length, budget, options.batch_size)


def load_tokenizer(folder: Path, trust_remote_code: bool) -> Any:
    """The tokenizer. Raises ModelError where it does not load."""
    transformers = library("transformers", "hf")
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"the tokenizer in {folder} does not load: {type(error).__name__}: {error}") from error


def stop_tokens(config: Mapping[str, Any], generation: Mapping[str, Any], tokenizer: Any) -> frozenset[int]:
    """The tokens that end a text: as the generation settings say, or else the configuration, and the tokenizer's."""
    named = generation.get("eos_token_id", config.get("eos_token_id"))
    ids = named if isinstance(named, list) else [named]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if isinstance(i, int))


def device_of(torch: Any, options: Options) -> Any:
    """The device that the options name. Raises ModelError for one that is not here."""
    if options.device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(options.device)
    except RuntimeError as error:
        raise ModelError(f"device {options.device!r}: {error}") from error
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise ModelError(f"device {options.device!r} is not here: {torch.cuda.device_count()} CUDA devices are visible")
    return device

"""vLLM's engine as a stream: prompts go in as fast as it takes them, and their results come out as they are done."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from adapters import library
from adapters.hf.batches import Failure
from adapters.hf.known import Known
from adapters.vllm_engine import lora
from adapters.vllm_engine.options import Options
from assay.errors import ModelError

AHEAD = 1024
"""Prompts that the engine is given before the first of them is done: more than it computes at once."""
BATCH = 64
"""Results in a batch at most, but for those of one step."""
SECONDS = 2.0
"""How long a batch is waited for."""
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # an engine beside us would outlive us where we are killed, with its devices
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",  # the run shows its own progress
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # and what it found is the last line that it prints
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",  # for the one token that is asked for after a full window, and not seen
}

T = TypeVar("T")


class Prompt(NamedTuple, Generic[T]):
    """Tokens to go on with, what is wanted of them, and for whom."""

    item: T
    tokens: Sequence[int]
    wanted: Mapping[str, Any]
    """As vLLM's SamplingParams."""


class Engine:
    """A model that vLLM has loaded."""

    def __init__(self, llm: Any, adapter: Any) -> None:
        self.engine, self.adapter = llm.llm_engine, adapter
        self.params: Any = library("vllm", "vllm").SamplingParams
        self.tokens: Any = library("vllm.inputs", "vllm").tokens_input
        self.refusals = (library("vllm.exceptions", "vllm").VLLMClientError, ValueError)
        self.count = 0

    def run(self, prompts: Iterable[Prompt[T]]) -> Iterator[list[tuple[T, Any]]]:
        """Each prompt's item with its result, or with a Failure where there is none: a batch every 64 or two seconds.

        Raises what the engine raises when it breaks down. A caller that stops ends the prompts under way.
        """
        source, waiting = iter(prompts), dict[str, T]()
        done: list[tuple[T, Any]] = []
        since = time.monotonic()
        try:
            while True:
                for prompt in islice(source, AHEAD - len(waiting)):
                    try:
                        waiting[self.add(prompt)] = prompt.item
                    except self.refusals as error:
                        done.append((prompt.item, Failure(f"{type(error).__name__}: {error}")))
                if not waiting:
                    break
                finished = [output for output in self.engine.step() if output.finished]
                done += [(waiting.pop(output.request_id), _result(output)) for output in finished]
                if done and (len(done) >= BATCH or time.monotonic() - since > SECONDS):
                    yield done
                    done, since = [], time.monotonic()
            if done:
                yield done
        finally:
            if waiting:
                self.engine.abort_request(list(waiting))

    def add(self, prompt: Prompt[Any]) -> str:
        """The name under which the engine has taken a prompt."""
        self.count += 1
        kind = library("vllm.sampling_params", "vllm").RequestOutputKind.FINAL_ONLY
        wanted = self.params(**prompt.wanted, output_kind=kind)
        self.engine.add_request(str(self.count), self.tokens(list(prompt.tokens)), wanted, lora_request=self.adapter)
        return str(self.count)


def load_engine(model: Known, options: Options) -> Engine:
    """The model in vLLM. Raises ModelError where the library is missing or the model does not load."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    vllm = library("vllm", "vllm")
    told, request = arguments(model, options), None
    if options.lora:
        folder = Path(options.lora).expanduser().resolve()
        request = library("vllm.lora.request", "vllm").LoRARequest("lora", 1, str(folder))
    gc.collect()  # one that was given up takes what is the process's with it when it goes: not after this one has begun
    try:
        llm = vllm.LLM(**told, **options.engine)
    except Exception as error:  # whatever it stumbles over, assertions included
        raise ModelError(f"model {model.folder.path} does not load: {type(error).__name__}: {error}") from error
    return Engine(llm, request)


def arguments(model: Known, options: Options) -> dict[str, Any]:
    """What `vllm.LLM` is told. The window is one token wider: vLLM counts the token that is asked for."""
    told: dict[str, Any] = {
        "model": str(model.folder.path), "tokenizer": str(model.tokenizer), "dtype": model.dtype,
        "max_model_len": model.max_length + 1, "trust_remote_code": options.trust_remote_code,
        "generation_config": "vllm", "use_tqdm_on_load": False, "enable_prefix_caching": options.prefix_caching,
        "tensor_parallel_size": options.tensor_parallel_size,
        "pipeline_parallel_size": options.pipeline_parallel_size, "enforce_eager": options.enforce_eager,
    }  # fmt: skip
    for name in ("quantization", "gpu_memory_utilization", "max_num_seqs"):
        if (value := getattr(options, name)) is not None:
            told[name] = value
    if options.lora:
        told |= lora.arguments(Path(options.lora).expanduser())
    return told


def _result(output: Any) -> Any:
    (written,) = output.outputs
    ended = written.finish_reason in ("stop", "length")
    return output if ended else Failure(f"vLLM ended it: {written.finish_reason}")

"""Texts written by a model: kind `generate`.

vLLM draws from a generator a request, seeded by it, so what is said does not depend on what else is asked. Its tokens
are made a text here, as for `hf`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adapters.hf.batches import Failure
from adapters.hf.drafts import Draft, Drafts
from adapters.vllm_engine.engine import Engine, Prompt
from assay.types import Completion, Request


class Writing:
    """The writing half of a model."""

    def __init__(self, engine: Engine, drafts: Drafts) -> None:
        self.engine, self.drafts = engine, drafts

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of kind `generate`, a batch at a time."""
        drafts, done = self.drafts.of(requests)
        done += [self.drafts.completion(draft, [], "length") for draft in drafts if draft.limit <= 0]
        if done:
            yield done
        open_ = sorted((draft for draft in drafts if draft.limit > 0), key=lambda draft: draft.tokens)
        for batch in self.engine.run(map(self.prompt, open_)):
            yield [self.completion(draft, result) for draft, result in batch]

    def prompt(self, draft: Draft) -> Prompt[Draft]:
        """A draft as it is put to the engine: which tokens end it is said here, and not left to the model's files."""
        sampling = draft.request.sampling
        stops = [stop for stop in sampling.stop if stop]
        wanted: dict[str, Any] = {
            "temperature": sampling.temperature, "max_tokens": draft.limit, "ignore_eos": True,
            "min_tokens": min(sampling.min_tokens, draft.limit), "stop": stops, "detokenize": bool(stops),
            "stop_token_ids": sorted(self.drafts.stops(draft.request)),
        }  # fmt: skip
        if sampling.temperature > 0:
            wanted |= {"top_p": sampling.top_p, "top_k": sampling.top_k, "seed": draft.request.seed % 2**63}
        return Prompt(draft, draft.tokens, wanted)

    def completion(self, draft: Draft, result: Any) -> Completion:
        """What is told of a draft that is done."""
        if isinstance(result, Failure):
            return Completion(draft.request.key, error=str(result))
        (written,) = result.outputs
        return self.drafts.completion(draft, list(written.token_ids), written.finish_reason)

"""Prompts that a model has no room for: examples are left out, the retriever's last ones first, until there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from adapters import model_adapter
from assay.errors import SpecError
from assay.messages import join_messages
from assay.prompt import Ask, Prompter
from assay.spec import Benchmark, ModelSpec
from assay.types import Request, Sampling
from tasks.context import Subject
from tasks.examples import Case, Shown

BYTES_A_TOKEN = 3
"""Of a tokenizer that cannot be asked: English has more, Chinese as many."""

Count = Callable[[Request], int]


class Fit:
    """What one model has room for. Raises ModelError where its tokenizer does not load."""

    def __init__(
        self, benchmark: Benchmark, prompter: Prompter, subject: Subject, sampling: Sampling, catalog: Sequence[Path]
    ) -> None:
        self.benchmark, self.prompter, self.subject, self.sampling = benchmark, prompter, subject, sampling
        self.count = counter(subject.spec, catalog)

    def __call__(self, case: Case, shown: Shown) -> Shown:
        """As many of a question's examples as there is room for. Raises SpecError where there is none for the bare
        question."""
        limit = self.subject.info.max_length
        if limit is None:
            return shown
        for count in range(len(shown.places), -1, -1):
            fewer = shown.first(count)
            asks = self.prompter.asks(case.sample, fewer.arranged(self.benchmark.prompt.fewshot).demos)
            over = [(tokens, room) for ask in asks if (tokens := self._tokens(ask)) > (room := self._room(ask, limit))]
            if not over:
                return fewer
        tokens, room = max(over)
        raise SpecError(
            f"{self.benchmark.id}: the question {case.sample_key} alone is {tokens} tokens long, and"
            f" {self.subject.spec.label} has room for {room}"
        )

    def _room(self, ask: Ask, limit: int) -> int:
        """Tokens that a request may have without being cut: as `hf` cuts them."""
        if ask.kind != "generate":
            return limit + 1
        written = (ask.sampling or self.sampling).max_tokens
        return limit - written if written < limit else limit // 2

    def _tokens(self, ask: Ask) -> int:
        return self.count(Request("", ask.kind, join_messages(ask.header, ask.messages), ask.continuations))


def counter(spec: ModelSpec, catalog: Sequence[Path]) -> Count:
    """A function that says how many tokens a request is to a model: exactly, where its adapter can tell."""
    adapter = model_adapter(spec.adapter, catalog)
    count: Count = adapter.counter(spec) if hasattr(adapter, "counter") else _estimated
    return count


def _estimated(request: Request) -> int:
    texts = [str(message["content"]) for message in request.messages]
    longest = max((len(text.encode()) for text in request.continuations), default=0)
    return (sum(len(text.encode()) for text in texts) + longest) // BYTES_A_TOKEN

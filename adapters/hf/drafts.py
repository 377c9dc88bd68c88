"""Requests of kind `generate` as tokens that leave room for the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.hf.texts import Prompt, Texts, Tokens
from adapters.stops import cut
from assay.errors import AssayError
from assay.reasoning import opened
from assay.types import Completion, Request


@dataclass(slots=True, eq=False)
class Draft:
    """A request that is to be written on."""

    request: Request
    rendering: str | None
    tokens: Tokens
    truncated: int
    limit: int
    """Tokens that may be written."""


class Drafts:
    """Makes drafts for a model that sees so many tokens, and completions of what was written on them."""

    def __init__(self, texts: Texts, max_length: int, stops: frozenset[int]) -> None:
        self.texts, self.max_length, self.ends = texts, max_length, stops
        self.added: dict[str, int] = texts.tokenizer.get_added_vocab()

    def of(self, requests: Sequence[Request]) -> tuple[list[Draft], list[Completion]]:
        """Requests as tokens, and the completions of those that cannot be asked."""
        prompts: list[tuple[Request, Prompt]] = []
        failed: list[Completion] = []
        for request in requests:
            try:
                prompts.append((request, self.texts.prompt(request)))
            except AssayError as error:
                failed.append(Completion(request.key, error=str(error)))
        tokens = self.texts.encode([prompt.text for _, prompt in prompts])
        drafts = []
        for (request, prompt), ids in zip(prompts, tokens, strict=True):
            try:
                drafts.append(self.draft(request, prompt, ids or [self.texts.start()]))
            except AssayError as error:
                failed.append(Completion(request.key, error=str(error)))
        return drafts, failed

    def draft(self, request: Request, prompt: Prompt, tokens: Tokens) -> Draft:
        """A request as tokens that leave room for the answer: the left end is cut off.

        An answer that may be as long as the whole window leaves half of it to the prompt.
        """
        window, wanted = self.max_length, request.sampling.max_tokens
        room = window - wanted if wanted < window else window // 2
        kept = tokens[-room:]
        return Draft(request, prompt.rendering, kept, len(tokens) - len(kept), min(wanted, window - len(kept)))

    def stops(self, request: Request) -> frozenset[int]:
        """The tokens that end an answer: the model's own, and stop strings that are one token, as </s> is."""
        return self.ends | {self.added[stop] for stop in request.sampling.stop if stop in self.added}

    def completion(self, draft: Draft, written: Sequence[int], finish: str) -> Completion:
        """What is told of a draft that is done: the text without its end mark, cut before the first stop string.

        Where a template began the reasoning its mark is in front: else a thought that was cut off looks like an answer.
        """
        request = draft.request
        ended = written and written[-1] in self.stops(request)
        text = self.texts.decode(written[:-1] if ended else written)
        kept = cut(text, request.sampling.stop)
        finish = "stop" if len(kept) < len(text) else finish
        return Completion(
            request.key, opened(draft.rendering or "") + kept, finish=finish, input_tokens=len(draft.tokens),
            output_tokens=len(written), truncated=draft.truncated, rendering=draft.rendering,
        )  # fmt: skip

"""A request as the text that the model sees, and as tokens.

Context and continuation are split as lm-evaluation-harness does it: blanks at the context's end belong to the
continuation, both are tokenised as one text, and the tokens beyond those of the context alone are the continuation's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from adapters.hf.tokens import Tokeniser
from assay.chat import api_messages, render, role_of, text_of
from assay.errors import ModelError
from assay.spec import MetaTemplate
from assay.types import Request

Tokens = list[int]


class Prompt(NamedTuple):
    """The one text of a request's messages."""

    text: str
    rendering: str | None
    """The text again where a template made it."""
    opened: bool
    """Whether a template ends it where the model's turn begins: no blank comes between it and the answer."""

    def after(self, continuation: str) -> str:
        """The continuation as it stands after the prompt: where a template has just opened the turn, without the
        blank."""
        return (continuation.lstrip() or continuation) if self.opened else continuation


class Texts:
    """A tokenizer with what is put around messages and in front of texts."""

    def __init__(self, tokenizer: Any, meta: MetaTemplate | None, chat: bool, add_bos: bool | None) -> None:
        self.tokenizer, self.meta, self.chat, self.add_bos = tokenizer, meta, chat, add_bos
        if add_bos and tokenizer.bos_token_id is None:
            raise ModelError("add_bos: the tokenizer has no beginning-of-sequence token")
        self.tokeniser = Tokeniser(tokenizer)
        self.prefix: int | None = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        self.prefix_text: str | None = None if self.prefix is None else tokenizer.decode([self.prefix])

    def prompt(self, request: Request) -> Prompt:
        """The text that is to be gone on with.

        Raises SpecError for an image or a role that the meta template does not know, ModelError for a dialogue that
        the chat template refuses.
        """
        opened = not request.messages or role_of(request.messages[-1]) != "assistant"
        if self.meta is not None:
            text = render(request.messages, self.meta, "gen")
            return Prompt(text, text, opened)
        if not self.chat:
            return Prompt(render(request.messages, None, "gen"), None, False)
        turns = api_messages([{"role": role_of(m), "content": text_of(m)} for m in request.messages], None)
        prefixed = turns[-1]["role"] == "assistant"
        try:
            text = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not prefixed, continue_final_message=prefixed
            )
        except Exception as error:  # a template is a program of the model's makers and may raise anything
            raise ModelError(f"the chat template refuses the dialogue: {error}") from error
        return Prompt(text, text, not prefixed)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of whole texts, the special ones in front included."""
        bare = [self.add_bos is False or self._begun(text) for text in texts]
        plain = iter(self.plain([t for t, b in zip(texts, bare, strict=True) if b]))
        marked = self.tokeniser.encode([t for t, b in zip(texts, bare, strict=True) if not b], True)
        if self.add_bos:
            marked = [t if t[:1] == [self.prefix] else [self.start(), *t] for t in marked]
        special = iter(marked)
        return [next(plain) if b else next(special) for b in bare]

    def plain(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of texts with nothing in front."""
        return self.tokeniser.encode(texts, False)

    def start(self) -> int:
        """The token that stands before a text without a context: beginning, else end of sequence.

        Raises ModelError where the tokenizer has neither.
        """
        if self.prefix is None:
            raise ModelError("the tokenizer has no token to begin a text with: neither BOS nor EOS")
        return self.prefix

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[Tokens, Tokens]]:
        """(context, continuation) as tokens; the context always has at least one."""
        moved = [_moved(context, continuation) for context, continuation in pairs]
        texts = [text for context, continuation in moved if context for text in (context, context + continuation)]
        known = dict(zip(texts, self.encode(texts), strict=True))
        alone = iter(self.plain([continuation for context, continuation in moved if not context]))
        return [
            (known[context], known[context + continuation][len(known[context]) :])
            if context
            else self._begin(next(alone))
            for context, continuation in moved
        ]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without the special ones."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def _begin(self, tokens: Tokens) -> tuple[Tokens, Tokens]:
        """A text without a context after the token that begins a text."""
        return (tokens[:1], tokens[1:]) if tokens[:1] == [self.start()] else ([self.start()], tokens)

    def _begun(self, text: str) -> bool:
        return bool(self.prefix_text) and text.startswith(str(self.prefix_text))


def _moved(context: str, continuation: str) -> tuple[str, str]:
    """Blanks at the context's end belong to the continuation: a word's token begins with its blank."""
    bare = context.rstrip()
    return bare, context[len(bare) :] + continuation

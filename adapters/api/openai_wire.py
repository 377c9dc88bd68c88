"""Requests and answers in the form of OpenAI's API, which many servers speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from adapters.api.openai_scores import Echoed
from adapters.api.patience import Refusal
from adapters.stops import cut
from assay.chat import api_messages, render, role_of
from assay.images import data_url
from assay.spec import MetaTemplate
from assay.types import Completion, Message, Record, Request

OPENAI = "https://api.openai.com/v1"
STOPS = 4
"""As many stop strings as OpenAI takes; the others are cut here."""
SEEN = 20
"""As many of the likeliest first tokens as OpenAI's chat gives."""
PATHS = {"chat": "/chat/completions", "completions": "/completions"}


class Options(Record):
    """What a user may say of a model behind an OpenAI-compatible server."""

    base_url: str = OPENAI
    """Where the API is, its version included; by default `$OPENAI_BASE_URL` or OpenAI's own."""
    api: Literal["chat", "completions"] = "chat"
    """Dialogues, or texts that are gone on with (base models; a meta template makes a dialogue one text)."""
    logprobs: bool = False
    """completions: the server gives log-probabilities of the prompt's tokens too (`echo`), which answers the kinds
    loglikelihood and choice. A chat answers the kind choice without it, by what the server can do."""
    revision: str | None = None
    """What distinguishes a model from an earlier one of the same name: part of its identity, not sent."""
    extra: dict[str, Any] = {}
    """Further fields of the request's body; null leaves out one that would be sent (`temperature`, `seed` …)."""
    continue_final_message: bool = False
    """chat: the server goes on with a response prefix if it is told so in vLLM's words."""
    max_tokens_field: str | None = None
    """chat: what the limit is called; by default max_completion_tokens for OpenAI itself, else max_tokens."""
    api_key_env: str | None = None
    """The environment variable with the key; by default OPENAI_API_KEY, which may be missing for other servers."""
    concurrency: int = Field(default=32, ge=1, le=1000)
    """Requests under way at once."""
    retries: int = Field(default=8, ge=0)
    """How often a request that met a passing failure is tried again; eight times are some 90 seconds."""
    timeout: float = Field(default=600.0, gt=0)
    """Seconds to wait for an answer."""

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("wanted an http or https URL")
        return url.rstrip("/")


class Wire:
    """A model's requests as bodies, and bodies as completions."""

    def __init__(self, model: str, meta: MetaTemplate | None, options: Options) -> None:
        self.model, self.meta, self.options = model, meta, options
        own = options.base_url == OPENAI and options.api == "chat"
        self.limit = options.max_tokens_field or ("max_completion_tokens" if own else "max_tokens")
        if options.api == "completions":
            self.limit = "max_tokens"
        self.path = PATHS[options.api]

    def body(self, **fields: Any) -> dict[str, Any]:
        """A request's body: the fields, changed by the user's `extra`."""
        merged = {"model": self.model, **fields, **self.options.extra}
        return {name: value for name, value in merged.items() if value is not None}

    def rendering(self, messages: Sequence[Message]) -> str | None:
        """The one text that a meta template makes; None where there is no template, or the server has its own."""
        return render(messages, self.meta, "gen") if self.meta and self.options.api == "completions" else None

    def question(self, messages: Sequence[Message]) -> dict[str, Any]:
        """The messages as this API's fields. Raises SpecError for what it cannot be told."""
        if self.options.api == "completions":
            return {"prompt": render(messages, self.meta, "gen")}
        turns = [_told(turn) for turn in api_messages(messages, self.meta)]
        if self.options.continue_final_message and turns[-1]["role"] == "assistant":
            return {"messages": turns, "continue_final_message": True, "add_generation_prompt": False}
        return {"messages": turns}

    def generate(self, request: Request) -> dict[str, Any]:
        """The body that asks for a text. What OpenAI does not know (top_k, min_tokens) is sent where it is wanted."""
        s = request.sampling
        fields: dict[str, Any] = {self.limit: s.max_tokens, "temperature": s.temperature}
        if stops := [stop for stop in s.stop if stop][:STOPS]:
            fields["stop"] = stops
        if s.min_tokens:
            fields["min_tokens"] = s.min_tokens
        if s.temperature > 0:
            fields |= {"seed": request.seed % 2**63, "top_p": s.top_p} | ({"top_k": s.top_k} if s.top_k else {})
        return self.body(**self.question(request.messages), **fields)

    def generated(self, request: Request, data: Any) -> Completion:
        """The text in an answer, cut before the first stop string. Raises Refusal where there is none, or where it ends
        sooner than it should: a server whose window is full by then says `length` of it too."""
        choice = choice_of(data)
        finish, text = str(choice.get("finish_reason") or ""), choice.get("text")
        if self.options.api == "chat":
            message = mapping(choice.get("message"))
            text = message.get("refusal") if message.get("content") is None else message["content"]
            if text is None and finish == "length":
                text = ""  # all tokens went into reasoning, which the server keeps apart
        if not isinstance(text, str):
            raise Refusal(f"malformed answer: the text is {text!r:.80}, finish reason {finish or 'not given'}")
        kept, usage = cut(text, request.sampling.stop), mapping(data.get("usage"))
        prompt, written, total = (int(usage.get(f"{name}_tokens") or 0) for name in ("prompt", "completion", "total"))
        wanted = self.options.extra.get(self.limit, request.sampling.max_tokens)
        if finish == "length" and len(kept) == len(text) and total == prompt + written and 0 < written < (wanted or 0):
            raise Refusal(
                f"the server ended the text after {written} of {wanted} tokens, on a prompt of {prompt}: its window is "
                "full, or it has a limit of its own; ask for fewer (max_tokens)"
            )
        return Completion(
            request.key,
            kept,
            finish="stop" if len(kept) < len(text) else finish,
            input_tokens=prompt,
            output_tokens=written,
            rendering=self.rendering(request.messages),
        )

    def echo(self, text: str) -> dict[str, Any]:
        """The body that asks for the log-probabilities of a text's own tokens.

        One token is generated, as lm-evaluation-harness's local-completions does: not every server takes none.
        """
        return self.body(prompt=text, max_tokens=1, temperature=0.0, logprobs=1, echo=True)

    def echoed(self, data: Any) -> Echoed:
        """A text's tokens from the answer to `echo`. Raises Refusal where the server gives none."""
        given = mapping(choice_of(data).get("logprobs"))
        columns = [given.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
        if not all(isinstance(column, list) and len(column) == len(columns[0] or ()) for column in columns):
            raise Refusal("the server gives no log-probabilities of the prompt (echo with logprobs)")
        tokens, logprobs, tops = columns
        return Echoed(tokens or [], logprobs or [], tops or [], self.length(data))

    def length(self, data: Any) -> int | None:
        """The prompt's tokens as the server counts them; None where it does not."""
        count = mapping(mapping(data).get("usage")).get("prompt_tokens")
        return count if isinstance(count, int) else None


def opened(messages: Sequence[Message], meta: MetaTemplate | None) -> bool:
    """Whether a template ends the prompt where the model's turn begins: no blank comes between it and the answer."""
    return meta is not None and (not messages or role_of(messages[-1]) != "assistant")


def _told(turn: Message) -> Message:
    """A turn in OpenAI's words: an image is a URL that holds its bytes. Raises SpecError where they are not there."""
    if isinstance(turn["content"], str):
        return turn
    parts = [
        {"type": "image_url", "image_url": {"url": data_url(part)}} if part["type"] == "image" else part
        for part in turn["content"]
    ]
    return {**turn, "content": parts}


def choice_of(data: Any) -> Mapping[str, Any]:
    """The first choice of an answer. Raises Refusal where there is none."""
    choices = mapping(data).get("choices")
    if not isinstance(choices, list) or not choices:
        raise Refusal(f"malformed answer: wanted choices, got {mapping(data).get('error') or data!r:.200}")
    return mapping(choices[0])


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}

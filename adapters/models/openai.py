"""Models behind an OpenAI-compatible server: OpenAI itself, vLLM, SGLang, llama.cpp, most vendors.

    openai:NAME      options: adapters/api/openai_wire.py, class Options

Log-probabilities of given texts: context and continuation are sent as one prompt, which the server echoes with its
tokens. The continuation's are those at the end that hold its characters (blanks at the context's end are counted to
it, as in lm-evaluation-harness). Where the tokens' texts do not add up to the prompt (parts of a character), the
context alone is sent too, and its tokens are counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from pydantic import ValidationError

from adapters import library
from adapters.api.openai_choice import choose
from adapters.api.openai_scores import Echoed, Scores, among, scores, span
from adapters.api.openai_wire import OPENAI, Options, Wire, opened
from adapters.api.patience import Circuit, Refusal, retry_after
from adapters.api.pump import Ask, pump
from assay.chat import render
from assay.errors import AssayError, ModelError, SpecError, unknown
from assay.spec import ModelSpec, explain
from assay.types import Completion, ModelInfo, Request

DEVICES = 0
KEY = "OPENAI_API_KEY"
PASSING = frozenset({408, 409, 425, 429})
FOR_ALL = frozenset({401, 402, 404, 405})
FOR_ALL_CODES = frozenset({"insufficient_quota", "model_not_found", "invalid_api_key"})
_KEY_LIKE = re.compile(r"\b(sk|pk)-[\w*.-]{4,}")


def describe(spec: ModelSpec) -> ModelInfo:
    """What the server is said to do; nothing is asked of it. Raises SpecError for an option that there is not."""
    options = options_of(spec)
    identity: dict[str, Any] = {
        "adapter": "openai", "base_url": options.base_url, "path": spec.path, "api": options.api,
        "revision": options.revision, "extra": options.extra,
        "continue_final_message": options.continue_final_message,
    }  # fmt: skip
    if spec.meta_template:
        identity["meta_template"] = spec.meta_template.model_dump(mode="json")
    echoes = options.logprobs and options.api == "completions"
    kinds = {"generate"} | ({"choice"} if echoes or options.api == "chat" else set())
    kinds |= {"loglikelihood"} if echoes else set()
    return ModelInfo(
        identity={name: value for name, value in identity.items() if value},
        kinds=frozenset(kinds),
        needs=frozenset({"prompt_sums", "token_logprobs"} if echoes else {"images"} if options.api == "chat" else ()),
        chat=options.api == "chat",
    )


def options_of(spec: ModelSpec) -> Options:
    """The options of a model's spec. Raises SpecError for one that there is not, or of a wrong value."""
    for name in spec.options:
        if name in ("api_key", "key", "token"):
            raise SpecError(f"option {name!r}: a key is not written down; name its environment variable: api_key_env")
        if name not in Options.model_fields:
            raise SpecError(unknown("option of openai", name, Options.model_fields))
    given = {"base_url": os.environ.get("OPENAI_BASE_URL") or OPENAI} | spec.options
    if any(sign in str(given["base_url"]) for sign in "@?"):  # told without the URL: it may hold a key
        raise SpecError("base_url: wanted a URL without user, password and query: keys come from the environment")
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        raise explain(error, f"options of openai:{spec.path}") from error


def ready(spec: ModelSpec) -> None:
    """Raise ModelError where the library or the key lacks, which `describe` can do without."""
    options = options_of(spec)
    library("openai", "openai")
    if not _key(options) and (options.api_key_env or options.base_url == OPENAI):
        raise ModelError(f"openai:{spec.path} needs a key, and ${options.api_key_env or KEY} is not set")


def load(spec: ModelSpec) -> OpenAI:
    """The model, ready to be asked. Raises SpecError for its options, ModelError where the library or the key lacks."""
    ready(spec)
    return OpenAI(spec, options_of(spec), library("openai", "openai"))


class OpenAI:
    """Asks a server, many requests at once; what fails for good is a completion with its cause."""

    def __init__(self, spec: ModelSpec, options: Options, client: Any) -> None:
        self.meta, self.options, self.openai = spec.meta_template, options, client
        self.wire = Wire(spec.path, spec.meta_template, options)
        self.circuit = Circuit(options.retries, options.concurrency)

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of all requests, as they come in, a batch every 64 answers or two seconds."""
        self.circuit.close()
        return pump(requests, self.session, self.options.concurrency, first=not self.circuit.answered)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Ask]:
        """A client, for as long as some requests are under way."""
        async with self.openai.AsyncOpenAI(
            base_url=self.options.base_url,
            api_key=_key(self.options) or "none",
            timeout=self.options.timeout,
            max_retries=0,  # Circuit tries again, for all requests together
        ) as client:
            yield partial(self.ask, client)

    async def ask(self, client: Any, request: Request) -> Completion:
        """The completion of a request, or why there is none."""
        try:
            if request.kind == "generate":
                body = self.wire.generate(request)
                return self.wire.generated(request, await self.post(client, body))
            if request.kind == "choice" and self.options.api == "chat" and request.continuations:
                return await choose(self.wire, partial(self.post, client), request)
            if request.kind in ("choice", "loglikelihood") and self.options.logprobs and self.options.api != "chat":
                return await self.scored(client, request)
        except (Refusal, AssayError) as error:
            return Completion(request.key, error=self.redacted(str(error)))
        kinds = "the option logprobs" if not self.options.logprobs else f"api: {self.options.api}"
        return Completion(request.key, error=f"openai cannot answer requests of kind {request.kind!r} with {kinds}")

    async def post(self, client: Any, body: dict[str, Any]) -> Any:
        """The server's answer to a body. Raises Refusal."""
        return await self.circuit.call(partial(self.send, client, body))

    async def send(self, client: Any, body: dict[str, Any]) -> Any:
        """The same, tried once."""
        try:
            return await client.post(self.wire.path, body=body, cast_to=object)
        except self.openai.APIStatusError as error:
            raise self.refusal(error) from error
        except self.openai.APITimeoutError as error:
            raise Refusal(f"timeout: no answer within {self.options.timeout:g} s", passing=True) from error
        except self.openai.APIConnectionError as error:
            cause = f"{type(error.__cause__).__name__}: {error.__cause__}" if error.__cause__ else str(error)
            raise Refusal(f"no connection to {self.options.base_url}: {cause}", passing=True, lost=True) from error
        except ValueError as error:
            raise Refusal(f"malformed answer: not JSON: {error}") from error

    def refusal(self, error: Any) -> Refusal:
        """An HTTP status with the server's message, and whether trying again may help."""
        said = error.body.get("message") if isinstance(error.body, dict) else error.body
        status, code = error.status_code, error.code
        for_all = status in FOR_ALL or code in FOR_ALL_CODES or (status == 403 and not self.circuit.answered)
        passing = not for_all and (status in PASSING or status >= 500)
        cause = f"{status}: {said or error.response.reason_phrase!s:.500}"
        return Refusal(cause[:500], passing, for_all, wait=retry_after(error.response.headers) if passing else None)

    async def scored(self, client: Any, request: Request) -> Completion:
        """The continuations' log-probabilities. Raises Refusal where one of them cannot be had."""
        if not request.continuations:
            raise Refusal(f"a request of kind {request.kind!r} has no continuations")
        context = render(request.messages, self.meta, "gen")
        begins = opened(request.messages, self.meta)
        scored = Completion(request.key, rendering=self.wire.rendering(request.messages))
        found: list[Scores] = []
        for given in request.continuations:
            text = (given.lstrip() or given) if begins else given
            echo = self.wire.echoed(await self.post(client, self.wire.echo(context + text)))
            start, end = span(echo, context, text) or await self.counted(client, context, echo)
            found.append(scores(echo, start, 1 + start if request.kind == "choice" else end))
            scored.input_tokens = max(scored.input_tokens, start)
        if request.kind == "choice":
            chosen = among([one.logprobs[0] for one in found])
            found = [one._replace(logprobs=[logprob]) for one, logprob in zip(found, chosen, strict=True)]
        scored.sums = [sum(one.logprobs) for one in found]
        scored.tokens = [len(one.logprobs) for one in found]
        scored.greedy = [one.greedy for one in found]
        if "prompt_sums" in request.needs:
            scored.prompt_sums = [one.total for one in found]
            scored.prompt_lengths = [one.length for one in found]
        if "token_logprobs" in request.needs:
            scored.token_logprobs = [one.logprobs for one in found]
        return scored

    async def counted(self, client: Any, context: str, echo: Echoed) -> tuple[int, int]:
        """Where the continuation's tokens begin and end, by counting the context's."""
        start = self.wire.length(await self.post(client, self.wire.echo(context))) if context else 0
        if start is None or echo.length is None or not start < echo.length <= len(echo.tokens):
            raise Refusal("the server's tokens do not add up to the prompt, and it does not count them")
        return start, echo.length

    def redacted(self, cause: str) -> str:
        """An error's text without the key, which some servers repeat."""
        key = _key(self.options)
        return _KEY_LIKE.sub("***", cause.replace(key, "***") if key else cause)


def _key(options: Options) -> str:
    return os.environ.get(options.api_key_env or KEY, "")

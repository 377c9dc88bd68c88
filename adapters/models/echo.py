"""Models that cost nothing and compute nothing: what tests, examples and `assay plan` run on.

    echo:oracle    the right answer            echo:scripted  what its `answers` say
    echo:random    drawn from the request key  echo:echo      the last user's text

Options: `random`: {seed}. `scripted`: {answers, default}, where `answers` is a map question -> answer, or a list of
rules {pattern, answer} or {pattern, error}, of which the first whose regular expression is found in the last user's
text counts. The answer to a question with choices is the right choice's text or index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from adapters.stops import cut
from assay.chat import render, role_of, text_of
from assay.errors import AssayError, SpecError, unknown
from assay.spec import ModelSpec
from assay.types import Completion, ModelInfo, Request

OPTIONS: Mapping[str, frozenset[str]] = {
    "oracle": frozenset(),
    "random": frozenset({"seed"}),
    "scripted": frozenset({"answers", "default"}),
    "echo": frozenset(),
}
BATCH = 20_000
KNOWN = 1_000
WORDS = ("A", "B", "C", "D", "yes", "no", "0", "1", "2", "3", "10", "42", "true", "false", "Paris", "I do not know.")
NATS_PER_BYTE = 0.5

Verdict = tuple[list[float], list[int], list[bool]]
"""Sums, tokens and greedy flags of some continuations."""


class Failure(str):
    """In place of an answer: why there is none."""


def describe(spec: ModelSpec) -> ModelInfo:
    """What the test double can do. Raises SpecError for a path or option that it does not have."""
    if spec.path not in OPTIONS:
        raise SpecError(unknown("model of echo", spec.path, OPTIONS))
    for name in spec.options:
        if name not in OPTIONS[spec.path]:
            raise SpecError(unknown(f"option of echo:{spec.path}", name, OPTIONS[spec.path]))
    identity: dict[str, Any] = {"adapter": "echo", "path": spec.path, "options": dict(spec.options)}
    if spec.meta_template:
        identity["meta_template"] = spec.meta_template.model_dump(mode="json")
    gold = {"gold"} if spec.path == "oracle" else set()
    return ModelInfo(
        identity=identity,
        kinds=frozenset({"generate", "loglikelihood", "rolling", "choice"}),
        needs=frozenset({"prompt_sums", "token_logprobs", "windows"} | gold),
    )


def load(spec: ModelSpec) -> Echo:
    """The test double that the path names. Raises SpecError for a path, option or rule that is wrong."""
    describe(spec)
    if spec.path == "oracle":
        return Echo(spec, lambda request: request.gold)
    if spec.path == "random":
        return Random(spec, lambda request: None)
    return Echo(spec, last_user_text if spec.path == "echo" else _script(spec.options))


class Echo:
    """Answers by a function request -> answer; a choice that is the answer wins under every normalisation."""

    def __init__(self, spec: ModelSpec, answer: Callable[[Request], Any]) -> None:
        self.meta = spec.meta_template
        self.says = answer
        self.known: dict[tuple[Any, ...], Verdict] = {}

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """All completions, in batches of up to 20,000."""
        for start in range(0, len(requests), BATCH):
            yield [self.one(request) for request in requests[start : start + BATCH]]

    def one(self, request: Request) -> Completion:
        """The completion of a request, or why there is none."""
        try:
            answer = self.says(request)
            if isinstance(answer, Failure):
                raise SpecError(answer)
            if request.kind == "generate":
                completion = self.written(request, answer)
            elif request.kind in ("loglikelihood", "choice"):
                completion = self.scored(request, answer)
            elif request.kind == "rolling":
                completion = self.rolled(request)
            else:
                raise SpecError(f"echo cannot answer requests of kind {request.kind!r}")
            if self.meta and request.kind != "rolling":
                completion.rendering = render(request.messages, self.meta, "gen")
        except AssayError as error:
            return Completion(request.key, error=str(error))
        return completion

    def written(self, request: Request, answer: Any) -> Completion:
        """The answer as text, the first of several, cut before the first stop string."""
        if isinstance(answer, list):
            answer = answer[0] if answer else None
        text = cut("" if answer is None else str(answer), request.sampling.stop)
        return Completion(
            request.key, text, finish="stop", input_tokens=_length(request), output_tokens=(len(text) + 3) // 4
        )

    def scored(self, request: Request, answer: Any) -> Completion:
        """The right continuations nearly certain, the others the less likely the longer they are."""
        texts = request.continuations
        if type(answer) is not int:
            return self.of_sums(request, *_verdict(texts, _right(answer, texts)))
        same = (answer, *texts)  # the letters of a quiz are the same for every question
        verdict = self.known.get(same)
        if verdict is None:
            if len(self.known) > KNOWN:
                self.known.clear()
            verdict = self.known[same] = _verdict(texts, {answer})
        return self.of_sums(request, *verdict)

    def of_sums(self, request: Request, sums: list[float], tokens: list[int], greedy: list[bool]) -> Completion:
        """A completion with such sums, and the extras that are needed."""
        length = _length(request)
        completion = Completion(request.key, None, sums, tokens, greedy, input_tokens=length)
        if not request.needs:
            return completion
        if "prompt_sums" in request.needs:
            completion.prompt_sums = sums
            completion.prompt_lengths = [length + count for count in tokens]
        if "token_logprobs" in request.needs:
            completion.token_logprobs = [[s / n] * n if n else [] for s, n in zip(sums, tokens, strict=True)]
        return completion

    def rolled(self, request: Request) -> Completion:
        """Each byte of the text half a nat."""
        text = render(request.messages, None, "ppl")
        count = (len(text) + 3) // 4
        total = -NATS_PER_BYTE * len(text.encode())
        extra = [[total / count] * count] if "token_logprobs" in request.needs and count else []
        return Completion(request.key, None, [total], [count], token_logprobs=extra, input_tokens=count)


class Random(Echo):
    """Answers drawn from the request's key and the option `seed`, and from nothing else."""

    def __init__(self, spec: ModelSpec, answer: Callable[[Request], Any]) -> None:
        super().__init__(spec, answer)
        self.salt = int(spec.options.get("seed", 0)).to_bytes(8, "big", signed=True)

    def draw(self, key: str, count: int) -> list[float]:
        """So many numbers in [0, 1)."""
        state = int.from_bytes(blake2b(key.encode(), digest_size=8, key=self.salt).digest(), "big")
        drawn = []
        for _ in range(count):
            state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            drawn.append((state >> 33) / 2147483648)
        return drawn

    def written(self, request: Request, answer: Any) -> Completion:
        """One of a few words."""
        return super().written(request, WORDS[int(self.draw(request.key, 1)[0] * len(WORDS))])

    def scored(self, request: Request, answer: Any) -> Completion:
        """Sums between 0 and -20, none of them greedy."""
        sums = [-20 * x for x in self.draw(request.key, len(request.continuations))]
        return self.of_sums(request, sums, _tokens(request.continuations), [False] * len(sums))


def last_user_text(request: Request) -> str:
    """The text of the last user's turn; empty where there is none."""
    return next((text_of(m) for m in reversed(request.messages) if role_of(m) == "user"), "")


def _script(options: Mapping[str, Any]) -> Callable[[Request], Any]:
    answers, default = options.get("answers", {}), options.get("default")
    if isinstance(answers, Mapping):
        return lambda request: answers.get(last_user_text(request), default)
    rules = [_rule(rule) for rule in answers]

    def says(request: Request) -> Any:
        text = last_user_text(request)
        return next((answer for pattern, answer in rules if pattern.search(text)), default)

    return says


def _rule(rule: Any) -> tuple[re.Pattern[str], Any]:
    if not isinstance(rule, Mapping) or set(rule) not in ({"pattern", "answer"}, {"pattern", "error"}):
        raise SpecError(f"a rule of echo:scripted is {{pattern, answer}} or {{pattern, error}}, got {rule!r:.80}")
    try:
        pattern = re.compile(rule["pattern"], re.DOTALL)
    except (re.error, TypeError) as error:
        raise SpecError(f"echo:scripted: the pattern {rule['pattern']!r} is none: {error}") from error
    return pattern, Failure(rule["error"]) if "error" in rule else rule["answer"]


def _right(answer: Any, texts: Sequence[str]) -> set[int]:
    """The places of the answers, which are indexes or texts, among the continuations."""
    right: set[int] = set()
    for one in answer if isinstance(answer, list) else [answer]:
        if isinstance(one, int):
            right.add(int(one))
        elif one is not None:
            right.update(i for i, text in enumerate(texts) if text.strip() == str(one).strip())
    return right


def _verdict(texts: Sequence[str], right: set[int]) -> Verdict:
    sums = [-1e-3 if i in right else -1e3 * (len(text) or 1) for i, text in enumerate(texts)]
    return sums, _tokens(texts), [total == -1e-3 for total in sums]


def _tokens(texts: Sequence[str]) -> list[int]:
    return [(len(text) + 3) // 4 for text in texts]


def _length(request: Request) -> int:
    """The prompt's tokens, of four characters each."""
    total = 0
    for message in request.messages:
        content = message["content"]
        total += len(content if isinstance(content, str) else text_of(message))
    return (total + 3) // 4

"""Samples to requests: templates rendered, demonstrations put in front, choices written out.

    description + Σ demonstrations (question + delimiter + answer + separator) + question          one text, `in_prompt`
    [system] + user description, then (user question, assistant answer) …, user question            `turns`

What precedes the question is the header: a text that many questions share is stored once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from assay.errors import SpecError
from assay.keys import canonical, digest
from assay.messages import join_messages, splice, turns_json, with_images
from assay.solve import Question, solve
from assay.spec import Benchmark, Choice, PromptSpec
from assay.template import computes, text_template, value_template
from assay.types import Kind, Message, Reply, Sample, Sampling

Text = Callable[[Sample], str]


class Ask(NamedTuple):
    """One request of a sample, as the ledger keeps it."""

    request_key: str
    kind: Kind
    header_key: str | None
    header: str | None
    messages: str
    continuations: list[str]
    choice: int
    """Which choice it is for, where each has a context of its own; else -1."""
    needs: Sequence[str] = ()
    turn: int = 0
    """Which of the solver's first questions it is."""
    sampling: Sampling | None = None
    """How the answer is drawn, where not as the benchmark says."""


class Prompter:
    """What a benchmark's `prompt:`, `kind:` and `choices:` make of samples.

    Raises SpecError, on construction where a template is malformed, on use where it wants a field that a sample lacks.
    """

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark, self.prompt = benchmark, benchmark.prompt
        name = f"{benchmark.id}: prompt"
        self.system = text_template(self.prompt.system, f"{name}.system") if self.prompt.system else None
        self.description = text_template(self.prompt.description, f"{name}.description")
        self.prefix = text_template(self.prompt.prefix, f"{name}.prefix")
        self.turns = _turns(self.prompt, name)
        self.written = text_template(self.prompt.answer, f"{name}.answer") if self.prompt.answer is not None else None
        self.images = value_template(self.prompt.images, f"{name}.images") if self.prompt.images is not None else None
        self.choices = _choices(benchmark)
        self.needs = sorted(benchmark.needs)
        self.demos: dict[int, tuple[Sample, str]] = {}
        self.headers: dict[tuple[str, str, tuple[int, ...]], tuple[Sequence[Sample], str | None]] = {}

    def question(self, sample: Sample) -> str:
        """The question as one text: the turns of its template, joined by newlines."""
        return "\n".join(text(sample) for _, text in self.turns)

    def answer(self, sample: Sample) -> str:
        """A demonstration's answer: as `answer:` writes it, else the choice that is the target, else the target."""
        if self.written:
            return self.written(sample)
        target = sample.get("target")
        if isinstance(target, list):
            target = target[0]
        if self.benchmark.kind == "generate":
            return str(target)
        choices = [continuation for _, continuation in self.choices(sample)]
        return str(choices[target]) if isinstance(target, int) else str(target)

    def demonstration(self, sample: Sample) -> str:
        """A worked example as one text, its separator included; each is written once."""
        known = self.demos.get(id(sample))
        if known is None:  # the sample is kept beside its text, so that its id stays its own
            known = self.demos[id(sample)] = (sample, self._demonstration(sample))
        return known[1]

    def _demonstration(self, sample: Sample) -> str:
        context = self._own_context(sample)
        question = self.question(sample) if context is None else context
        return question + self.prompt.delimiter + self.answer(sample) + self.prompt.separator

    def _own_context(self, demo: Sample) -> str | None:
        """The context of a demonstration's right choice, where choices have contexts of their own."""
        target = demo.get("target")
        return self.choices(demo)[target][0] if self.benchmark.kind != "generate" and isinstance(target, int) else None

    def header(self, sample: Sample, demos: Sequence[Sample]) -> str | None:
        """The JSON of what precedes the question; None where nothing does."""
        system, text = self.system(sample) if self.system else "", self.description(sample)
        same = (system, text, tuple(map(id, demos)))
        if same not in self.headers:
            if len(self.headers) > 1000:  # each question has examples of its own: nothing to share
                self.headers.clear()
            # the samples are kept beside their text, so that their ids stay their own
            self.headers[same] = (tuple(demos), self._header(system, text, demos))
        return self.headers[same][1]

    def _header(self, system: str, text: str, demos: Sequence[Sample]) -> str | None:
        turns = [("system", system)] if system else []
        if self.prompt.demonstrations == "in_prompt":
            text += "".join(map(self.demonstration, demos))
        if text:
            turns.append((self.turns[0][0], text))
        if self.prompt.demonstrations == "turns" and demos:
            shown = [turn for demo in demos for turn in self._shown(demo)]
            if text:
                shown[0] = (shown[0][0], text + shown[0][1])
                turns.pop()
            turns += shown
        return turns_json(turns) if turns else None

    def _shown(self, demo: Sample) -> list[tuple[str, str]]:
        context = self._own_context(demo)
        asked = [(role, text(demo)) for role, text in self.turns] if context is None else [("user", context)]
        return [*asked, ("assistant", self.answer(demo).strip())]

    def tail(self, sample: Sample, context: str | None = None) -> str:
        """The JSON of the question itself, with the response prefix where there is one."""
        turns = [(role, text(sample)) for role, text in self.turns] if context is None else [("user", context)]
        if self.prompt.prefix:
            turns.append(("assistant", self.prefix(sample)))
        told = turns_json(turns)
        return with_images(told, _listed(self.images(sample), "prompt.images")) if self.images else told

    def messages(self, sample: Sample, demos: Sequence[Sample] = ()) -> list[Message]:
        """The question with all that precedes it, as turns: what a solver gets."""
        return join_messages(self.header(sample, demos), self.tail(sample))

    def asks(self, sample: Sample, demos: Sequence[Sample] = ()) -> list[Ask]:
        """The requests of a sample's first round: one, or one a choice where choices have contexts of their own; where
        a solver has texts written, its first questions.

        Raises SpecError for a solver that has none.
        """
        header = self.header(sample, demos)
        if self.benchmark.kind == "generate" and self.benchmark.solver != "direct":
            return self._first(sample, self._ask(header, self.tail(sample), [], -1))
        if self.benchmark.kind in ("generate", "rolling", "embed"):
            return [self._ask(header, self.tail(sample), [], -1)]
        choices = self.choices(sample)
        delimiter = self.prompt.delimiter
        if all(context is None for context, _ in choices):
            return [self._ask(header, self.tail(sample), [delimiter + text for _, text in choices], -1)]
        return [
            self._ask(header, self.tail(sample, context), [delimiter + text], i)
            for i, (context, text) in enumerate(choices)
        ]

    def _first(self, sample: Sample, own: Ask) -> list[Ask]:
        """The questions that the solver begins with; the prompt itself with its header apart, which others share."""
        prompt = join_messages(own.header, own.messages)
        questions = solve(self.benchmark, sample, prompt, [])
        if isinstance(questions, Reply) or any(question.role != "subject" for question in questions):
            raise SpecError(f"{self.benchmark.id}: a solver's first questions are to the model that is evaluated")
        asked = [own if list(q.messages) == prompt and q.kind == own.kind else ask_of(q) for q in questions]
        return [
            ask._replace(turn=turn, sampling=question.sampling)
            for turn, (ask, question) in enumerate(zip(asked, questions, strict=True))
        ]

    def _ask(self, header: str | None, messages: str, continuations: list[str], choice: int) -> Ask:
        return _ask(self.benchmark.kind, header, messages, continuations, choice, self.needs)


def ask_of(question: Question) -> Ask:
    """A solver's question as the ledger keeps it."""
    messages = orjson.dumps([{"role": m["role"], "content": m["content"]} for m in question.messages]).decode()
    return _ask(question.kind, None, messages, list(question.continuations), -1, ())


def _ask(
    kind: Kind, header: str | None, messages: str, continuations: list[str], choice: int, needs: Sequence[str]
) -> Ask:
    """The key holds the extras too: an answer without them is no answer to a request that wants them."""
    whole = splice(header, messages)
    content = f"{kind}\0{whole}\0{','.join(needs)}\0".encode() + _continuations(tuple(continuations))
    return Ask(digest(content), kind, _header_key(header), header, messages, continuations, choice, needs)


@lru_cache(maxsize=256)
def _continuations(texts: tuple[str, ...]) -> bytes:
    return canonical(texts) if texts else b""


@lru_cache(maxsize=256)
def _header_key(header: str | None) -> str | None:
    return digest(header.encode()) if header else None


def _turns(prompt: PromptSpec, name: str) -> list[tuple[str, Text]]:
    if isinstance(prompt.template, str):
        return [("user", text_template(prompt.template, f"{name}.template"))]
    return [(turn.role, text_template(turn.content, f"{name}.template")) for turn in prompt.template]


def _choices(benchmark: Benchmark) -> Callable[[Sample], list[tuple[str | None, str]]]:
    """A function from a sample to its (own context or None, bare choice) pairs."""
    name = f"{benchmark.id}: choices"
    if isinstance(benchmark.choices, str):
        listed = value_template(benchmark.choices, name)
        return lambda sample: [(None, str(choice)) for choice in _listed(listed(sample), name)]
    pairs = [_pair(choice, name) for choice in benchmark.choices]
    if all(context is None for context, _ in pairs) and not any(computes(str(c)) for c in benchmark.choices):
        constant = [(None, str(choice)) for choice in benchmark.choices]
        return lambda sample: list(constant)
    return lambda sample: [(context(sample) if context else None, text(sample)) for context, text in pairs]


def _pair(choice: str | Choice, name: str) -> tuple[Text | None, Text]:
    if isinstance(choice, str):
        return None, text_template(choice, name)
    context = text_template(choice.context, name) if choice.context is not None else None
    return context, text_template(choice.continuation, name)


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, list | tuple) and value:
        return list(value)
    raise SpecError(f"{name}: wanted a list of choices, got {value!r:.80}")


def gold_index(sample: Sample, choices: Sequence[str]) -> int | list[int]:
    """The index (or indexes) of the right choice: the target itself, or where the target's text stands among them.

    Raises SpecError where it is not among them.
    """
    target = sample.get("target")
    if isinstance(target, list):
        return [gold_index({"target": one}, choices) for one in target]  # type: ignore[misc]
    if isinstance(target, bool) or not isinstance(target, int | str):
        raise SpecError(f"wanted the index or the text of the right choice as target, got {target!r:.80}")
    if isinstance(target, int):
        if 0 <= target < len(choices):
            return target
        raise SpecError(f"the target is choice {target}, and there are {len(choices)}")
    if target in choices:
        return list(choices).index(target)
    raise SpecError(f"the target {target!r:.80} is not among the choices {list(choices)!r:.200}")

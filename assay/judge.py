"""Answers judged by other models: the solver that has them judged, once they are given.

The model that is evaluated answers first, turn by turn where the sample is a dialogue; a baseline is asked the same
where the benchmark holds one against it. Then every judge of the run is asked about the answer. Judges' requests are
requests as any other, cached and asked again by nobody; what judges wrote is read by the extractors of
`extract_judge`, since it comes back beside the answer, as `Reply.judgements`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

from assay.errors import SpecError
from assay.extract import run_chain
from assay.reasoning import apart
from assay.registry import Step, name_of
from assay.score import scorer
from assay.solve import Exchange, Question, asks, solver
from assay.solve_dialogue import dialogue
from assay.template import text_template
from assay.types import Judgement, Message, Reply, Sample, Sampling

Texts = Sequence[str]


@solver
@asks("judge")
def judged(
    sample: Sample,
    prompt: Sequence[Message],
    transcript: Sequence[Exchange],
    template: str = "",
    system: str = "",
    other: str | None = None,
    orders: Literal["one", "both"] = "one",
    turns: str | None = None,
    mode: str = "every",
    each: Literal["last", "every"] = "last",
    unless: Mapping[str, Any] | None = None,
    max_tokens: int = 2048,
) -> Sequence[Question] | Reply:
    """The answer, with what each judge of the run wrote about it.

    `template` (and `system`) is what a judge is asked, over the sample's fields and `answer`, `answers` (of all turns),
    `turn` (from 0), and where two answers are compared `first` and `second`: the answer and `other`, a field of the
    sample, and where `orders` is both the same once more the other way round (Zheng et al. 2023,
    https://arxiv.org/abs/2306.05685). `turns` names the field with a dialogue, which is held in a `mode` of the solver
    `dialogue`; `each: every` has each turn judged. `unless: {extract: …, score: …}` is a cascade: no judge is asked
    about an answer that this rule finds right.
    """
    given = _answered(sample, prompt, transcript, "subject", turns, mode)
    if not isinstance(given, Reply):
        return given
    if any(e.question.role == "judge" for e in transcript) or (unless and _right(unless, given, sample)):
        return _with_judgements(given, transcript)
    against = None if other is None else [str(sample[other])]
    return _questions(sample, _texts(given), against, template, system, orders, each, max_tokens)


@solver
@asks("judge", "baseline")
def compared(
    sample: Sample,
    prompt: Sequence[Message],
    transcript: Sequence[Exchange],
    template: str = "",
    system: str = "",
    orders: Literal["one", "both"] = "both",
    turns: str | None = None,
    mode: str = "every",
    max_tokens: int = 4096,
) -> Sequence[Question] | Reply:
    """The answer, with what each judge of the run wrote about it and the baseline's, in both orders; as `judged`."""
    given = _answered(sample, prompt, transcript, "subject", turns, mode)
    base = _answered(sample, prompt, transcript, "baseline", turns, mode)
    open_ = [] if isinstance(given, Reply) else list(given)
    if transcript and not isinstance(base, Reply):  # the first questions are to the model that is evaluated
        open_ += [replace(question, role="baseline") for question in base]
    if open_ or not isinstance(given, Reply) or not isinstance(base, Reply):
        return open_
    if any(e.question.role == "judge" for e in transcript):
        return _with_judgements(given, transcript)
    return _questions(sample, _texts(given), _texts(base), template, system, orders, "last", max_tokens)


def _answered(
    sample: Sample, prompt: Sequence[Message], transcript: Sequence[Exchange], role: str, turns: str | None, mode: str
) -> Sequence[Question] | Reply:
    """What somebody is to be asked next, or all that they answered."""
    own = [replace(e, question=replace(e.question, role="subject")) for e in transcript if e.question.role == role]
    if turns:
        return dialogue(sample, prompt, own, mode, turns)
    return own[-1].reply if own else [Question(prompt)]


def _texts(reply: Reply) -> list[str]:
    """What somebody answered, without the reasoning, turn by turn."""
    return [apart(one).text.strip() for one in reply.turns or [reply]]


def _questions(
    sample: Sample, own: Texts, other: Texts | None, template: str, system: str, orders: str, each: str, limit: int
) -> list[Question]:
    """What each judge is asked: a question a turn, and an order."""
    told, ask = _template(system), _template(template)
    places = range(len(own)) if each == "every" else [len(own) - 1]
    drawn, questions = Sampling(max_tokens=limit), []
    for turn in places:
        fields = {**sample, "answer": own[turn], "answers": own, "turn": turn}
        if other is None:
            shown = [fields]
        else:
            pair = (own, other) if len(other) == len(own) else ([own[turn]], [other[-1]])
            ways = [pair, pair[::-1]] if orders == "both" else [pair]
            shown = [{**fields, "first": a[-1], "second": b[-1], "firsts": a, "seconds": b} for a, b in ways]
        for one in shown:
            head: list[Message] = [{"role": "system", "content": text}] if (text := told(one)) else []
            questions.append(Question([*head, {"role": "user", "content": ask(one)}], role="judge", sampling=drawn))
    return questions


@lru_cache(maxsize=64)
def _template(text: str) -> Callable[[Mapping[str, Any]], str]:
    return text_template(text, "the judge's template")


def _right(rule: Mapping[str, Any], reply: Reply, sample: Sample) -> bool:
    """Whether a rule finds an answer right. Raises SpecError where it is none."""
    if set(rule) != {"extract", "score"}:
        raise SpecError(f"unless: wanted {{extract: …, score: …}}, got the keys {sorted(rule)}")
    steps: Step | list[Step] = rule["extract"]
    found = run_chain(steps if isinstance(steps, list) else [steps], reply, sample)
    name, options = name_of(rule["score"])
    return found.value is not None and bool(scorer[name](found.value, sample, **options) == 1)


def _with_judgements(given: Reply, transcript: Sequence[Exchange]) -> Reply:
    said = [(e, apart(e.reply)) for e in transcript if e.question.role == "judge"]
    return replace(given, judgements=[Judgement(e.by, e.turn, reply.text.strip(), reply.finish) for e, reply in said])

"""Tree of thoughts: several ways on from each thought, valued by the model itself, and the best of them kept.

Yao et al. 2023 (arXiv:2305.10601), its search in breadth. In each step the kept candidates are gone on from (`propose`:
one reply lists next thoughts, a line each; `sample`: each of several replies is one), valued (`value`: each by itself;
`vote`: all against each other), and the best are kept (`greedy`), or some are drawn by their value (`sample`). The same
prompt is put once to the model, however many candidates lead to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from assay.errors import SpecError
from assay.keys import canonical, generator
from assay.registry import Registry
from assay.solve import Exchange, Question, solver
from assay.types import Message, Reply, Sample

VOTE = (
    "Given an instruction and several choices, decide which choice is most promising. Analyze each choice in detail,"
    ' then conclude in the last line "The best choice is {s}", where s the integer id of the choice.\n'
)
"""Of the paper's repository, princeton-nlp/tree-of-thought-llm."""


WAYS = {"generate": ("propose", "sample"), "evaluate": ("value", "vote"), "select": ("greedy", "sample")}


@dataclass(frozen=True)
class Task:
    """What a tree of thoughts has to know of a task. A candidate is the text of its thoughts, a line each."""

    steps: int
    propose: Callable[[Sample, str, str], str]
    """(sample, the prompt's text, candidate) -> the prompt for next thoughts."""
    judge: Callable[[Sample, str], str | None]
    """(sample, candidate) -> the prompt for its value; None: it is worth nothing."""
    worth: Callable[[Sequence[str]], float]
    """The replies to that -> the value."""


task: Registry[Callable[[], Task]] = Registry("task of thoughts")


class _Missing(Exception):
    """Questions that must be answered first."""

    def __init__(self, prompts: Sequence[str], times: int) -> None:
        self.prompts, self.times = prompts, times


@dataclass(frozen=True)
class _Asked:
    """What was answered so far, by prompt."""

    replies: dict[str, list[str]]

    def of(self, prompts: Sequence[str], times: int = 1) -> list[list[str]]:
        """The replies to each of some prompts. Raises _Missing where some were not asked, or not so often."""
        if missing := [prompt for prompt in dict.fromkeys(prompts) if len(self.replies.get(prompt, ())) < times]:
            raise _Missing(missing, times)
        return [self.replies[prompt][:times] for prompt in prompts]


class Way(NamedTuple):
    """How a tree is searched."""

    generate: str
    evaluate: str
    select: str
    samples: int
    """Replies to go on from, with `generate: sample`."""
    evaluations: int
    """Judgements of each candidate, or votes."""
    keep: int


@solver
def tree_of_thoughts(
    sample: Sample,
    prompt: Sequence[Message],
    transcript: Sequence[Exchange],
    on: str = "game24",
    generate: Literal["propose", "sample"] = "propose",
    evaluate: Literal["value", "vote"] = "value",
    select: Literal["greedy", "sample"] = "greedy",
    samples: int = 1,
    evaluations: int = 3,
    keep: int = 5,
) -> Sequence[Question] | Reply:
    """The search in breadth on a task; the candidates that are left are the turns of the reply, the best first.

    What is drawn depends on the candidates alone. Raises SpecError for a task or a way that there is not.
    """
    way = Way(generate, evaluate, select, samples, evaluations, keep)
    for (name, ways), given in zip(WAYS.items(), way, strict=False):
        if given not in ways:
            raise SpecError(f"solver tree_of_thoughts: wanted {name}: {' or '.join(ways)}, got {given!r:.80}")
    try:
        candidates = _search(task[on](), _asked(transcript), sample, str(prompt[-1]["content"]), way)
    except _Missing as missing:
        system = [turn for turn in prompt if turn["role"] == "system"]
        asked = [text for text in missing.prompts for _ in range(missing.times)]
        return [Question([*system, {"role": "user", "content": text}]) for text in asked]
    replies = tuple(Reply(text, finish="stop") for text in candidates)
    return Reply(candidates[0] if candidates else "", finish="stop", turns=replies)


def _search(made: Task, asked: _Asked, sample: Sample, text: str, way: Way) -> list[str]:
    """The candidates of the last step. Raises _Missing for what has to be asked first."""
    candidates = [""]
    for step in range(made.steps):
        new = _next(made, asked, sample, text, candidates, way)
        if way.evaluate == "vote":
            values = _voted(asked, new, way.evaluations)
        else:
            values = _valued(made, asked, sample, new, way.evaluations)
        candidates = _selected(new, values, way, [canonical(sample).decode(), step])
    return candidates


def _asked(transcript: Sequence[Exchange]) -> _Asked:
    replies: dict[str, list[str]] = {}
    for exchange in transcript:
        if exchange.question.role == "subject":
            replies.setdefault(str(exchange.question.messages[-1]["content"]), []).append(exchange.reply.text)
    return _Asked(replies)


def _next(made: Task, asked: _Asked, sample: Sample, text: str, candidates: Sequence[str], way: Way) -> list[str]:
    """The candidates of the next step; blank lines are no thoughts."""
    if way.generate == "sample":
        found = asked.of([text + candidate for candidate in candidates], way.samples)
        lines = [[reply.strip("\n").split("\n")[0] for reply in replies] for replies in found]
    else:
        found = asked.of([made.propose(sample, text, candidate) for candidate in candidates])
        lines = [[line for reply in replies for line in reply.split("\n")] for replies in found]
    pairs = zip(candidates, lines, strict=True)
    return [f"{candidate}{line}\n" for candidate, some in pairs for line in some if line.strip()]


def _valued(made: Task, asked: _Asked, sample: Sample, candidates: Sequence[str], times: int) -> list[float]:
    """What each candidate is worth; the same one a second time is worth nothing."""
    prompts = {candidate: made.judge(sample, candidate) for candidate in candidates}
    wanted = [prompt for prompt in prompts.values() if prompt is not None]
    replies = dict(zip(wanted, asked.of(wanted, times), strict=True))
    worth = {candidate: made.worth(replies[prompt]) if prompt else 0.0 for candidate, prompt in prompts.items()}
    return [worth.pop(candidate, 0.0) for candidate in candidates]


def _voted(asked: _Asked, candidates: Sequence[str], times: int) -> list[float]:
    """How many votes each candidate has; where there is none, nobody is asked."""
    prompt = VOTE + "".join(f"Choice {place}:\n{text}\n" for place, text in enumerate(candidates, 1))
    replies = asked.of([prompt], times)[0] if candidates else []
    found = [re.search(r"best choice is\D*(\d+)", reply) for reply in replies]
    chosen = [int(match[1]) for match in found if match]
    return [float(chosen.count(place)) for place in range(1, len(candidates) + 1)]


def _selected(candidates: Sequence[str], values: Sequence[float], way: Way, seed: Sequence[Any]) -> list[str]:
    """The best, of equals the first; or as many drawn with the values as odds, where there are any."""
    if way.select == "sample" and any(values):
        return generator(*seed, list(candidates)).choices(candidates, values, k=way.keep)
    best = sorted(range(len(candidates)), key=lambda place: -values[place])
    return [candidates[place] for place in best[: way.keep]]

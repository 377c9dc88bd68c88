"""RULER at any length (Hsieh et al. 2024, arXiv:2404.06654), its tasks in turn."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from assay.errors import SpecError, unknown
from assay.generate_base import generated, made_of
from assay.generate_long import Count, Fitter, Haystack, tokens_of
from assay.ruler_tasks import NIAH, Text, cwe, fwe, niah, qa, vt

TASKS = (*NIAH, "vt", "cwe", "fwe", "qa_1", "qa_2")


@generated
@made_of(niah, Fitter)
def ruler(
    rng: random.Random,
    count: int,
    *,
    count_tokens: Count,
    texts: Iterable[Mapping[str, Any]],
    squad: Sequence[Mapping[str, Any]] = (),
    hotpot: Sequence[Mapping[str, Any]] = (),
    tokens: int | str = 4096,
    room: int = 128,
    tasks: Sequence[str] = TASKS[:-1],
) -> Iterator[dict[str, Any]]:
    """RULER's tasks in turn: the `prompt`, the `prefix` of the answer, the `answers`. Prompt and prefix have the asked
    length, less the `room` for an answer."""
    make = _tasks(tokens_of(tokens), texts, squad, hotpot)
    fitter, most = Fitter(count_tokens), tokens_of(tokens) - room
    for task in tasks:
        if task not in make:
            raise SpecError(unknown("task of RULER", task, TASKS))
    for place in range(count):
        task = tasks[place % len(tasks)]
        made = make[task](random.Random(rng.getrandbits(64)))
        units, length = fitter.fit(task, made.whole, most, made.least)
        shown = {"prompt": made.build(units), "prefix": made.prefix, "answers": made.answers, "depth": made.depth}
        yield {"task": task, **shown, "tokens": tokens_of(tokens), "length": length}


def _tasks(
    tokens: int,
    texts: Iterable[Mapping[str, Any]],
    squad: Iterable[Mapping[str, Any]],
    hotpot: Iterable[Mapping[str, Any]],
) -> dict[str, Callable[[random.Random], Text]]:
    stack = Haystack(dict.fromkeys(str(row["text"]) for row in texts))
    make: dict[str, Callable[[random.Random], Text]] = {task: partial(niah, stack=stack, task=task) for task in NIAH}
    make |= {"vt": vt, "cwe": partial(cwe, stack=stack, tokens=tokens), "fwe": partial(fwe, tokens=tokens)}
    for task, rows in (("qa_1", squad), ("qa_2", hotpot)):
        if questions := [_asked(row) for row in rows]:
            make[task] = partial(qa, questions=questions)
    return make


def _asked(row: Mapping[str, Any]) -> dict[str, Any]:
    """A question of SQuAD, or of HotpotQA with its ten passages."""
    context, answers = row["context"], row["answer"] if "answer" in row else row["answers"]
    if isinstance(context, Mapping):
        pairs = zip(context["title"], context["sentences"], strict=True)
        context = [f"{title}\n{''.join(sentences)}" for title, sentences in pairs]
    if isinstance(answers, Mapping):
        answers = answers["text"]
    listed = [answers] if isinstance(answers, str) else [a["text"] if isinstance(a, Mapping) else a for a in answers]
    documents = [context] if isinstance(context, str) else list(context)
    return {"question": row["question"], "answers": list(dict.fromkeys(listed)), "documents": documents}

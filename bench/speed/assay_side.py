"""assay's side: the adapter `hf`, loaded anew before each repetition so that nothing is left of the one before, and the
limit: bare forward passes over the tokens that there are."""

from __future__ import annotations

import time
from itertools import groupby
from typing import Any

from adapters.hf.known import known, texts_of
from adapters.hf.options import Options, options_of
from adapters.hf.spans import Span, Spans
from adapters.models import hf
from assay.spec import ModelSpec
from assay.types import Completion, Request, Sampling

from .limit import Limit, Rows, unique
from .wire import Operations, read_lines, serve


def request_of(key: int, line: dict[str, Any]) -> Request:
    text = line["text"] if "text" in line else line["context"]
    messages = [{"role": "user", "content": text}]
    if "text" in line:
        return Request(str(key), "rolling", messages)
    if "stop" in line:
        sampling = Sampling(stop=tuple(line["stop"]), max_tokens=line["max_tokens"])
        return Request(str(key), "generate", messages, sampling=sampling)
    return Request(str(key), "loglikelihood", messages, line["continuations"])


def start(settings: dict[str, Any]) -> tuple[dict[str, Any], Operations]:
    import torch

    torch.set_num_threads(settings["threads"])
    options = {"device": settings["device"], "dtype": settings["dtype"], "chat": False}
    spec = ModelSpec(adapter="hf", path=settings["model"], options=options)
    lines = read_lines(settings["requests"])
    requests = [request_of(key, line) for key, line in enumerate(lines)]
    rows = rows_of(spec, lines, requests)
    whole = [row for question in rows for row in question.rows]

    def answer(count: int | None = None) -> dict[str, Any]:
        model = hf.load(spec)
        began = time.perf_counter()
        done = {one.key: one for batch in model.answer(requests[:count]) for one in batch}
        seconds = time.perf_counter() - began
        answers = [done[request.key] for request in requests[:count]]
        if failed := [one.error for one in answers if one.error]:
            raise ValueError(f"{len(failed)} of {len(answers)} requests failed: {failed[0]}")
        return {"seconds": seconds, **told(answers)}

    def limit() -> dict[str, Any]:
        return Limit(settings["model"], settings["dtype"], settings["device"]).measured(rows)

    answer(2)  # the first of all pays for what is set up once
    facts = {"tokens": sum(map(len, whole)), "unique_tokens": unique(whole), "torch": torch.__version__}
    return facts, {"answer": answer, "limit": limit}


def told(answers: list[Completion]) -> dict[str, Any]:
    """Sums, one after the other, or texts and how many tokens they have."""
    if answers[0].text is None:
        return {"sums": [value for one in answers for value in one.sums]}
    return {"texts": [one.text for one in answers], "written": sum(one.output_tokens for one in answers)}


def rows_of(spec: ModelSpec, lines: list[dict[str, Any]], requests: list[Request]) -> list[Rows]:
    """The tokens that the model has to see, one row a continuation, question by question."""
    options = options_of(spec, Options)
    model = known(spec, options)
    texts = texts_of(spec, options, model)
    if "stop" in lines[0]:
        prompts = texts.encode([line["context"] for line in lines])
        return [Rows(line["group"], [row]) for line, row in zip(lines, prompts, strict=True)]
    asked = Spans(texts, model.max_length).of(requests)
    pairs = zip(lines, asked, strict=True)
    return [
        Rows(group, [span.tokens[:-1].tolist() for span in spans], beginnings(spans))
        for (_, group), members in groupby(pairs, lambda pair: (pair[0]["question"], pair[0]["group"]))
        for spans in [[span for _, one in members for span in one.spans]]
    ]


def beginnings(spans: list[Span]) -> int:
    """After how many different texts a token is scored."""
    return len(
        {
            span.tokens[:end].tobytes()
            for span in spans
            for end in range(len(span.tokens) - span.count, len(span.tokens))
        }
    )


if __name__ == "__main__":
    serve(start)

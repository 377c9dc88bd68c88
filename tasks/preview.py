"""A benchmark's questions as they will be asked, without a run: for `assay prompt`, the checks and the tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from adapters import model_adapter
from adapters.datasets import open_source
from assay.chat import render
from assay.messages import join_messages
from assay.prompt import Ask, Prompter
from assay.samples import loads, samples
from assay.spec import Benchmark, ModelSpec
from assay.types import Kind, Message, Sample
from tasks.examples import Case, Chooser, pool_of, takes


class Preview(NamedTuple):
    """A sample and what is asked about it in the first round."""

    sample_key: str
    grp: str
    sample: Sample
    demos: list[Sample]
    asks: list[Ask]


def preview(
    benchmark: Benchmark, catalog: Sequence[Path] = (), limit: int | None = None, seed: int = 0
) -> Iterator[Preview]:
    """The samples in data-set order, at most `limit` of each group, each with its requests. No model is asked: a
    retriever that goes by vectors finds all texts alike here.

    Raises DatasetError, SpecError as the steps of a run would.
    """
    rows = open_source(benchmark.sources, catalog=catalog).rows
    prompter, choose = Prompter(benchmark), Chooser(benchmark, pool_of(benchmark, catalog)[0], seed)
    for ordinal, prepared in enumerate(samples(benchmark, rows, limit)):
        sample = loads(prepared.fields)
        [shown] = choose([Case(ordinal, prepared.sample_key, prepared.grp, sample)])
        demos = list(shown.arranged(benchmark.prompt.fewshot).demos)
        yield Preview(prepared.sample_key, prepared.grp, sample, demos, prompter.asks(sample, demos))


def written(benchmark: Benchmark, shown: Preview, model: ModelSpec | None = None, catalog: Sequence[Path] = ()) -> str:
    """A preview as text for a person: each turn under its role, or the one text that a model's template makes of it;
    then the continuations, the stop strings and what is right.

    Raises ModelError where the model cannot be described.
    """
    lines = [f"# {benchmark.id} {shown.sample_key}{f' ({shown.grp})' if shown.grp else ''}"]
    if shown.demos and takes(benchmark, "embed"):
        lines += ["## other examples stand here in a run, whose embedder says which (assay samples --prompt)"]
    for ask in shown.asks:
        messages = join_messages(ask.header, ask.messages)
        if model:
            lines += ["## the text that the model gets", rendered(messages, ask.kind, model, catalog)]
        else:
            for message in messages:
                lines += [f"## {message['role']}", str(message["content"])]
        lines += [f"## continuation {i}\n{text!r}" for i, text in enumerate(ask.continuations)]
    if benchmark.kind == "generate":
        lines += ["## stop, max_tokens", f"{list(benchmark.sampling.stop)} {benchmark.sampling.max_tokens}"]
    lines += ["## target", repr(shown.sample.get("target"))]
    return "\n".join(lines) + "\n"


def rendered(messages: Sequence[Message], kind: Kind, model: ModelSpec, catalog: Sequence[Path]) -> str:
    """The one text that a model gets for messages: by its adapter where that can tell, else by its meta template."""
    adapter = model_adapter(model.adapter, catalog)
    adapter.describe(model)
    if hasattr(adapter, "rendered"):
        return str(adapter.rendered(model, messages, kind))
    return render(messages, model.meta_template, "gen" if kind == "generate" else "ppl")

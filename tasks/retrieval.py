"""The models that retrievers ask: one for vectors of texts, one that says how sure examples make it of an answer.

Both are asked in the run's own process, before the models that are evaluated, and both are models like any other: what
they say is kept in the ledger, and asked for once.
"""

from __future__ import annotations

from typing import NamedTuple

from adapters import model_adapter
from assay.errors import ModelError, SpecError
from assay.prompt import Prompter
from assay.spec import Benchmark, EvalSpec
from assay.template import text_template
from tasks.context import Run, Subject, described, record_model
from tasks.examples import Aid, takes
from tasks.trials import Trials
from tasks.vectors import Vectors


class Helpers(NamedTuple):
    """Whom a benchmark's retriever asks; None: nobody."""

    embedder: Subject | None = None
    weigher: Subject | None = None

    @property
    def keys(self) -> list[str]:
        """The keys of both."""
        return [one.key for one in self if one]


def helpers_of(spec: EvalSpec, benchmark: Benchmark) -> Helpers:
    """Whom the benchmark's retriever asks, described.

    Raises SpecError where nobody is named, ModelError for a model that cannot do what is asked of it.
    """
    fewshot = benchmark.prompt.fewshot
    if fewshot is None or fewshot.k == 0 or not takes(benchmark, "embed"):
        return Helpers()
    name = f"{benchmark.id}: the retriever {fewshot.retriever}"
    if spec.embedder is None:
        raise SpecError(
            f"{name} wants an embedder, and the run has none: name one by --embedder hf:FOLDER, or `embedder:` in the"
            " spec"
        )
    [embedder] = described(spec, [spec.embedder]).values()
    _able(embedder, "embed", name)
    if not takes(benchmark, "model"):
        return Helpers(embedder)
    if not benchmark.choices:
        raise SpecError(f"{name} weighs answers, and the benchmark has no `choices`")
    named = fewshot.options.get("model")
    [weigher] = described(spec, [named]).values() if named else [embedder]
    _able(weigher, "loglikelihood", f"{name} (fewshot.options.model, by default the embedder)")
    return Helpers(embedder, weigher)


def _able(subject: Subject, kind: str, name: str) -> None:
    if kind not in subject.info.kinds:
        can = ", ".join(sorted(subject.info.kinds))
        raise ModelError(f"{name} asks for {kind}, and {subject.spec.label} can {can}")


def check_helpers(spec: EvalSpec, benchmark: Benchmark) -> None:
    """Raise SpecError or ModelError where whom a benchmark's retriever asks is not named, not able, or not ready."""
    for one in filter(None, helpers_of(spec, benchmark)):
        adapter = model_adapter(one.spec.adapter, spec.catalog)
        if hasattr(adapter, "ready"):
            adapter.ready(one.spec)


def aid(run: Run, benchmark: Benchmark, prompter: Prompter, helpers: Helpers) -> Aid | None:
    """What a run has for a retriever to ask; None where it asks nobody."""
    fewshot = benchmark.prompt.fewshot
    if fewshot is None or helpers.embedder is None:
        return None
    with run.ledger.write() as con:
        for one in {one.key: one for one in helpers if one}.values():
            record_model(con, one)
    text = text_template(fewshot.text, f"{benchmark.id}: fewshot.text")
    vectors = Vectors(run, helpers.embedder, text)
    weigh = Trials(run, benchmark, prompter, helpers.weigher) if helpers.weigher else None
    return Aid(vectors, vectors.ahead, weigh)

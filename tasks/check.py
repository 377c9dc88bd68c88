"""Everything that can be known to be wrong before anything is loaded, asked or written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from pydantic import ValidationError

from adapters import model_adapter
from assay.errors import AssayError, ModelError, SpecError, unknown
from assay.extract import run_chain
from assay.prompt import Prompter, gold_index
from assay.reading import readings, scorings
from assay.registry import name_of
from assay.retrieve import retriever
from assay.solve import roles_of, solver
from assay.spec import Benchmark, EvalSpec, explain
from assay.types import Reply, Sampling
from assay.workload import COLUMNS
from tasks.context import Subject, elsewhere, resolve, resolve_others
from tasks.divide import divide
from tasks.execute import running
from tasks.preview import preview
from tasks.retrieval import check_helpers

ROLES = {"judge": "`judges:`", "baseline": "`baseline:`"}
"""Who is asked beside the evaluated models, and where a spec names them."""
CHOICES = ("loglikelihood", "choice")
"""The kinds whose replies have log-probabilities of choices."""
OF_CHOICES = {"choice_sums", "prompt_means", "token_means", "mutual_information", "choice_probabilities"}
"""The extractors that read these."""


def check(spec: EvalSpec) -> None:
    """Names, options, templates against a first row, stop strings, what the models can do, that the data are there.

    Raises SpecError, DatasetError, ModelError.
    """
    benchmarks, subjects = resolve(spec)
    others = resolve_others(spec)
    asked = [subject for models in (subjects, *others.values()) for subject in models.values()]
    for subject in asked:
        adapter = model_adapter(subject.spec.adapter, spec.catalog)
        if hasattr(adapter, "ready") and not elsewhere(spec, subject):  # a worker may have what this process lacks
            adapter.ready(subject.spec)
    divide(COLUMNS.empty_table(), spec.partitioner)
    for benchmark in benchmarks.values():
        sampling = check_sampling(spec, benchmark)
        for subject in subjects.values():
            check_model(benchmark, subject, sampling)
        with _named(benchmark):
            check_roles(benchmark, others)
    for benchmark in benchmarks.values():
        with _named(benchmark):
            check_recipe(benchmark)
            check_helpers(spec, benchmark)
            check_data(spec, benchmark)
    check_sandbox(spec, benchmarks.values())


def check_sampling(spec: EvalSpec, benchmark: Benchmark) -> Sampling:
    """The benchmark's sampling with the spec's overrides. Raises SpecError."""
    for name in spec.sampling:
        if name not in Sampling.model_fields:
            raise SpecError(unknown("sampling option", name, Sampling.model_fields))
    try:
        sampling = Sampling.model_validate(benchmark.sampling.model_dump() | spec.sampling)
    except ValidationError as error:
        raise explain(error, f"sampling of {benchmark.id}") from error
    if "" in sampling.stop:
        raise SpecError(f"sampling of {benchmark.id}: an empty stop string would end every answer before it begins")
    return sampling


def check_model(benchmark: Benchmark, subject: Subject, sampling: Sampling) -> None:
    """Raise ModelError where a model cannot answer a benchmark's requests."""
    info, label = subject.info, subject.spec.label
    if benchmark.kind not in info.kinds:
        raise ModelError(f"{benchmark.id} asks for {benchmark.kind}, and {label} can {', '.join(sorted(info.kinds))}")
    windows = {"windows"} if benchmark.kind == "rolling" and sampling.stride else set()
    if missing := (set(benchmark.needs) | windows) - info.needs:
        given = ", ".join(sorted(info.needs)) or "no extras"
        raise ModelError(f"{benchmark.id} needs {', '.join(sorted(missing))}, and {label} gives {given}")


def check_roles(benchmark: Benchmark, others: Mapping[str, Mapping[str, Subject]]) -> None:
    """Raise SpecError where a benchmark asks a judge or baseline and there is none, ModelError where it only scores."""
    for role in roles_of(benchmark):
        if not others[role]:
            flag = f"--{role} MODEL, or {ROLES[role]} in the spec"
            raise SpecError(f"{benchmark.id} asks a {role}, and the run has none: name one by {flag}")
        for other in others[role].values():
            if "generate" not in other.info.kinds:
                raise ModelError(f"{benchmark.id} has its {role} write, and {other.spec.label} cannot")


def check_recipe(benchmark: Benchmark) -> None:
    """Raise SpecError where a recipe names a function or an option that is not there, or one for another kind."""
    for reading in readings(benchmark):
        if OF_CHOICES & set(reading.functions) and benchmark.kind not in CHOICES:
            raise SpecError(f"{reading.filter} wants kind {' or '.join(CHOICES)}, and this asks for {benchmark.kind}")
    scorings(benchmark)
    name, options = name_of(benchmark.solver)
    solver.fitting(name, None, None, None, **options)
    if benchmark.prompt.fewshot:
        retriever[benchmark.prompt.fewshot.retriever]


def check_data(spec: EvalSpec, benchmark: Benchmark) -> None:
    """Raise DatasetError where the rows are not there, SpecError where a template does not fit the first of them, or an
    extractor not even an empty answer."""
    first = next(preview(benchmark, spec.catalog, seed=spec.seed))
    for reading in readings(benchmark):
        run_chain(reading.chain, Reply(), first.sample)
    if benchmark.kind in CHOICES and first.sample.get("target") is not None:
        gold_index(first.sample, [text for _, text in Prompter(benchmark).choices(first.sample)])


def check_sandbox(spec: EvalSpec, benchmarks: Iterable[Benchmark]) -> None:
    """Raise SandboxError where a benchmark runs programs and no sandbox, or not the one that is asked for, works here;
    SpecError for one that is not there."""
    from adapters.sandboxes import open_best

    if spec.sandbox is not None or any(running(benchmark) for benchmark in benchmarks):
        with open_best(spec.sandbox, 1, spec.catalog):
            pass


@contextmanager
def _named(benchmark: Benchmark) -> Iterator[None]:
    """An error that does not say which benchmark it is about is told with its name."""
    try:
        yield
    except AssayError as error:
        if benchmark.name in str(error):
            raise
        raise type(error)(f"{benchmark.id}: {error}") from error

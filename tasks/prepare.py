"""prepare: a benchmark's source rows become samples."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import pyarrow as pa

from adapters import model_adapter
from adapters.datasets import open_source
from adapters.datasets.files import pinned_file
from adapters.datasets.formats import records
from adapters.datasets.generated import Measure, estimate
from assay.chunks import CHUNK, chunked
from assay.circular import rotations
from assay.errors import SpecError
from assay.images import FOLDER
from assay.keys import key
from assay.prompt import Prompter
from assay.registry import version_of
from assay.samples import Prepared, loads, samples
from assay.spec import Benchmark
from assay.template import filters_in, value_template
from assay.types import Request
from tasks.context import Run, Subject, open_run
from tasks.fit import counter
from tasks.progress import advance
from tasks.steps import each, step

COUNTS = ("tokenizer", "chat_template", "meta_template", "add_bos")
"""What of a model's identity says how long a text is to it."""


@step("prepare")
def prepare_task(ledger: str, run_id: str, benchmarks: list[str]) -> list[str]:
    """Samples of some benchmarks, in the ledger; the benchmarks."""
    run = open_run(ledger, run_id)
    return each(run, "prepare", benchmarks, lambda name: prepare(run, name))


def prepare(run: Run, name: str) -> None:
    """Have a benchmark's samples in the ledger, with where they came from. Raises DatasetError, SpecError."""
    benchmark = run.benchmarks[name]
    opened = open_source(benchmark.sources, run.spec.catalog, lambda: measure(run, name))
    mapping = [benchmark.name, benchmark.sample, benchmark.where, benchmark.group, benchmark.cluster]
    mapping += ["circular", version_of(rotations)] if benchmark.circular else []
    code = [version_of(one) for one in (samples, value_template, records)]
    step_key = key("prepare", opened.facts, mapping, run.spec.limit, code, filters_in(mapping))
    if benchmark.prompt.images is not None:
        keep_images(run, benchmark, samples(benchmark, opened.rows, run.spec.limit))
    with run.step("prepare", name, step_key, "samples") as record:
        if not record.fresh:
            advance("prepare", record.rows)
            return
        for chunk in chunked(samples(benchmark, opened.rows, run.spec.limit), CHUNK):
            columns = dict(zip(("sample_key", "grp", "cluster", "fields"), zip(*chunk, strict=True), strict=True))
            table = pa.table({"ordinal": range(record.rows, record.rows + len(chunk)), **columns})
            run.put("samples", step_key, table)
            record.rows += len(chunk)
            advance("prepare", len(chunk))
        _record_source(run, name, opened.facts, record.rows)


def keep_images(run: Run, benchmark: Benchmark, prepared: Iterable[Prepared]) -> None:
    """Have the images of some samples in the run's spool. Raises DatasetError where one is missing or not as pinned."""
    folder, prompter = run.spool / FOLDER, Prompter(benchmark)
    folder.mkdir(parents=True, exist_ok=True)
    for one in prepared:
        for sha256 in prompter.images(loads(one.fields)) if prompter.images else ():
            if not (folder / sha256).exists():
                shutil.copyfile(pinned_file(sha256, run.spec.catalog), folder / sha256)


def measure(run: Run, name: str) -> Measure:
    """How long a text is to the models of a run, for a benchmark whose texts have an asked length.

    Raises SpecError where they do not count alike: their questions would not be the same.
    """
    alike: dict[str, Subject] = {}
    for subject in map(run.models.__getitem__, run.subjects):
        told = {part: subject.info.identity.get(part) for part in COUNTS}
        known = hasattr(model_adapter(subject.spec.adapter, run.spec.catalog), "counter")
        alike.setdefault(key(told) if known else "", subject)
    if len(alike) > 1:
        which = " and ".join(subject.spec.label for subject in alike.values())
        raise SpecError(
            f"{name}: its texts are of a length in the model's own tokens, and {which} count differently: ask them in"
            f" runs of their own, or name one tokenizer for both ({name}@tokenizer=FOLDER)"
        )
    [(identity, subject)] = alike.items()
    if not identity:
        return estimate()
    count = counter(subject.spec, run.spec.catalog)
    return Measure(identity, lambda text: count(Request("", "generate", [{"role": "user", "content": text}])))


def _record_source(run: Run, name: str, facts: dict[str, object], rows: int) -> None:
    row = [
        key(name, facts),
        name,
        str(facts.get("source", "")),
        str(facts.get("revision", "")),
        str(facts.get("sha256", "")),
        rows,
    ]
    with run.ledger.write() as con:
        con.execute(
            "INSERT INTO datasets SELECT ?, ?, ?, ?, ?, ?, now()::TIMESTAMP"
            " WHERE NOT EXISTS (FROM datasets WHERE dataset_key = ?)",
            [*row, row[0]],
        )

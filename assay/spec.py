"""What a person writes: a benchmark, a model, an evaluation. Frozen records in which a misspelt field is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from assay.errors import SpecError
from assay.keys import key
from assay.registry import Step
from assay.types import Kind, Record, Sampling

Dimension = Literal[
    "knowledge", "language", "understanding", "reasoning", "examination",
    "code", "safety", "long_context", "instruction_following", "tool_use", "multimodal",
]  # fmt: skip


class FilesSource(Record):
    """Rows from files under `$ASSAY_DATA`, each pinned by SHA-256 in datasets.lock."""

    path: str
    """Relative; may hold globs (`*`) and captures (`{subject}`, which become columns)."""
    format: str | None = None
    """jsonl, json, csv, tsv, parquet, txt; by the file's ending where not given (.gz, .bz2, .zip are seen through)."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a file without a header."""
    records: str | int | None = None
    """Where the list lies in a JSON (a dotted path), or how many lines of a text are one record."""
    join: FilesSource | None = None
    """A second source beside it: joined by its captures where it has any, else row by row."""
    reader: str | None = None
    """A registered function `(path) -> rows` for what the above cannot say."""
    options: dict[str, Any] = {}


class HubSource(Record):
    """Rows from the Hugging Face hub, by `datasets`, at a pinned revision."""

    path: str
    name: str | None = None
    split: str
    revision: str | None = None
    """A commit; where missing, the one in datasets.lock."""


class GeneratedSource(Record):
    """Rows made by a registered seeded function: `(rng, count, **options) -> rows`."""

    name: str
    count: int = 200
    seed: int = 0
    options: dict[str, Any] = {}


class Source(Record):
    """One place where the rows may come from."""

    files: FilesSource | None = None
    hub: HubSource | None = None
    generated: GeneratedSource | None = None

    @model_validator(mode="after")
    def _one(self) -> Source:
        if sum(x is not None for x in (self.files, self.hub, self.generated)) != 1:
            raise ValueError("a source is one of files, hub, generated")
        return self


class Fewshot(Record):
    """Worked examples in front of the question."""

    sources: tuple[Source, ...] = Field(default=(), alias="from")
    """Where they come from: a file's path, or a source, or a list of sources; `self` for the benchmark's own rows."""
    own: bool = False
    """They come from the benchmark's own rows (`from: self`); a question is never its own example."""
    samples: tuple[dict[str, Any], ...] = ()
    """Or they are written here, already mapped."""
    retriever: str = "fixed"
    k: int = 5
    options: dict[str, Any] = {}
    sample: dict[str, Any] | None = None
    """How their rows are mapped, where it differs from the benchmark's `sample`."""
    by_group: bool = True
    """Where the benchmark has groups: only examples of the same group."""
    text: str = "{{ input }}"
    """What retrievers compare of questions and examples: a template over their fields."""
    order: Literal["best_first", "best_last"] = "best_first"
    """How what the retriever chose stands in the prompt: its first in front, or next to the question."""
    fit: bool = False
    """Leave out examples, the retriever's last ones first, while the prompt is longer than the model takes."""

    @model_validator(mode="before")
    @classmethod
    def _sources(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "from" not in data:
            return data
        given = data["from"]
        if given == "self":
            return {**{k: v for k, v in data.items() if k != "from"}, "own": True}
        given = given if isinstance(given, list | tuple) else [given]
        return {**data, "from": [{"files": {"path": s}} if isinstance(s, str) else s for s in given]}


class Turn(Record):
    """One turn of a dialogue template."""

    role: str
    content: str


class PromptSpec(Record):
    """How a sample becomes what the model is asked. Every text is a template over the sample's fields."""

    system: str | None = None
    description: str = ""
    """In front of the demonstrations and the question, in the same text (`in_prompt`) or first turn."""
    template: str | tuple[Turn, ...] = "{{ input }}"
    """The question: one user turn, or a dialogue."""
    answer: str | None = None
    """How a demonstration's answer is written; by default the target, or the choice that is the target."""
    delimiter: str = " "
    """Between a question and its answer or choice, where they are one text; not counted in the answer's length."""
    separator: str = "\n\n"
    """Between demonstrations, and between the last one and the question, where they are one text."""
    images: str | None = None
    """A template that gives the SHA-256 of images, a list of them: they stand before the question's last text."""
    prefix: str = ""
    """Response prefix: how the model's own turn begins."""
    demonstrations: Literal["turns", "in_prompt"] = "in_prompt"
    """One text with the question, or turns of a dialogue."""
    fewshot: Fewshot | None = None


class Choice(Record):
    """A choice with a context of its own, for benchmarks where the contexts differ and the continuation may not."""

    context: str | None = None
    """In place of `prompt.template`."""
    continuation: str


class Benchmark(Record):
    """One file: data + prompt + reading + scoring."""

    name: str
    variant: str = ""
    dimension: Dimension
    capabilities: tuple[str, ...] = ()
    licence: str = ""
    paper: str = ""
    about: str = ""
    """A sentence on what it measures: the comment at the top of the file."""
    sources: tuple[Source, ...] = Field(min_length=1)
    questions: int | None = Field(default=None, ge=1)
    """How many there are, as upstream publishes them: a benchmark with more or fewer is not this one."""
    sample: dict[str, Any]
    """Field -> a column's name, a template, or a list or map of these. `target` is the answer, or the right choice's
    index (or text, or a list of indexes)."""
    group: str | None = None
    """A column (or template) that divides the benchmark, such as the subject."""
    cluster: str | None = None
    """A column (or template): samples that share it are not independent."""
    where: str | None = None
    """A template; rows for which it is false or empty are not part of the benchmark."""
    solver: Step = "direct"
    prompt: PromptSpec = PromptSpec()
    kind: Kind = "generate"
    choices: str | tuple[str | Choice, ...] = ()
    """`loglikelihood` and `choice`: the choices, or a template that gives the list."""
    needs: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    extract: dict[str, tuple[Step | tuple[Step, ...], ...]] = {}
    """Filter -> alternatives, the first that finds an answer counts; an inner list is a pipeline. A plain list is the
    filter ''."""
    score: tuple[Step, ...] = Field(min_length=1)
    metrics: tuple[Step, ...] = ("mean",)
    aggregate: Literal["micro", "macro"] = "micro"
    """What the headline figure is where there are groups: the mean over samples or over groups."""
    version: int = 1
    circular: bool = False
    """Each question is asked once for each rotation of its choices: what `NAME@circular` sets."""

    @field_validator("extract", mode="before")
    @classmethod
    def _one_filter(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [value]
        return {"": value} if isinstance(value, list | tuple) else value

    @property
    def id(self) -> str:
        """`gsm8k`, or `gsm8k@cot`."""
        return f"{self.name}@{self.variant}" if self.variant else self.name

    @property
    def recipe_key(self) -> str:
        """The key of everything that says how it is asked, read and scored."""
        told = {"about", "licence", "paper", "capabilities", "questions"} | (set() if self.circular else {"circular"})
        return key(self.model_dump(mode="json", exclude=told))


class MetaItem(Record):
    """How one role is written in a base model's dialogue."""

    role: str
    begin: str = ""
    end: str = ""
    prompt: str = ""
    """What is written where the dialogue has no such turn."""
    generate: bool = False
    """The role that the model plays."""


class MetaTemplate(Record):
    """Dialogue to string, for a model without a chat template of its own (OpenCompass's meta_template)."""

    begin: str = ""
    round: tuple[MetaItem, ...]
    end: str = ""
    reserved_roles: tuple[MetaItem, ...] = ()


class Price(Record):
    """What a model costs, for plans: in one currency of your own."""

    input: float = Field(default=0.0, ge=0)
    """A million prompt tokens."""
    output: float = Field(default=0.0, ge=0)
    """A million written tokens."""
    device_hour: float = Field(default=0.0, ge=0)
    """An hour of one device."""


class ModelSpec(Record):
    """One row of models.yaml, or `adapter:path` on the command line."""

    name: str = ""
    adapter: str
    path: str
    options: dict[str, Any] = {}
    meta_template: MetaTemplate | None = None
    family: str = ""
    """What its checkpoints have in common."""
    step: int | None = None
    """Training step of a checkpoint."""
    devices: int | None = Field(default=None, ge=0)
    """GPUs that one replica of it wants; 0 for a model that is asked from the run's own process, as an API is. By
    default what its adapter says."""
    price: Price | None = None

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.name or f"{self.adapter}:{self.path}"


class Compute(Record):
    """Where models are asked: by default in the run's own process. None of it changes an answer."""

    pool: str | None = None
    """A Prefect work pool with the deployment `inference/POOL`; `{devices}` in it is what the model wants:
    `gpu-{devices}` is `gpu-1` or `gpu-8`."""
    cluster: str | None = None
    """Or a cluster back end, such as `slurm`."""
    replicas: int | None = Field(default=None, ge=1)
    """Workers at a time that have the model loaded; by default as many as the pool admits and the work is worth."""
    attempts: int = Field(default=3, ge=0)
    """How many workers of a model that died or got stuck are replaced."""
    timeout: float = Field(default=1800.0, gt=0)
    """Seconds without a new answer after which a worker counts as stuck, and is ended."""
    spool: str | None = None
    """A folder or fsspec URL that the run and all its workers reach; by default the folder beside the ledger."""

    @model_validator(mode="after")
    def _one(self) -> Compute:
        if self.pool and self.cluster:
            raise ValueError("a model is asked on a pool or on a cluster: name one")
        return self


class EvalSpec(Record):
    """What is asked for: the same record is a YAML file, the flags of `assay run`, and the form in the Prefect UI."""

    models: tuple[ModelSpec | str, ...] = Field(min_length=1)
    """Rows of models.yaml by name, `adapter:path`, or written out."""
    benchmarks: tuple[str, ...] = ()
    """`gsm8k`, `gsm8k@cot`."""
    suites: tuple[str, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    """At most so many samples of each group of each benchmark."""
    seed: int = 0
    sampling: dict[str, Any] = {}
    """Overrides of every benchmark's sampling."""
    judges: tuple[ModelSpec | str, ...] = ()
    """Models that judge answers, for the benchmarks that ask a judge: of several the majority or the mean counts."""
    baseline: ModelSpec | str | None = None
    """The model whose answers others are held against, for the benchmarks that compare two."""
    embedder: ModelSpec | str | None = None
    """The model whose vectors say which examples are near to a question, for the retrievers that ask."""
    max_rounds: int = Field(default=8, ge=1)
    partitioner: Step = "balanced"
    """How the open requests are divided into shards: a name or `{name: {option: value}}`. It changes no answer."""
    compute: Compute = Compute()
    sandbox: str | None = None
    """What keeps programs in that models wrote: namespaces, bwrap or docker, by default the strongest that works.
    `none` keeps nothing in."""
    catalog: tuple[Path, ...] = ()
    """Folders with a user's own benchmarks, models and functions."""

    @model_validator(mode="after")
    def _something(self) -> EvalSpec:
        if not self.benchmarks and not self.suites:
            raise ValueError("no benchmarks and no suites: name at least one")
        return self

    @property
    def hash(self) -> str:
        """The same for the same evaluation, wherever it runs and whatever it costs."""
        told = self.model_dump(mode="json", exclude={"partitioner", "compute"})
        for model in (*told["models"], *told["judges"], told["baseline"], told["embedder"]):
            if isinstance(model, dict):
                del model["devices"], model["price"]
        if self.sandbox is None:  # so that the evaluations of older ledgers are still the same
            del told["sandbox"]
        return key(told)


def explain(error: ValidationError, what: str) -> SpecError:
    """A validation error in one sentence a field: where, what is wrong, what came."""
    lines = []
    for e in error.errors():
        where = ".".join(str(p) for p in e["loc"]) or what
        came = "" if e["type"] in ("missing", "extra_forbidden") else f", got {e['input']!r:.80}"
        lines.append(f"{where}: {e['msg'].removeprefix('Value error, ')}{came}")
    return SpecError(f"{what}: " + "; ".join(lines))

"""What a nightly evaluation of checkpoints is told: where they lie, what is asked of them, how much a night may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from assay.spec import Compute, EvalSpec, ModelSpec
from assay.types import Record

LAST_NUMBER = r"(\d+)\D*$"


class Folders(Record):
    """Folders, here or elsewhere."""

    pattern: str
    """Of folders, or a URL that fsspec knows: /runs/x/step-*, s3://bucket/x/step-*."""


class Revisions(Record):
    """Revisions of a model on the Hugging Face hub."""

    path: str
    """OWNER/NAME."""
    revisions: tuple[str, ...] = Field(min_length=1)
    """Branches or tags with a step in their names, such as step-1000."""


class Nightly(Record):
    """What is watched and how it is evaluated."""

    watch: Folders | Revisions
    """Where the checkpoints lie: folders, or revisions on the hub."""
    family: str = Field(min_length=1)
    """What the checkpoints have in common: their curves have this name, and each model is called FAMILY-STEP."""
    step_pattern: str = LAST_NUMBER
    """A regular expression that finds the training step in a checkpoint's name; by default its last number."""
    stride: int | None = Field(default=None, ge=1)
    """Only checkpoints whose step is a multiple of this; by default all."""
    adapter: str = "hf"
    """Which model adapter runs them: hf or vllm."""
    options: dict[str, Any] = {}
    """What the adapter can be told, such as {"dtype": "bfloat16"}."""
    devices: int | None = Field(default=None, ge=0)
    """GPUs that one replica of the model wants."""
    benchmarks: tuple[str, ...] = ()
    """With their variants, such as gsm8k@cot. Benchmarks or suites, or both."""
    suites: tuple[str, ...] = ()
    """Named lists of benchmarks."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many samples of each group of each benchmark."""
    seed: int = 0
    """Of everything that is drawn."""
    sampling: dict[str, Any] = {}
    """Overrides of every benchmark's sampling."""
    compute: Compute = Compute()
    """Where models are asked: by default in the flow's own process."""
    catalog: tuple[Path, ...] = ()
    """Folders with benchmarks and functions of your own."""
    order: Literal["oldest first", "newest first"] = "oldest first"
    """Which of the checkpoints that the ledger lacks comes first. Those whose evaluation failed come last."""
    at_most: int | None = Field(default=None, ge=1)
    """Checkpoints evaluated in one night; by default all that the ledger lacks."""
    hours: float | None = Field(default=None, gt=0)
    """After so many hours no further one is begun; the next night goes on."""
    settle: float = Field(default=300.0, ge=0)
    """Seconds without a change of its files after which a checkpoint counts as written."""
    wait: float = Field(default=0.0, ge=0)
    """Seconds that a night waits at most for checkpoints that are being written; else they are the next night's."""
    against: Literal["previous", "best"] = "previous"
    """Which checkpoint a fall is measured from: the one before, or the one with the best mean so far."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """A benchmark has fallen where its one-sided p, adjusted over all benchmarks, is less than this."""

    @model_validator(mode="after")
    def _something(self) -> Nightly:
        if not self.benchmarks and not self.suites:
            raise ValueError("no benchmarks and no suites: name at least one")
        return self

    def spec(self, step: int, path: str, commit: str | None = None) -> EvalSpec:
        """The evaluation of one checkpoint that can be loaded from a path."""
        model = ModelSpec(
            name=f"{self.family}-{step}", adapter=self.adapter, path=path, family=self.family, step=step,
            options=self.options | ({"revision": commit} if commit else {}), devices=self.devices,
        )  # fmt: skip
        return EvalSpec(
            models=(model,), benchmarks=self.benchmarks, suites=self.suites, limit=self.limit, seed=self.seed,
            sampling=self.sampling, compute=self.compute, catalog=self.catalog,
        )  # fmt: skip

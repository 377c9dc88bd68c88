"""A task of lm-evaluation-harness: which benchmark it is, and how a row of ours is written as it wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


def target(record: Row) -> Any:
    """The gold answer, of a sample of theirs or of the fields of ours."""
    return record["target"]


def first_target(record: Row) -> Any:
    """The first of several gold answers, or the only one."""
    gold = record["target"]
    return gold[0] if isinstance(gold, list) else gold


def dataset_name(recipe: Row) -> str | None:
    """A recipe's subject, in most groups."""
    return recipe["dataset_name"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Task:
    """A task of the harness, or a group of tasks, one a subject."""

    benchmark: str
    files: str
    """Its YAML files under lm_eval/tasks, patterns divided by blanks."""
    split: str
    row: Callable[[Row], Row]
    group: str | Callable[[Row], str] | None = None
    """Our column with the subject, or what makes it; None where theirs are not divided, whatever ours are."""
    shots: int = 0
    pool: str | None = None
    """The split that worked examples are drawn from, where they are rows of data."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Their metric (or `metric,filter`) -> ours, where the names differ."""
    writes: bool = False
    gold_there: Callable[[Row], Any] | None = target
    """What their sample's gold answer is; None where a task has no other than the text itself."""
    gold_here: Callable[[Row], Any] = target
    """What it is by the fields of our sample."""
    unfit: Callable[[Row, bool], str | None] | None = None
    """Why the harness cannot judge a row, or not twice the same; given whether it has nltk's punkt."""
    key: str = "key"
    """The column that names a row, where some are left out."""
    subject: Callable[[Row], str | None] = dataset_name
    """Our name of a recipe's subject; None for one whose rows are not at hand."""
    only: frozenset[str] | None = None
    """The metrics of theirs that we have too, where that is not all."""
    together: frozenset[str] = frozenset()
    """Metrics of all samples together, of which a sample has no score."""
    percent: frozenset[str] = frozenset()
    """Metrics that are of a hundred there and of one here."""
    asked: bool = False
    """Compare only what is asked and written: the harness's metric wants the network, or an older transformers."""

    @property
    def scored(self) -> bool:
        """Whether there is a gold answer that can be given, and both say what an answer is worth."""
        return self.gold_there is not None and not self.asked


def as_it_is(row: Row) -> Row:
    return dict(row)


def only(*names: str, **renamed: str) -> Callable[[Row], Row]:
    """These columns, and others under new names."""
    return lambda row: {name: row[name] for name in names} | {new: row[old] for new, old in renamed.items()}


def plus(take: Callable[[Row], Row], **made: Callable[[Row], Any]) -> Callable[[Row], Row]:
    """What `take` takes, and columns that are made of a row."""
    return lambda row: {**take(row), **{name: make(row) for name, make in made.items()}}

"""What all generated sources have in common: the registry, and questions kept apart for evaluation."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from assay.errors import DatasetError, SpecError
from assay.keys import digest
from assay.registry import Registry

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
Split = Literal["train", "test"]
Make = Callable[Concatenate[random.Random, P], dict[str, Any]]

generated: Registry[Callable[..., Iterator[dict[str, Any]]]] = Registry("generated source")


def made_of(*parts: Any) -> Callable[[F], F]:
    """Say which functions or classes of other files a source is made of: its version is theirs too."""

    def mark(function: F) -> F:
        function.__dict__["parts"] = parts
        return function

    return mark


PATIENCE = 2000
"""Draws in a row without a new question after which there are taken to be no more."""


def split_of(question: str) -> Split:
    """The part that a question belongs to, by its digest: one in five is kept for evaluation, whoever draws it."""
    return "test" if int(digest(question.encode())[:8], 16) % 5 == 0 else "train"


def questions(make: Make[P]) -> Callable[..., Iterator[dict[str, Any]]]:
    """Register a function that makes one row, as the source `(rng, count, split="test", **options)`.

    The rows are those of the split; the evaluation's are all different. The source raises DatasetError where it cannot
    make so many, SpecError for a split that is none.
    """

    @wraps(make)
    def source(
        rng: random.Random, count: int, split: Split = "test", *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[dict[str, Any]]:
        if split not in ("train", "test"):
            raise SpecError(f"generated source {make.__name__}: wanted the split train or test, got {split!r}")
        seen: set[str] = set()
        for made in range(count):
            for _ in range(PATIENCE):
                row = make(rng, *args, **kwargs)
                question = row["question"]
                if split_of(question) == split and question not in seen:
                    break
            else:
                raise DatasetError(f"generated source {make.__name__}: wanted {count} questions, found {made}")
            if split == "test":
                seen.add(question)
            yield row

    return generated(source)

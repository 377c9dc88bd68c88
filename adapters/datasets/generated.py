"""Rows made by a registered seeded function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assay.errors import SpecError
from assay.generate import generated
from assay.keys import generator
from assay.spec import GeneratedSource


def rows(source: GeneratedSource) -> Iterator[dict[str, Any]]:
    """The rows of a generated source: the same for the same name, seed, count and options.

    Raises SpecError for a function that is not there or an option that it does not know, DatasetError where it cannot
    make so many rows.
    """
    make = generated[source.name]
    try:
        yield from make(generator("generated", source.name, source.seed), source.count, **source.options)
    except TypeError as error:
        raise SpecError(f"generated source {source.name!r} with options {source.options}: {error}") from error

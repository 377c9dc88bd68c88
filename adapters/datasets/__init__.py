"""Where rows come from, one file a source: files, hub, generated.

The first source that can be had wins, and what identifies its data is recorded. A source that cannot be had (no file,
no network) is passed over; one that is there and wrong (another SHA-256, malformed) is an error: nobody should be given
other questions than were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import DatasetError
from assay.registry import folders
from assay.spec import Source
from assay.types import Row

if TYPE_CHECKING:
    from adapters.datasets.generated import Measure


class Unavailable(DatasetError):
    """A source that cannot be had here and now; the next one may be."""


@dataclass(frozen=True)
class Rows:
    """Rows that are read when they are wanted, and again each time."""

    read: Callable[[], Iterator[Row]]

    def __iter__(self) -> Iterator[Row]:
        return self.read()


@dataclass(frozen=True)
class Opened:
    """A source that is there: which, what identifies its data, its rows."""

    source: Source
    facts: dict[str, Any]
    """`source` (files, hub, generated), `sha256` or `revision`, and how it is read; as JSON, the same everywhere."""
    rows: Iterable[Row]


def open_source(
    sources: Sequence[Source], catalog: Sequence[Path] = (), measure: Callable[[], Measure] | None = None
) -> Opened:
    """The first source that can be had. Nothing is read before `rows` is iterated, but the files are verified.

    `measure` says how long a text is to the models that will read it, for generated texts of an asked length.

    Raises DatasetError where none can be had, with the reason of each, or where one is not as pinned.
    """
    reasons = []
    for source in sources:
        try:
            return _open(source, folders(catalog), measure)
        except Unavailable as error:
            reasons.append(str(error))
    if not reasons:
        raise DatasetError("no source is named: wanted at least one of files, hub, generated")
    raise DatasetError("; ".join(reasons))


def _open(source: Source, catalog: Sequence[Path], measure: Callable[[], Measure] | None) -> Opened:
    if source.files:
        from adapters.datasets.files import open_files

        return Opened(source, *open_files(source.files, catalog))
    if source.hub:
        from adapters.datasets.hub import open_hub

        return Opened(source, *open_hub(source.hub, catalog))
    from adapters.datasets.generated import estimate, open_generated

    made = source.generated
    assert made is not None
    return Opened(source, *open_generated(made, catalog, measure or estimate))

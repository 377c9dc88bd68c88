"""watch: which checkpoints there are, and which of them the ledger lacks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.checkpoints import Found, check_whole, fetched, folders, revisions
from assay.keys import key
from assay.nightly import Folders, Nightly
from assay.spec import EvalSpec
from storage.ledger import Ledger
from storage.sightings import Sighting, record, sightings
from tasks.context import benchmarks_of

State = Literal["lacking", "failed", "waiting", "unclear", "done", "broken"]


@dataclass(frozen=True)
class Seen:
    """A checkpoint as a night finds it."""

    found: Found
    state: State
    """`lacking`: to be evaluated; `failed`: it was, in vain, and is tried again; `waiting`: it is being written;
    `unclear`: another claims the same step; else done with."""
    cause: str = ""

    @property
    def id(self) -> tuple[str, str]:
        """The same as long as its files do not change."""
        return self.found.place, self.found.fingerprint


def wanted_of(night: Nightly) -> str:
    """The key of what is asked: where it changes, all checkpoints lack it."""
    recipes = sorted((name, benchmark.recipe_key) for name, benchmark in benchmarks_of(night).items())
    return key(night.spec(0, "").hash, recipes)


def look(night: Nightly, book: Ledger) -> list[Seen]:
    """All checkpoints that there are, in the order in which they are to be taken.

    Raises SpecError for a pattern that is none, ModelError for a revision that is not there, OSError where the place
    does not answer.
    """
    watch = night.watch
    found = (
        folders(watch.pattern, night.step_pattern)
        if isinstance(watch, Folders)
        else revisions(watch.path, watch.revisions, night.step_pattern)
    )
    found = [one for one in found if night.stride is None or one.step % night.stride == 0]
    with book.write() as con:
        known = sightings(con, wanted_of(night), night.family)
    steps = Counter(one.step for one in found)
    seen = [_seen(night, one, known.get((one.place, one.fingerprint)), steps) for one in found]
    newest = night.order == "newest first"
    return sorted(seen, key=lambda s: (s.state == "failed", -s.found.step if newest else s.found.step, s.found.place))


def _seen(night: Nightly, found: Found, known: Sighting | None, steps: Counter[int]) -> Seen:
    if steps[found.step] > 1:
        return Seen(found, "unclear", f"{steps[found.step]} checkpoints have the step {found.step}")
    if known is not None:
        return Seen(found, known.state, known.cause or "")  # type: ignore[arg-type]  # as it was recorded
    left = settles_in(night, found)
    if left > 0:
        return Seen(found, "waiting", f"it may be being written; settled in {left:.0f} s if nothing changes")
    return Seen(found, "lacking")


def settles_in(night: Nightly, found: Found) -> float:
    """Seconds until a checkpoint counts as written, if nothing changes; 0 where it does."""
    return max(0.0, found.changed + night.settle - time.time()) if found.commit is None else 0.0


def waits(night: Nightly, seen: Sequence[Seen]) -> float:
    """Seconds until the first of those that are being written counts as written; 0 where there is none."""
    return min((settles_in(night, one.found) + 1 for one in seen if one.state == "waiting"), default=0.0)


def take(night: Nightly, seen: Seen) -> EvalSpec:
    """The evaluation of a checkpoint, which is whole and can be loaded. Raises ModelError where it is broken, OSError
    where it cannot be fetched."""
    path = fetched(seen.found)
    if seen.found.commit is None:
        check_whole(path, tokenizer="tokenizer" not in night.options)
    return night.spec(seen.found.step, path, seen.found.commit)


def remember(night: Nightly, book: Ledger, seen: Seen, sighting: Sighting, run_id: str | None = None) -> None:
    """Record what came of a checkpoint. One that is broken is so for every evaluation."""
    wanted = "" if sighting.state == "broken" else wanted_of(night)
    with book.write() as con:
        record(con, seen.id, wanted, (night.family, seen.found.step), sighting, run_id)

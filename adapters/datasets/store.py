"""What the lock pins, by data set: a file's first folder is its data set's name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import Literal

from adapters.datasets.fetch import data_folder, fetch, lookup
from adapters.datasets.files import captures, outer_path, pinned_names
from assay.errors import DatasetError, SpecError, unknown
from assay.lock import Pin, read_lock, sha256
from assay.spec import HubSource, Source

State = Literal["present", "incomplete", "absent", "corrupt"]
CONNECTIONS = 8
PATIENCE = 5
"""Files that may fail before the others are no longer tried."""


def data_sets(names: Iterable[str] = (), catalog: Sequence[Path] = ()) -> dict[str, list[Pin]]:
    """The pinned files of some data sets, or of all. Raises SpecError for a name that the lock does not have."""
    sets: dict[str, list[Pin]] = {}
    for path, pin in sorted(read_lock(catalog).files.items()):
        sets.setdefault(path.partition("/")[0], []).append(pin)
    wanted = list(names)
    for name in wanted:
        if name not in sets:
            raise SpecError(unknown("data set", name, sets))
    return {name: sets[name] for name in wanted} if wanted else sets


def state_of(pin: Pin, catalog: Sequence[Path] = ()) -> State:
    """Whether a file is there and as pinned."""
    path = lookup(pin.path, catalog)
    if path is None:
        return "absent"
    return "present" if path.stat().st_size == pin.size and sha256(path) == pin.sha256 else "corrupt"


def state_of_set(states: Sequence[State]) -> State:
    """One word for all files of a data set: the worst, and `incomplete` where only some are there."""
    if "corrupt" in states:
        return "corrupt"
    if "absent" not in states:
        return "present"
    return "incomplete" if "present" in states else "absent"


def state_of_sources(sources: Sequence[Source], catalog: Sequence[Path] = ()) -> str:
    """What there is of a benchmark's rows, at a glance: `present` (its files lie here, of their sizes; `data verify`
    looks into them), `generated`, `cached` (from the hub), `incomplete`, else `absent`."""
    states = [_at_a_glance(source, catalog) for source in sources]
    return next((one for one in ("generated", "present", "cached", "incomplete") if one in states), "absent")


def _at_a_glance(source: Source, catalog: Sequence[Path]) -> str:
    if source.generated:
        return "generated"
    if source.hub:
        return "cached" if _cached(source.hub) else "absent"
    assert source.files is not None
    lock = read_lock(catalog)
    pins = [lock.files[name] for name in pinned_names(source.files, lock)]
    if not pins:  # a user's own, in a catalogue folder
        outer = outer_path(source.files.path)[0]
        return "present" if any(lookup(outer, [folder]) for folder in catalog) or captures(outer) else "absent"
    there = [path is not None and path.stat().st_size == pin.size
             for pin in pins for path in [lookup(pin.path, catalog)]]  # fmt: skip
    return "present" if all(there) else "incomplete" if any(there) else "absent"


def _cached(source: HubSource) -> bool:
    """Whether an earlier download has left a hub's data set here, or the path is a folder."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    return Path(source.path).is_dir() or (cache / source.path.replace("/", "___")).is_dir()


def pull_hub(sources: Sequence[HubSource], done: Callable[[HubSource], None]) -> list[str]:
    """Fetch data sets of the hub into its cache, one after the other; what failed, each in a sentence. Those that are
    there are not fetched again."""
    from adapters.datasets.hub import open_hub, reachable

    if sources and not all(map(_cached, sources)) and not reachable():
        return [f"the Hugging Face hub cannot be reached: {len(sources)} data sets were not tried"]
    failed = []
    for source in sources:
        try:
            open_hub(source)
            done(source)
        except DatasetError as error:
            failed.append(str(error))
    return failed


def pull(pins: Sequence[Pin], done: Callable[[Pin], None]) -> list[str]:
    """Fetch files into the data folder, some at a time; what failed, each in a sentence. Where nothing but failures
    come the rest is not tried, and that is said."""
    failed: list[str] = []
    folder, fetched, hopeless = data_folder(), 0, Event()

    def one(pin: Pin) -> bool:
        return not hopeless.is_set() and bool(fetch(pin, folder))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        jobs = {pool.submit(one, pin): pin for pin in pins}
        for job in as_completed(jobs):
            try:
                if job.result():
                    fetched += 1
                    done(jobs[job])
            except DatasetError as error:
                failed.append(str(error))
            if len(failed) >= PATIENCE and not fetched:
                hopeless.set()
    if hopeless.is_set():
        failed.append(f"{len(pins) - fetched - len(failed)} more were not tried")
    return failed

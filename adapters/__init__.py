"""The outside, one file an adapter; the file's name is the adapter's name.

A model adapter is a module with `describe(spec: ModelSpec) -> ModelInfo`, which loads nothing, and
`load(spec: ModelSpec) -> Model`; and, where something may lack that only asking needs, such as a key, `ready(spec)`,
which raises ModelError before a run begins. It may be ours (`adapters/models/NAME.py`), lie in a user's catalogue
folder (`CATALOG/models/NAME.py`), or be an installed distribution's entry point of the group `assay.models`. How
many GPUs a replica wants is a model's `devices`, else the fact `devices` that `describe` tells, else `DEVICES` of the
adapter, else 1; 0 is for a model that is asked from the run's own process, as behind an API.

A cluster back end is a module with `run(command: Sequence[str], gpus: int)`, which runs a command to its end on a
machine with so many GPUs, and raises where it fails. It may be ours (`adapters/clusters/NAME.py`), lie in a
catalogue folder (`CATALOG/clusters/NAME.py`), or be an entry point of the group `assay.clusters`.

A sandbox is a module with `open_sandbox(workers: int | None = None) -> assay.programs.Sandbox`, which raises
SandboxError where the machine does not allow it: ours (`adapters/sandboxes/NAME.py`), `CATALOG/sandboxes/NAME.py`, or
an entry point of the group `assay.sandboxes`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from assay.errors import ModelError, SpecError, unknown
from assay.keys import digest
from assay.registry import import_file

OURS = Path(__file__).parent
_OWN = ("adapters", "assay", "storage")


def model_adapter(name: str, catalog: Sequence[Path] = ()) -> ModuleType:
    """The module of a model adapter, imported now and not before.

    Raises SpecError for an unknown name or one that is no adapter, ModelError where a library that it imports is
    missing.
    """
    return _adapter("models", "model adapter", name, catalog, "describe(spec)", "load(spec)")


def cluster_backend(name: str, catalog: Sequence[Path] = ()) -> ModuleType:
    """The module of a cluster back end. Raises SpecError and ModelError as `model_adapter` does."""
    return _adapter("clusters", "cluster back end", name, catalog, "run(command, gpus)")


def sandbox_adapter(name: str, catalog: Sequence[Path] = ()) -> ModuleType:
    """The module of a sandbox. Raises SpecError and ModelError as `model_adapter` does."""
    return _adapter("sandboxes", "sandbox", name, catalog, "open_sandbox(workers)")


def _adapter(folder: str, kind: str, name: str, catalog: Sequence[Path], *functions: str) -> ModuleType:
    try:
        module = _module(folder, kind, name, catalog)
    except ModuleNotFoundError as error:
        raise _missing(name, error) from error
    except SpecError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise _missing(name, error.__cause__) from error
        raise
    for function in functions:
        if not callable(getattr(module, function.partition("(")[0], None)):
            where = getattr(module, "__file__", None) or module.__name__
            raise SpecError(f"the {kind} {name!r} ({where}) has no function {function}")
    return module


def library(name: str, adapter: str, install: str = "") -> ModuleType:
    """A library that an adapter needs, imported. Raises ModelError with the command that installs it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(adapter, error, install) from error


def adapter_names(folder: str, catalog: Sequence[Path] = ()) -> list[str]:
    """The names of all adapters there are in `models`, or in `clusters`."""
    return sorted({*_files(folder, catalog), *(point.name for point in entry_points(group=f"assay.{folder}"))})


def _module(folder: str, kind: str, name: str, catalog: Sequence[Path]) -> ModuleType:
    path = _files(folder, catalog).get(name)
    if path is None:
        for point in entry_points(group=f"assay.{folder}", name=name):
            module: ModuleType = point.load()
            return module
        raise SpecError(unknown(kind, name, adapter_names(folder, catalog)))
    if path.parent.parent == OURS:
        return import_module(f"adapters.{folder}.{name}")
    alias = f"assay_catalog_{digest(str(path.resolve()).encode())}"
    return sys.modules[alias] if alias in sys.modules else import_file(alias, path)


def _files(folder: str, catalog: Sequence[Path]) -> dict[str, Path]:
    """Adapters that are files, by name; ours come before a user's, an earlier folder before a later one."""
    found: dict[str, Path] = {}
    for place in (OURS, *catalog):
        for path in sorted((place / folder).glob("[!_]*.py")):
            found.setdefault(path.stem, path)
    return found


def _missing(adapter: str, error: ModuleNotFoundError, install: str = "") -> Exception:
    package = (error.name or str(error)).partition(".")[0]
    if package in _OWN:  # a slip inside the project, not a library that the user lacks
        return error
    return ModelError(f"adapter {adapter!r} needs the package {package}: pip install {install or package}")

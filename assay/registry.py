"""Names to functions: extractors, scorers, metrics, retrievers, solvers, partitioners, readers, generated sources.

A function registers itself by a decorator; one from outside comes in from a catalogue folder (`--catalog DIR`, every
`DIR/*.py` is imported) or an entry point of the group `assay.plugins`: a module that registers what it has, or a
package, whose folder is a catalogue folder too.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from assay.errors import SpecError, unknown
from assay.keys import digest

F = TypeVar("F", bound=Callable[..., Any])
PLUGINS = "assay.plugins"
Step = str | dict[str, Any]
"""A registered function by name, or `{name: {option: value}}`."""


def name_of(step: Step) -> tuple[str, dict[str, Any]]:
    """A step's function and its options."""
    if isinstance(step, str):
        return step, {}
    ((name, options),) = step.items()
    return name, dict(options or {})


class Registry(Generic[F]):
    """Functions of one kind by name; an unknown name says which ones there are."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.items: dict[str, F] = {}

    def __call__(self, function: F) -> F:
        """Register a function under its own name."""
        self.items[function.__name__] = function
        return function

    def __getitem__(self, name: str) -> F:
        if name not in self.items:
            raise SpecError(unknown(self.kind, name, self.items))
        return self.items[name]

    def fitting(self, name: str, *arguments: Any, **options: Any) -> F:
        """The function of a name, which can be called so. Raises SpecError where it has no such option."""
        function = self[name]
        try:
            inspect.signature(function).bind(*arguments, **options)
        except TypeError as error:
            taken = list(inspect.signature(function).parameters)[len(arguments) :]
            raise SpecError(f"{self.kind} {name}: {error}; its options: {', '.join(taken) or 'none'}") from error
        return function

    def __contains__(self, name: object) -> bool:
        return name in self.items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.items))


def other_scale(function: F) -> F:
    """Mark a scorer or a metric whose value is no share of what is right (a perplexity, a rating, an error): a
    benchmark whose first figure it makes stands in no profile."""
    function.__dict__["other_scale"] = True
    return function


def load_catalog(folder: Path) -> None:
    """Import every Python file of a user's catalogue folder, each once. Raises SpecError where one does not import."""
    if not folder.is_dir():
        raise SpecError(f"--catalog {folder}: no such folder")
    for path in sorted(folder.glob("*.py")):
        name = f"assay_catalog_{digest(str(path.resolve()).encode())}"
        if name not in sys.modules:
            import_file(name, path)


def import_file(name: str, path: Path) -> Any:
    """The module that a file holds, imported under a name. Raises SpecError with the cause."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SpecError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may raise anything; it is told with the file's name
        del sys.modules[name]
        raise SpecError(f"{path}: {type(error).__name__}: {error}") from error
    return module


def load_plugins() -> None:
    """Import what installed distributions offer under the entry-point group `assay.plugins`.

    Raises SpecError where one does not import.
    """
    for point in entry_points(group=PLUGINS):
        try:
            point.load()
        except Exception as error:  # a user's package may raise anything; it is told with its name
            raise SpecError(f"the plug-in {point.name} = {point.value}: {type(error).__name__}: {error}") from error


def folders(catalog: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where a user's benchmarks, models, suites and data lie: the packages that installed distributions name under
    `assay.plugins`, then the catalogue folders."""
    return tuple(dict.fromkeys((*_packages(tuple(sys.path)), *map(Path, catalog))))


@lru_cache(maxsize=8)
def _packages(path: tuple[str, ...]) -> list[Path]:
    """The folders of plug-ins that are packages; they do not change while the search path stays the same."""
    found = [importlib.util.find_spec(point.module.partition(".")[0]) for point in entry_points(group=PLUGINS)]
    return [Path(place) for spec in found if spec for place in spec.submodule_search_locations or ()]


def version_of(function: Any) -> str:
    """What changes when a function or class is written otherwise: the digest of the file that it stands in.

    The whole file, since a function's helpers stand beside it; where there is no file, its name.
    """
    path = inspect.getsourcefile(inspect.unwrap(function))
    if path is None or not Path(path).exists():
        return digest(f"{function.__module__}.{function.__qualname__}".encode())
    return _digest_of(path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _digest_of(path: str, mtime_ns: int) -> str:
    return digest(Path(path).read_bytes())

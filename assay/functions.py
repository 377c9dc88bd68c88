"""Every function that a recipe may name, registered: importing this is what fills the registries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from assay.registry import load_catalog, load_plugins

for _module in iter_modules([str(Path(__file__).parent)]):
    import_module(f"assay.{_module.name}")


def load_functions(catalog: Sequence[Path] = ()) -> None:
    """Register what installed distributions and catalogue folders add to assay's own. Raises SpecError."""
    load_plugins()
    for folder in catalog:
        load_catalog(folder)

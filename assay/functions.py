"""Every function that a recipe may name, registered: importing this is what fills the registries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import assay.extract_text
import assay.generate
import assay.metrics
import assay.partition
import assay.readers
import assay.readers_reasoning
import assay.retrieve
import assay.score_text
import assay.solve  # noqa: F401
from assay.registry import load_catalog, load_plugins


def load_functions(catalog: Sequence[Path] = ()) -> None:
    """Register what installed distributions and catalogue folders add to assay's own. Raises SpecError."""
    load_plugins()
    for folder in catalog:
        load_catalog(folder)

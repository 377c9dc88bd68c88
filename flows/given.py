"""What the flags of `assay run` and `assay plan`, and the file they name, ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.spec import EvalSpec


def spec_of(
    spec_file: Path | None, models: tuple[str, ...], benchmarks: tuple[str, ...], suites: tuple[str, ...],
    limit: int | None, seed: int | None, settings: tuple[str, ...], catalogs: tuple[Path, ...],
    judges: tuple[str, ...] = (), baseline: str | None = None, embedder: str | None = None,
) -> EvalSpec:  # fmt: skip
    """The evaluation of a file, of flags, or of both (flags win). Raises SpecError."""
    from assay.catalog import load_spec, make_spec

    given: dict[str, Any] = load_spec(spec_file) if spec_file else {}
    for name, value in (("models", models), ("benchmarks", benchmarks), ("suites", suites), ("judges", judges)):
        if value:
            given[name] = list(value)
    if benchmarks and not suites and spec_file:
        given.pop("suites", None)
    for name, one in (("limit", limit), ("seed", seed), ("baseline", baseline), ("embedder", embedder)):
        if one is not None:
            given[name] = one
    if catalogs:
        given["catalog"] = [*given.get("catalog", []), *map(str, catalogs)]
    return make_spec(given, settings)

"""assay evaluates language models: benchmarks as data, evaluations as Prefect flows, results as rows in DuckDB."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Benchmark": "assay.spec", "EvalSpec": "assay.spec", "ModelSpec": "assay.spec", "MetaTemplate": "assay.spec",
    "Request": "assay.types", "Completion": "assay.types", "Model": "assay.types", "ModelInfo": "assay.types",
    "Reply": "assay.types", "Extracted": "assay.types", "Scored": "assay.types", "Scores": "assay.types",
    "Figure": "assay.types", "Sample": "assay.types", "AssayError": "assay.errors",
    "extractor": "assay.extract", "scorer": "assay.score", "metric": "assay.metrics", "retriever": "assay.retrieve",
    "solver": "assay.solve", "partitioner": "assay.partition", "reader": "assay.readers",
    "generated": "assay.generate", "template_filter": "assay.template",
}  # fmt: skip

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for: `import assay` itself stays light."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'assay' has no attribute {name!r}")

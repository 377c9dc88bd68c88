"""Options of a generated source by the benchmark's name: `ruler@tokens=128k`, `NAME@VARIANT+KEY=VALUE+KEY=VALUE`.

A text can have any length, and no list of variants has them all.
"""

from __future__ import annotations

from collections.abc import Mapping

from assay.documents import parse
from assay.errors import SpecError
from assay.spec import Benchmark, GeneratedSource, Source


def options_of(variant: str) -> tuple[str, dict[str, str]]:
    """What stands in front of the options, and the options."""
    parts = variant.split("+")
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    return "+".join(part for part in parts if "=" not in part), options


def sized(benchmark: Benchmark, variant: str, options: Mapping[str, str]) -> Benchmark:
    """The benchmark with options put on its generated sources: `count` and `seed`, or what the function takes.

    Raises SpecError where it has no generated source.
    """
    if not any(source.generated for source in benchmark.sources):
        raise SpecError(
            f"{benchmark.name}@{variant}: {benchmark.name} has no generated source, which alone has options"
        )
    given = {name: parse(text, f"{benchmark.name}@{name}") for name, text in options.items()}
    sources = tuple(_patched(source, given) for source in benchmark.sources)
    return benchmark.model_copy(update={"variant": variant, "sources": sources, "questions": None})


def _patched(source: Source, given: Mapping[str, object]) -> Source:
    if source.generated is None:
        return source
    made = source.generated.model_dump()
    made |= {name: value for name, value in given.items() if name in ("count", "seed")}
    made["options"] = {**made["options"], **{name: value for name, value in given.items() if name not in made}}
    return Source(generated=GeneratedSource.model_validate(made))

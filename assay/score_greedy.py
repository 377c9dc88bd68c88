"""An answer counts where greedy decoding would write one of its names: WebQuestions in lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Sequence

from assay.extract import extractor
from assay.score import reads, scorer
from assay.template import template_filter
from assay.types import Reply, Sample


@template_filter
def without_longer(names: Sequence[str]) -> list[str]:
    """Names in their order, without those that begin with another: who writes the longer one writes that too."""
    kept: list[str] = []
    for name in sorted(names):
        if not kept or not name.startswith(kept[-1]):
            kept.append(name)
    return kept


@extractor
def greedy_choices(reply: Reply, sample: Sample) -> list[int] | None:
    """The places of the choices that greedy decoding would write; None where a model does not tell."""
    flags = list(reply.greedy)
    return [place for place, greedy in enumerate(flags) if greedy] if flags else None


@scorer
@reads("greedy_choices")
def any_greedy(value: Sequence[int], sample: Sample) -> bool:
    """Whether greedy decoding would write one of the choices, which are all right (lm-eval's exact_match)."""
    return bool(value)

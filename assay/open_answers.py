"""Answers that no rule can judge: that there is one, and no more. A judge says what it is worth."""

from __future__ import annotations

from typing import Any

from assay.extract import extractor
from assay.registry import other_scale
from assay.score import scorer
from assay.types import Reply, Sample


@extractor
def untruncated(reply: Reply, sample: Sample) -> str | None:
    """The stripped text of a reply that came to its end; nothing where its limit of tokens cut it off."""
    return (reply.text.strip() or None) if reply.finish != "length" else None


@scorer
@other_scale
def written(value: Any, sample: Sample) -> bool:
    """Whether something was written: no figure of quality, and the only one to be had without a judge."""
    return bool(str(value).strip())

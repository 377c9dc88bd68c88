"""Answers that no rule can judge: that there is one, and no more. A judge says what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.extract import extractor
from assay.registry import other_scale
from assay.score import scorer
from assay.template import template_filter
from assay.types import Reply, Sample


@extractor
def untruncated(reply: Reply, sample: Sample) -> str | None:
    """The stripped text of a reply that came to its end; nothing where its limit of tokens cut it off."""
    return (reply.text.strip() or None) if reply.finish != "length" else None


@template_filter
def dialogue_turns(history: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Rounds `{user, bot}` as turns `{role, content}`."""
    roles = (("user", "user"), ("bot", "assistant"))
    return [{"role": role, "content": one[key]} for one in history for key, role in roles if key in one]


@scorer
@other_scale
def written(value: Any, sample: Sample) -> bool:
    """Whether something was written: no figure of quality, and the only one to be had without a judge."""
    return bool(str(value).strip())

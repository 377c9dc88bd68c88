"""Choices weighed against how likely they are by themselves: a second round asks for them after a neutral context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.errors import SpecError
from assay.solve import Exchange, Question, solver
from assay.types import Message, Reply, Sample


@solver
def neutral(
    sample: Sample, prompt: Sequence[Message], transcript: Sequence[Exchange], context: str = ""
) -> Sequence[Question] | Reply:
    """The same choices after `context`, as after the question: for the scorer `acc_mutual_info`.

    With no context it is lm-evaluation-harness's `acc_mutual_info`; with one the `normalizing_str` of OpenCompass's PPL
    inferencer, and the domain-conditional PMI of Holtzman et al. 2021 (arXiv:2104.08315). The turns of the reply are
    the choices after the question and after the context. Raises SpecError where choices have contexts of their own.
    """
    asked = transcript[0].question if transcript else None
    if asked is None or not asked.continuations or (len(transcript) > 1 and transcript[1].round == 0):
        raise SpecError("solver neutral: wanted choices that share the question (kind loglikelihood or choice)")
    if len(transcript) == 1:
        return [Question([{"role": "user", "content": context}], asked.kind, asked.continuations)]
    replies = tuple(exchange.reply for exchange in transcript)
    return replace(replies[0], turns=replies)

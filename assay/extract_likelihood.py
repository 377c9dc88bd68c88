"""Extractors of what was computed: choices under other normalisations, probabilities, the least likely tokens.

All come from the lists of a completion (sums, tokens, log-probabilities of tokens), so that no back end has a say in
how they are normalised.
"""

from __future__ import annotations

import math
from typing import Any

from assay.errors import SpecError
from assay.extract import EXACT, by_choice, extractor
from assay.types import Extracted, Reply, Sample


@extractor
def token_means(reply: Reply, sample: Sample) -> dict[str, Any] | None:
    """The choices and, of each, the mean log-probability a token of the choice."""
    means = [total / (count or 1) for total, count in zip(reply.sums, reply.tokens, strict=True)]
    return by_choice(means, reply.choices)


@extractor
def mutual_information(reply: Reply, sample: Sample) -> dict[str, Any] | None:
    """The choices and, of each, how much likelier the question makes it: what the solver `neutral` asks for.

    `sums` are Σ log p(choice | question) - Σ log p(choice | context), `tokens` how many tokens each choice has.
    """
    if len(reply.turns) != 2:
        return None
    asked, alone = reply.turns
    found = by_choice([one - other for one, other in zip(asked.sums, alone.sums, strict=True)], asked.choices)
    return found and found | {"tokens": list(asked.tokens)}


@extractor
def choice_probabilities(reply: Reply, sample: Sample) -> Extracted:
    """The choices and the probability of each among them: of their first tokens, where the kind is `choice`.

    OpenCompass's CLP inferencer, for scores of ranking such as AUC. Where a server told no probabilities the chosen one
    has 1, and the method says how it was chosen.
    """
    found = by_choice(reply.sums, reply.choices)
    if found is None:
        return Extracted(None, "", "none")
    top = max(found["sums"])
    weights = [math.exp(total - top) for total in found["sums"]]
    shares = [weight / sum(weights) for weight in weights]
    value = {"choices": found["choices"], "probabilities": shares}
    return Extracted(value, reply.finish or "choice_probabilities", "ok" if reply.finish in EXACT else "fallback")


@extractor
def min_k(reply: Reply, sample: Sample, k: float = 20.0) -> float | None:
    """The mean log-probability of the k per cent of a text's tokens that are least likely: Min-K% Prob.

    Shi et al. 2023 (arXiv:2310.16789); of a text that was seen in training it is nearer to 0. It reads the first text
    of `needs: [token_logprobs]`; one token at least counts. Raises SpecError for a k that is no share.
    """
    if not 0 < k <= 100:
        raise SpecError(f"extractor min_k: wanted a k above 0, up to 100, got {k!r:.80}")
    tokens = sorted(reply.token_logprobs[0]) if reply.token_logprobs else []
    least = tokens[: max(1, int(len(tokens) * k / 100))]
    return sum(least) / len(least) if least else None


@extractor
def turn_texts(reply: Reply, sample: Sample) -> list[str] | None:
    """The texts of all turns of a dialogue, or of all answers that a solver ended with; else the one text."""
    texts = [turn.text for turn in reply.turns] or [reply.text]
    return texts if any(text.strip() for text in texts) else None

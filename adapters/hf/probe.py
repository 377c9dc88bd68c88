"""Whether a network's packs say what its rows say: found out when it is first asked something."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.hf.batches import FAILURES
from adapters.hf.continuous import Continuous
from adapters.hf.drafts import Draft
from adapters.hf.packed import Packed
from adapters.hf.packing import Packing
from adapters.hf.plain import Plain
from adapters.hf.spans import Asked, Span
from adapters.hf.spans import Row as Scored
from adapters.hf.trie import Trie
from adapters.hf.writing import Row
from assay.types import Request

logger = logging.getLogger(__name__)

END = 8
"""Of each of a few rows, the first and last so many tokens are computed both ways."""
SCORED = 8
SHARE = 200
"""And one row as long as this part of the work allows, for what shows only far into a text."""
TOLERANCE, NOISE = 1e-4, 8.0
"""Of a sum, beside a rounding step of the network's type: of the sum itself, and of so large a logit a token."""


class Probe:
    """Asks a network both ways, once."""

    def __init__(self, packing: Packing) -> None:
        self.packing = packing
        self.refusal = packing.refusal
        """Why rows are not computed as packs; None where they are, as far as is known."""
        self._open = self._unread = True

    def packs(self, trie: Trie) -> bool:
        """Whether such rows are to be computed as packs."""
        if self._open and self.refusal is None and trie.rows:
            self._open = False
            self.refuse(self.difference(_examples(trie)))
        return self.refusal is None

    def refuse(self, why: str | None) -> None:
        """Have no more packs, where something speaks against them."""
        if why:
            self.refusal = why
            logger.warning("texts are computed one by one, not as packs: %s", why)

    def writes(self, texts: Sequence[Sequence[int]]) -> bool:
        """Whether what goes on from such texts is to be written with slots."""
        if self.refusal is None and self._unread:
            trie = Trie(list({array.tobytes(): array for array in map(_array, texts)}.values()))
            if self.packs(trie):
                self._unread = False
                self.refuse(self.misread(_examples(trie)))
        return self.refusal is None

    def difference(self, texts: list[Any]) -> str | None:
        """What speaks against packs of these texts: an error, or sums that differ; None where they agree.

        They are computed with what they share as branches of one unit, and again with it as a stem of its own.
        """
        engine, limits = self.packing.engine, self.packing.limits
        plain = _rows(texts)
        for _ in Plain(engine, plain).answer():
            pass
        for unit in (limits.unit, 1):
            rows = _rows(texts)
            trie = Trie([row.tokens for row in rows])
            for _ in Packed(self.packing, trie, rows).answer(limits._replace(unit=unit, overhead=0)):
                pass
            for one, other in zip(plain, rows, strict=True):
                if error := one.spans[0].asked.error or other.spans[0].asked.error:
                    return error
                expected, found = one.spans[0].logprobs, other.spans[0].logprobs
                if said := self.apart(expected.sum(), found.sum(), len(expected)):
                    return said
        return None

    def apart(self, expected: float, found: float, tokens: int) -> str | None:
        """What is said of a sum over tokens that is too far from the one that it should be."""
        engine = self.packing.engine
        allowed = TOLERANCE + engine.torch.finfo(engine.network.dtype).eps * (abs(expected) + NOISE * tokens)
        if abs(expected - found) <= allowed:
            return None
        return f"a sum of {expected:.6g} is {found:.6g} in a pack, more than {allowed:.2g} from it"

    def misread(self, texts: Sequence[Any]) -> str | None:
        """What speaks against writing on from these texts with slots; None where what comes next is what it should
        be."""
        engine = self.packing.engine
        drafts = [Draft(Request("", "generate", []), None, text.tolist(), 0, 1) for text in texts]
        together = Continuous(self.packing, drafts)
        try:
            for prompt in together.prompts(together.plan()):
                together.begin([prompt], lambda draft: Row(draft, frozenset(), None, None))
            logits = together.logits().log_softmax(-1)
            for row, found in zip(together.live, logits, strict=True):
                with engine.torch.inference_mode():
                    states = engine.states(engine.pad([row.draft.tokens], len(row.draft.tokens)))
                    expected = engine.head(states[0, -1:]).float().log_softmax(-1)[0]
                best = int(expected.argmax())
                if said := self.apart(float(expected[best]), float(found[best]), 1):
                    return said
        except FAILURES as error:
            return f"{type(error).__name__}: {error}"
        return None


def _examples(trie: Trie) -> list[Any]:
    """The beginnings and ends of neighbours among the rows, and a row as long as the work allows."""
    count = len(trie.rows)
    chosen = [trie.rows[i] for i in sorted({0, min(1, count - 1), count // 2})]
    texts = [row if len(row) <= 2 * END else np.concatenate([row[:END], row[-END:]]) for row in chosen]
    allowed = trie.lengths <= trie.size(0, count, 0) // SHARE
    if allowed.any():
        texts.append(trie.rows[int(np.where(allowed, trie.lengths, 0).argmax())])
    return list({text.tobytes(): text for text in texts}.values())


def _array(tokens: Sequence[int]) -> Any:
    return np.asarray(tokens, np.int32)


def _rows(texts: list[Any]) -> list[Scored]:
    """Texts of which the last tokens are asked; the last one is asked again after itself."""
    rows = []
    for text in texts:
        asked = Asked(Request("", "loglikelihood", []), open=1)
        span = Span(asked, np.append(text, text[-1]), min(SCORED, len(text)))
        asked.spans.append(span)
        rows.append(Scored(text, [span]))
    return rows

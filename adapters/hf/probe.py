"""Whether a network's packs say what its rows say: found out when it is first asked something."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.hf.packed import Packed
from adapters.hf.packing import Packing
from adapters.hf.plain import Plain
from adapters.hf.spans import Asked, Row, Span
from adapters.hf.trie import Trie
from assay.types import Request

logger = logging.getLogger(__name__)

END = 32
"""Of each of a few rows, the first and last so many tokens are computed both ways."""
SCORED = 8
SHARE = 50
"""And one row as long as this part of the work allows, for what shows only far into a text."""
TOLERANCE = 1e-4
"""Of a sum, beside a rounding step of the network's type."""


class Probe:
    """Asks a network both ways, once."""

    def __init__(self, packing: Packing) -> None:
        self.packing = packing
        self.refusal = packing.refusal
        """Why rows are not computed as packs; None where they are, as far as is known."""
        self._open = True

    def packs(self, trie: Trie) -> bool:
        """Whether such rows are to be computed as packs."""
        if self._open and self.refusal is None and trie.rows:
            self._open = False
            self.refusal = self.difference(_examples(trie))
            if self.refusal:
                logger.warning("texts are computed one by one, not as packs: %s", self.refusal)
        return self.refusal is None

    def writes(self, texts: Sequence[Sequence[int]]) -> bool:
        """Whether what goes on from such texts is to be written with slots."""
        return self.packs(Trie(list({array.tobytes(): array for array in map(_array, texts)}.values())))

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
                expected, found = one.spans[0].logprobs.sum(), other.spans[0].logprobs.sum()
                allowed = TOLERANCE + engine.torch.finfo(engine.network.dtype).eps * abs(expected)
                if not abs(expected - found) <= allowed:
                    return f"a sum of {expected:.6g} is {found:.6g} in a pack, more than {allowed:.2g} from it"
        return None


def _examples(trie: Trie) -> list[Any]:
    """The beginnings and ends of neighbours among the rows, and a row as long as the work allows."""
    count = len(trie.rows)
    chosen = [trie.rows[i] for i in {0, min(1, count - 1), count // 2, min(count // 2 + 1, count - 1)}]
    texts = [row if len(row) <= 2 * END else np.concatenate([row[:END], row[-END:]]) for row in chosen]
    allowed = trie.lengths <= trie.size(0, count, 0) // SHARE
    if allowed.any():
        texts.append(trie.rows[int(np.where(allowed, trie.lengths, 0).argmax())])
    return list({text.tobytes(): text for text in texts}.values())


def _array(tokens: Sequence[int]) -> Any:
    return np.asarray(tokens, np.int32)


def _rows(texts: list[Any]) -> list[Row]:
    """Texts of which the last tokens are asked; the last one is asked again after itself."""
    rows = []
    for text in texts:
        asked = Asked(Request("", "loglikelihood", []), open=1)
        span = Span(asked, np.append(text, text[-1]), min(SCORED, len(text)))
        asked.spans.append(span)
        rows.append(Row(text, [span]))
    return rows

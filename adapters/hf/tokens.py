"""Texts as tokens where many begin alike: what a text shares with another one is not tokenised again.

A text leaves its kin at a seam, a little before they differ. It is tokenised from somewhat before the seam on, and put
together with its kin's tokens up to there, where the two agree on several tokens in front of the seam. This gives what
the tokenizer gives for the whole text:

- One that splits a text into words first does so from left to right, and a seam lies where a word ends: what comes
  before it hangs on nothing behind it, and the other way round.
- Byte-pair encoding without words (SentencePiece's): two encodings, of which one begins with the token that the other
  ends with, are together that of the whole (Corollary III in the README of GitHub's crate `bpe`).

Of the first texts that are put together some are tokenised whole too; a difference ends the sharing.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from assay.chunks import chunked

CHUNK = 1000
LEAST = 256
"""Characters that must be saved."""
SLACK = 100
"""Characters tokenised twice rather than wait for a text that shares so many more."""
BACK, AGREED = 16, 8
"""Tokens in front of a seam that are tokenised again, and those at their end that must agree."""
SOUGHT = 200
"""Tokens looked through for a seam."""
TRIED = 4
"""Texts tokenised both ways at first."""

SEAM = re.compile(r"[^\W_][ \n，。、；：！？]|\n[^\W\d_]")
"""Between these two characters words end, where a byte-pair encoding knows words at all."""
BLANK = re.compile(r"[^\W_] ")
"""The same for the other kinds of tokenizer."""

Offsets = list[tuple[int, int]]

logger = logging.getLogger(__name__)


class Encoded(NamedTuple):
    """A text as tokens, and where in the text each ends; the latter only for a text that is another's kin."""

    ids: list[int]
    ends: list[int]


class Kin(NamedTuple):
    """An earlier text, and how many characters are shared with it."""

    place: int
    shared: int


class Seam(NamedTuple):
    """How many of the kin's tokens are kept, and the character from which on the text is tokenised."""

    kept: int
    start: int


class Tokeniser:
    """A tokenizer that reads what texts share once."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        pattern = _pattern(tokenizer)
        self.pattern = pattern or BLANK
        self.shares: bool | None = None if pattern else False
        """None until some texts have been tried."""

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """The tokens of each text as a whole, the tokenizer's own special ones included where asked for."""
        known: dict[str, list[int]] = {}
        for chunk in chunked(sorted(set(texts)), CHUNK):
            known.update(zip(chunk, self._chunk(chunk, special), strict=True))
        return [known[text] for text in texts]

    def _chunk(self, texts: list[str], special: bool) -> list[list[int]]:
        kin = kin_of(texts)
        shared = [place for place, one in enumerate(kin) if one]
        if self.shares is False or not shared:
            return self._whole(texts, special)
        made = self._together(texts, kin, special)
        if self.shares is None:
            some = shared[:: -(-len(shared) // TRIED)]
            self.shares = self._whole([texts[place] for place in some], special) == [made[place] for place in some]
            if not self.shares:
                logger.warning(
                    "the tokenizer reads a text's end otherwise where it stands alone: each text is tokenised whole"
                )
                return self._whole(texts, special)
        return made

    def _together(self, texts: list[str], kin: list[Kin | None], special: bool) -> list[list[int]]:
        """The tokens of sorted texts: first of those without kin, then of their kin, and so on."""
        depths: list[int] = []
        for one in kin:
            depths.append(depths[one.place] + 1 if one else 0)
        asked = {one.place for one in kin if one}
        done: dict[int, Encoded] = {}
        for depth in range(max(depths) + 1):
            tails: list[tuple[int, Encoded, Seam]] = []
            for place in (place for place, own in enumerate(depths) if own == depth):
                one = kin[place]
                if one and (seam := self._seam(texts[place], one.shared, done[one.place])):
                    tails.append((place, done[one.place], seam))
            made = self._offsets([texts[place][seam.start :] for place, _, seam in tails], False)
            for (place, other, seam), tail in zip(tails, made, strict=True):
                if whole := joined(other, seam, *tail, place in asked):
                    done[place] = whole
            rest = [place for place, own in enumerate(depths) if own == depth and place not in done]
            made = self._offsets([texts[place] for place in rest], special)
            for place, (ids, offsets) in zip(rest, made, strict=True):
                done[place] = Encoded(ids, [end for _, end in offsets] if place in asked else [])
        return [done[place].ids for place in range(len(texts))]

    def _seam(self, text: str, shared: int, kin: Encoded) -> Seam | None:
        """The last seam within so many characters shared with a kin, if it saves enough."""
        last = bisect_right(kin.ends, shared - 1)
        for kept in range(last, max(last - SOUGHT, BACK), -1):
            end = kin.ends[kept - 1]
            if self.pattern.match(text, end - 1) and kin.ends[kept : kept + 1] != [end]:
                start = kin.ends[kept - BACK]
                return Seam(kept, start) if start >= LEAST else None
        return None

    def _offsets(self, texts: list[str], special: bool) -> list[tuple[list[int], Offsets]]:
        if not texts:
            return []
        made = self._call(texts, special, return_offsets_mapping=True)
        return list(zip(made["input_ids"], made["offset_mapping"], strict=True))

    def _whole(self, texts: list[str], special: bool) -> list[list[int]]:
        return list(self._call(texts, special)["input_ids"])

    def _call(self, texts: list[str], special: bool, **how: bool) -> Any:
        return self.tokenizer(
            texts, add_special_tokens=special, verbose=False, return_attention_mask=False,
            return_token_type_ids=False, **how,
        )  # fmt: skip


def kin_of(texts: Sequence[str]) -> list[Kin | None]:
    """For each of sorted texts the first one that it shares nearly as much with as with any before it, if enough."""
    found: list[Kin | None] = [None] * min(len(texts), 1)
    path = [Kin(0, 0)]  # texts that share ever more with the one at hand
    for place in range(1, len(texts)):
        shared = _common(texts[place - 1], texts[place])
        while len(path) > 1 and path[-2].shared >= shared:
            path.pop()
        path[-1] = Kin(path[-1].place, shared)
        one = path[bisect_left(path, shared - SLACK, key=lambda other: other.shared)]
        found.append(one if one.shared >= LEAST else None)
        path.append(Kin(place, 0))
    return found


def joined(kin: Encoded, seam: Seam, ids: list[int], offsets: Offsets, asked: bool) -> Encoded | None:
    """A text of its kin's tokens and its tail's, or None where they do not agree in front of the seam."""
    kept, start = seam
    at = bisect_right(offsets, kin.ends[kept - 1] - start, key=itemgetter(1))
    if at < AGREED or ids[at - AGREED : at] != kin.ids[kept - AGREED : kept]:
        return None
    if any(start + offsets[at - i][1] != kin.ends[kept - i] for i in range(1, AGREED + 1)):
        return None
    ends = kin.ends[:kept] + [start + end for _, end in offsets[at:]] if asked else []
    return Encoded(kin.ids[:kept] + ids[at:], ends)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _pattern(tokenizer: Any) -> re.Pattern[str] | None:
    """Where texts may be put together, or None for a tokenizer that does not tell where its tokens lie, puts special
    ones elsewhere than in front, or has neither words nor a byte-pair encoding."""
    if not getattr(tokenizer, "is_fast", False):
        return None
    marked, bare = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (True, False))
    if not bare or marked[len(marked) - len(bare) :] != bare:
        return None
    backend = tokenizer.backend_tokenizer
    if type(backend.model).__name__ == "BPE":
        return SEAM
    splits = backend.pre_tokenizer is not None and len(backend.pre_tokenizer.pre_tokenize_str("a b")) > 1
    return BLANK if splits else None

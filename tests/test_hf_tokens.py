"""Texts that begin alike: what they share is tokenised once, and nobody sees that in the tokens."""

from __future__ import annotations

import random
from typing import Any

import pytest
from conftest import STORIES, needs_stories
from hf_models import LINES, tokenizer
from hf_tokenizers import KINDS, PIECES, made
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.hf.texts import Texts
from adapters.hf.tokens import Tokeniser, kin_of


def whole(words: Any, text: str, special: bool) -> list[int]:
    return list(words(text, add_special_tokens=special)["input_ids"])


@given(
    kind=st.sampled_from(KINDS),
    size=st.sampled_from((330, 500)),
    begins=st.booleans(),
    few=st.sampled_from((2, 3, 6, len(PIECES))),
    seed=st.integers(0, 2**32),
    special=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_tokens_are_those_of_whole_texts(
    kind: str, size: int, begins: bool, few: int, seed: int, special: bool
) -> None:
    draw = random.Random(seed)
    pool = draw.sample(PIECES, few)

    def some(least: int, most: int) -> str:
        return "".join(draw.choice(pool) for _ in range(draw.randint(least, most)))

    header = some(40, 80)
    middles = [header + some(0, 10) for _ in range(3)]
    texts = [header, *middles, *(middle + some(0, 10) for middle in middles for _ in range(3))]
    words = made(kind, begins, size=size)
    tokeniser = Tokeniser(words)
    assert tokeniser.shares is None
    tokeniser.shares = True  # or its own trial would put right what this is to find
    assert tokeniser.encode(texts, special) == [whole(words, text, special) for text in texts]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("run", ["ab", "a", "aab", "1", "12", "é", "😀", "、", "句", "  ", "a、"])
def test_runs_that_can_be_read_in_several_ways(kind: str, run: str) -> None:
    words = made(kind)
    header = " ".join(LINES * 3) + " "
    texts = [header + run * count + end for count in range(30, 38) for end in ("", "c", "b cat", "\nOne")]
    tokeniser = Tokeniser(words)
    tokeniser.shares = True
    assert tokeniser.encode(texts, True) == [whole(words, text, True) for text in texts]


def counted(words: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the texts that are handed to a tokenizer from now on."""
    lengths: list[int] = []
    call = type(words).__call__

    def count(self: Any, text: Any, **how: Any) -> Any:
        lengths.extend(map(len, [text] if isinstance(text, str) else text))
        return call(self, text, **how)

    monkeypatch.setattr(type(words), "__call__", count)
    return lengths


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("add_bos", [None, True, False])
def test_what_questions_share_is_read_once(kind: str, add_bos: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    words = made(kind)
    header = "".join(f"Question: what is {n} plus the cat on the mat?\nAnswer: {2 * n}\n\n" for n in range(60))
    asked = [f"{header}Question: does the cat number {n} sit on the mat?\nAnswer:" for n in range(20)]
    pairs = [(context, f" the {word}") for context in asked for word in ("mat", "red ball", "blue ball", "moon")]
    special = add_bos is not False
    contexts = {context: whole(words, context, special) for context in asked}
    expected = [
        (contexts[context], whole(words, context + text, special)[len(contexts[context]) :]) for context, text in pairs
    ]
    texts = Texts(words, None, False, add_bos)
    assert texts.pairs(pairs) == expected and texts.tokeniser.shares
    lengths = counted(words, monkeypatch)
    assert texts.pairs(pairs) == expected
    assert sum(lengths) < len(header) + 100 * 130 < sum(len(context + text) for context, text in pairs) / 10


def test_texts_that_share_little_are_read_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    words = tokenizer()
    texts = [*LINES, LINES[0] + " " + LINES[1], "", LINES[0]]
    expected = [whole(words, text, True) for text in texts]
    tokeniser, lengths = Tokeniser(words), counted(words, monkeypatch)
    assert tokeniser.encode(texts, True) == expected
    assert sorted(lengths) == sorted(len(text) for text in set(texts))
    assert tokeniser.shares is None and tokeniser.encode([], True) == []


def test_a_tokenizer_that_ends_texts_is_asked_for_whole_ones() -> None:
    words = made("pieces", ends=True)
    texts = [" ".join(LINES * 5) + end for end in ("", " one", " two")]
    tokeniser = Tokeniser(words)
    assert tokeniser.shares is False
    assert tokeniser.encode(texts, True) == [whole(words, text, True) for text in texts]


def test_sharing_ends_where_a_text_means_more_than_its_parts(caplog: pytest.LogCaptureFixture) -> None:
    from tokenizers import Regex, normalizers

    words = tokenizer()
    words.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"cat(?=[\s\S]*!)"), "dog")
    texts = [" ".join(LINES * 5) + end for end in ("", " one", " two!")]
    tokeniser = Tokeniser(words)
    for _ in range(2):
        assert tokeniser.encode(texts, True) == [whole(words, text, True) for text in texts]
    assert tokeniser.shares is False
    assert [record.levelname for record in caplog.records if record.name == "adapters.hf.tokens"] == ["WARNING"]


@needs_stories
def test_the_tokenizer_of_stories() -> None:
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast.from_pretrained(STORIES)
    texts = [" ".join(LINES * 5) + end for end in ("", " She said:", " She said: I am", "\n\nOne day", " 这是。 One")]
    tokeniser = Tokeniser(words)
    assert tokeniser.encode(texts, True) == [words.encode(text) for text in texts]
    assert tokeniser.shares


def test_kin_are_few_steps_away() -> None:
    header = "x" * 300
    texts = [header + q * 200 + end for q in "abc" for end in ("", "1", "2", "21")]
    assert [one and one.place for one in kin_of(texts)] == [None, 0, 0, 0, 0, 4, 4, 4, 0, 8, 8, 8]
    assert kin_of([]) == []

"""Texts that begin alike: what they share is tokenised once, and nobody sees that in the tokens."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from conftest import STORIES, needs_stories
from hf_models import LINES, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.hf.texts import Texts
from adapters.hf.tokens import Tokeniser, kin_of

PIECES = (
    "The cat", " sat on the mat.", "\n\nQuestion: ", "Answer:", " what is two plus two?", " don't", "  ", " ", "\n",
    "12345678", " 42", "aaaaaaaaaaaaa", "_x_", "ﬁ", "e\u0301", " É", " ΟΔΟΣ", "</s>", "<|end|>", " <|end|> ", "<pad>",
    "问题：", "这是一个很长的句子，", "没有空格。", "こんにちは、", "नमस्ते दुनिया", "ภาษาไทย", "😀", "👩\u200d👩\u200d👧",
    "\u00a0", "\u2003", "…", "'s", " (A) red (B) blue", "\r\n", "x = [1, 2]\n    return x\n", "\u200b", "🇩🇪🇫🇷",
    "。\n", "ababab", "abababc", "\t",
)  # fmt: skip
KINDS = ("bytes", "three digits", "llama", "spaces", "unigram", "pieces")
ADDED = {"<pad>": {}, "<|end|>": {"lstrip": True, "rstrip": True}}
texts = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)
headers = st.lists(st.sampled_from(PIECES), min_size=30, max_size=70).map("".join)


@lru_cache(maxsize=32)
def made(kind: str, begins: bool = True, ends: bool = False, size: int = 500) -> Any:
    """A tokenizer of a kind, learnt from the pieces that texts are made of."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    how: dict[str, Any] = {"vocab_size": size, "special_tokens": ["<unk>", "<s>", "</s>"], "show_progress": False}
    trainer: Any = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **how)
    one = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    if kind == "bytes":
        one.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif kind == "three digits":
        words = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        one.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(words), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
        )
        one.post_processor = processors.ByteLevel(trim_offsets=True)
    elif kind in ("llama", "spaces"):
        one.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        one.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next") if kind == "llama" else None
        trainer = trainers.BpeTrainer(**how)
    elif kind == "unigram":
        one = Tokenizer(models.Unigram())
        one.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
        one.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **how)
    else:
        one = Tokenizer(models.WordPiece(unk_token="<unk>"))
        one.normalizer, one.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(**how)
    one.train_from_iterator(["".join(PIECES[i::7]) for i in range(7)] * 3, trainer)
    if kind == "llama":
        one.pre_tokenizer = None  # words are learnt, but not told apart, as SentencePiece does it
    if begins:
        template = processors.TemplateProcessing(
            single="<s> $A </s>" if ends else "<s> $A", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
        one.post_processor = template if kind != "three digits" else processors.Sequence([one.post_processor, template])
    one.add_special_tokens([AddedToken(text, normalized=False, **how) for text, how in ADDED.items()])
    return PreTrainedTokenizerFast(tokenizer_object=one, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def whole(words: Any, text: str, special: bool) -> list[int]:
    return list(words(text, add_special_tokens=special)["input_ids"])


@given(
    kind=st.sampled_from(KINDS),
    size=st.sampled_from((330, 500)),
    begins=st.booleans(),
    header=headers,
    middles=st.lists(texts, min_size=1, max_size=3),
    ends=st.lists(texts, min_size=2, max_size=3),
    special=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_tokens_are_those_of_whole_texts(
    kind: str, size: int, begins: bool, header: str, middles: list[str], ends: list[str], special: bool
) -> None:
    words = made(kind, begins, size=size)
    given = [header, *(header + middle for middle in middles)]
    given += [header + middle + end for middle in middles for end in ends]
    tokeniser = Tokeniser(words)
    assert tokeniser.shares is None
    tokeniser.shares = True  # or its own trial would put right what this is to find
    assert tokeniser.encode(given, special) == [whole(words, text, special) for text in given]


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

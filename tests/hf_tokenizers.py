"""Small tokenizers of every kind that language models have, made on the spot."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

PIECES = (
    "The cat", " sat on the mat.", "\n\nQuestion: ", "Answer:", " what is two plus two?", " don't", "  ", " ", "\n",
    "12345678", " 42", "aaaaaaaaaaaaa", "_x_", "ﬁ", "e\u0301", " É", " ΟΔΟΣ", "</s>", "<|end|>", " <|end|> ", "<pad>",
    "问题：", "这是一个很长的句子，", "没有空格。", "こんにちは、", "नमस्ते दुनिया", "ภาษาไทย", "😀", "👩\u200d👩\u200d👧",
    "\u00a0", "\u2003", "…", "'s", " (A) red (B) blue", "\r\n", "x = [1, 2]\n    return x\n", "\u200b", "🇩🇪🇫🇷",
    "。\n", "ababab", "abababc", "\t",
)  # fmt: skip
KINDS = ("bytes", "three digits", "llama", "spaces", "unigram", "pieces")
ADDED = {"<pad>": {}, "<|end|>": {"lstrip": True, "rstrip": True}}


@cache
def made(kind: str, begins: bool = True, ends: bool = False, size: int = 500, tidy: bool = False) -> Any:
    """A tokenizer of a kind, learnt from the pieces that texts are made of."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    how: dict[str, Any] = {"vocab_size": size, "special_tokens": ["<unk>", "<s>", "</s>"], "show_progress": False}
    trainer: Any = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **how)
    one = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    one.decoder = decoders.ByteLevel()
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
        one.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    elif kind == "unigram":
        one = Tokenizer(models.Unigram())
        one.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
        one.pre_tokenizer, one.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **how)
    else:
        one = Tokenizer(models.WordPiece(unk_token="<unk>"))
        one.normalizer, one.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        one.decoder, trainer = decoders.WordPiece(cleanup=False), trainers.WordPieceTrainer(**how)
    one.train_from_iterator(["".join(PIECES[i::7]) for i in range(7)] * 3, trainer)
    if kind == "llama":
        one = in_bytes(one)
        one.pre_tokenizer = None  # words are learnt, but not told apart, as SentencePiece does it
    if begins:
        template = processors.TemplateProcessing(
            single="<s> $A </s>" if ends else "<s> $A", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
        one.post_processor = template if kind != "three digits" else processors.Sequence([one.post_processor, template])
    one.add_special_tokens([AddedToken(text, normalized=False, **how) for text, how in ADDED.items()])
    return PreTrainedTokenizerFast(
        tokenizer_object=one, bos_token="<s>", eos_token="</s>", unk_token="<unk>", clean_up_tokenization_spaces=tidy
    )


def in_bytes(words: Any) -> Any:
    """A tokenizer that spells what it does not know in bytes, as SentencePiece can."""
    from tokenizers import Tokenizer

    told = json.loads(words.to_str())
    vocabulary = told["model"]["vocab"]
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    told["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(told))

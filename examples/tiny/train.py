"""Train the tiny model: a Llama of less than 0.9 M parameters and its own tokenizer, on generated questions.

    python examples/tiny/train.py --out examples/tiny/checkpoints

Everything is drawn from one seed and counted in steps, not seconds. The questions are of the split `train` of
`assay.generate`; the `mini` suite asks those of the split `test`.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from muon import Muon
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assay.generate import generated
from assay.generate_reasoning import RULES
from assay.keys import generator

WEIGHTS = {
    "facts": 1.0, "odd": 1.2, "translate": 0.4, "agreement": 0.5, "sentiment": 1.2, "where": 1.5, "needle": 1.5,
    "add": 2.0, "reverse": 0.8, "compare": 0.6, "even": 1.2, "parity": 0.3, "rule": 2.0, "exam": 3.0,
}  # fmt: skip
"""How often each source is drawn: more where learning is slow, less where it is quick or hopeless."""
SAVED = (300, 700, 1200, 1800)
SHOTS, SHOT_WEIGHTS = (0, 1, 2, 3), (3, 2, 3, 2)
LONG = ("needle",)
"""Sources whose questions are long, so that worked examples would cost more than they teach."""
BATCH_TOKENS = 2048
POOL = 1500
"""Documents drawn at once, then sorted by length, so that batches hold little padding."""
IGNORED = -100

Document = list[tuple[str, str]]
"""Questions and their answers, the last one what a benchmark would ask."""


def prompt(question: str) -> str:
    """How a question is written: what the benchmarks' templates write too."""
    return f"{question}\nAnswer:"


def documents(rng: random.Random) -> Iterator[Document]:
    """Questions without end, each with up to three worked examples of the same source (and rule) in front."""
    while True:
        (name,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        (shots,) = rng.choices(SHOTS, SHOT_WEIGHTS)
        options = {"only": rng.choice(list(RULES))} if name == "rule" else {}
        count = 1 if name in LONG else 1 + shots
        yield [(row["question"], row["answer"]) for row in generated[name](rng, count, split="train", **options)]


def text(document: Document) -> str:
    """A document as one text."""
    return "\n\n".join(f"{prompt(question)} {answer}" for question, answer in document)


def make_tokenizer(rng: random.Random, size: int = 768) -> PreTrainedTokenizerFast:
    """A byte-level BPE of the documents' words in which each digit stands alone; it puts `<s>` in front."""
    bpe = Tokenizer(models.BPE())
    digits = pre_tokenizers.Split(Regex(r"\d"), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.decoder = decoders.ByteLevel()
    drawn = documents(rng)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=5,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text(next(drawn)) for _ in range(8000)), trainer)
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=512,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The model, untrained; its generation settings say that it decodes greedily and stops at `</s>`."""
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=336,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        **tokens,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.update(do_sample=False, max_new_tokens=32, **tokens)
    return model


@dataclass
class Encoder:
    """Documents as token ids and labels: the answers are learned, and that the text ends after each."""

    tokenizer: PreTrainedTokenizerFast

    def __call__(self, document: Document) -> tuple[list[int], list[int]]:
        """The ids with `<s>` in front, and the labels; behind an answer the label is `</s>`, and the input goes on."""
        parts = []
        for at, (question, answer) in enumerate(document):
            parts += [("\n\n" if at else "") + prompt(question), f" {answer}"]
        encoded = self.tokenizer(parts, add_special_tokens=False)["input_ids"]
        ids, labels, ended = [1], [IGNORED], False
        for at, part in enumerate(encoded):
            ids += part
            if at % 2:
                labels, ended = labels + part, True
            else:
                labels += [2 if ended else IGNORED] + [IGNORED] * (len(part) - 1)
        return [*ids, 2], [*labels, 2]


def batches(encoder: Encoder, rng: random.Random) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches without end of about `BATCH_TOKENS` tokens, padded on the right (no mask is needed there)."""
    drawn = documents(rng)
    while True:
        pool = [encoder(next(drawn)) for _ in range(POOL)]
        pool.sort(key=lambda pair: len(pair[0]) * rng.uniform(0.8, 1.25))
        cut: list[list[tuple[list[int], list[int]]]] = [[]]
        for pair in pool:
            longest = max(len(ids) for ids, _ in [*cut[-1], pair])
            if longest * (len(cut[-1]) + 1) > BATCH_TOKENS:
                cut.append([])
            cut[-1].append(pair)
        rng.shuffle(cut)
        for batch in cut:
            yield padded([ids for ids, _ in batch], 0), padded([labels for _, labels in batch], IGNORED)


def padded(rows: list[list[int]], filler: int) -> torch.Tensor:
    """Rows of equal length."""
    longest = max(map(len, rows))
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the rest."""
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    ids = set(map(id, inner))
    rest = [p for p in model.parameters() if id(p) not in ids]
    return [
        Muon(inner, lr=5e-3),
        torch.optim.AdamW(rest, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(step: int, steps: int) -> float:
    """The learning rate's factor: 40 steps of warm-up, constant to 30 %, then a line down to 2 %."""
    return min(1.0, (step + 1) / 40, 1.0 - 0.98 * max(0.0, step / steps - 0.3) / 0.7)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """A checkpoint in bfloat16, tokenizer included."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.generation_config = model.generation_config
    copy.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(steps: int, seed: int, out: Path) -> None:
    """Train and save a checkpoint at each of `SAVED` and at the end."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(generator("tiny", "tokenizer", seed))
    model = make_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens", flush=True)
    both, began, running = optimizers(model), time.monotonic(), 0.0
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: rate(step, steps)) for one in both]
    stream = batches(Encoder(tokenizer), generator("tiny", "documents", seed))
    for step in range(1, steps + 1):
        ids, labels = next(stream)
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for one in [*both, *schedules]:
            one.step()
        model.zero_grad(set_to_none=True)
        running = loss.item() if step == 1 else 0.95 * running + 0.05 * loss.item()
        if step % 20 == 0:
            print(f"step {step}  loss {running:.3f}  {time.monotonic() - began:.0f} s", flush=True)
        if step in SAVED or step == steps:
            save(model, tokenizer, out / f"step-{step}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Train the tiny model.")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "checkpoints")
    arguments.add_argument("--steps", type=int, default=3000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    train(given.steps, given.seed, given.out)

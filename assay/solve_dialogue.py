"""Dialogues of several turns: each question of the user is put to the model after what was said before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from assay.errors import SpecError
from assay.reasoning import apart
from assay.solve import Exchange, Question, solver
from assay.types import Message, Reply, Sample


@solver
def dialogue(
    sample: Sample,
    prompt: Sequence[Message],
    transcript: Sequence[Exchange],
    mode: Literal["last", "every", "every_with_gold"] = "every",
    field: str = "dialogue",
) -> Sequence[Question] | Reply:
    """The user's turns of a dialogue in the field `field`: OpenAI's form, `{role, content}`, or the user's texts alone.

    `last`: only the last turn is asked, after the dialogue as it stands. `every`: each turn after the model's own
    replies to those before. `every_with_gold`: each after the replies that stand in the dialogue. The prompt is how
    the dialogue begins, up to the user's first turn. All replies are the turns of the reply, which is the last.
    OpenCompass's ChatInferencer. Raises SpecError for another mode, or a field that holds no dialogue.
    """
    turns = _turns(sample, field)
    users = [place for place, turn in enumerate(turns) if turn["role"] == "user"]
    if mode not in ("last", "every", "every_with_gold"):
        raise SpecError(f"solver dialogue: wanted the mode last, every or every_with_gold, got {mode!r:.80}")
    replies = [exchange.reply for exchange in transcript if exchange.question.role == "subject"]
    if mode != "every":
        ends = users[-1:] if mode == "last" else users
        return _end(replies) if replies else [Question([*prompt, *turns[users[0] + 1 : end + 1]]) for end in ends]
    if len(replies) == len(users):
        return _end(replies)
    said = list(prompt)
    for reply, before, place in zip(replies, users, users[1:], strict=False):
        between = [turn for turn in turns[before + 1 : place + 1] if turn["role"] != "assistant"]
        said += [{"role": "assistant", "content": apart(reply).text}, *between]
    return [Question(said)]


def _end(replies: Sequence[Reply]) -> Reply:
    return replace(replies[-1], turns=tuple(replies))


def _turns(sample: Sample, field: str) -> list[dict[str, Any]]:
    """The dialogue of a sample. Raises SpecError where the field holds none."""
    found = sample.get(field)
    listed = found if isinstance(found, list) else []
    turns = [{"role": "user", "content": turn} if isinstance(turn, str) else turn for turn in listed]
    if not all(isinstance(turn, dict) and {"role", "content"} <= turn.keys() for turn in turns) or not any(
        turn["role"] == "user" for turn in turns
    ):
        raise SpecError(
            f"solver dialogue: wanted a list of turns {{role, content}} or of the user's texts in {field!r},"
            f" got {found!r:.80}"
        )
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]

"""What judges decided, read from what they wrote. Strictly: a judgement in another form than was asked for is unknown,
and unknown is never a point for anybody; how many were unknown is in the predictions.

Each gives what every judge said and what all of them come to: of verdicts and preferences the majority, of ratings the
mean over judges.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from assay.extract import extractor
from assay.types import Extracted, Judgement, Reply, Sample


@extractor
def verdict(
    reply: Reply, sample: Sample, labels: Mapping[str, str], pattern: str = "", passed: str | None = None
) -> Extracted:
    """The label that most judges give, `{"label": … or None, "judges": {judge: label or None}}`.

    A judge's text is one of the `labels`' keys and nothing else, or matches `pattern` (its first group; every match has
    to say the same). Where no judge was asked, since a rule found the answer right, it is `passed`.
    """
    if not reply.judgements:
        return Extracted({"label": passed, "judges": {}}, "rule") if passed else Extracted(None, "no judge", "none")
    said = {one.judge: labels.get(_only(one, pattern) or "") for one in reply.judgements}
    label, status = _majority(list(said.values()))
    found = None if status == "none" else {"label": label, "judges": said}
    return Extracted(found, f"{len(said)} judges" if len(said) > 1 else "judge", status)


@extractor
def rating(
    reply: Reply, sample: Sample, pattern: str = r"\[\[(\d+(?:\.\d+)?)\]\]", low: float = 1, high: float = 10
) -> Extracted:
    """The mean rating of each turn over the judges, `{"turns": {turn: mean}, "judges": {judge: {turn: rating}}}`.

    A rating is what `pattern` finds, from `low` to `high`; every match in a text has to say the same.
    """
    by_judge: dict[str, dict[str, float]] = {}
    for one in reply.judgements:
        number = _number(_only(one, pattern), low, high)
        if number is not None:
            by_judge.setdefault(one.judge, {})[str(one.turn)] = number
    turns = sorted({str(one.turn) for one in reply.judgements})
    given = {turn: [said[turn] for said in by_judge.values() if turn in said] for turn in turns}
    if not turns or not all(given.values()):
        return Extracted(None, "no rating", _unread(reply.judgements))
    means = {turn: sum(numbers) / len(numbers) for turn, numbers in given.items()}
    read = sum(map(len, given.values()))
    status: Any = "ok" if read == len(reply.judgements) else "fallback"
    return Extracted({"turns": means, "judges": by_judge}, f"{read} of {len(reply.judgements)} ratings", status)


@extractor
def rubric(
    reply: Reply, sample: Sample, criteria: Mapping[str, Sequence[float]], overall: str | None = None
) -> Extracted:
    """The points of each criterion, the mean over judges, `{"points": {criterion: mean}}`, and as `rating` does.

    A judge's text holds one JSON object, alone or in a code fence, with a number for every criterion, from the first to
    the second of its bounds, and no other numbers than these; `overall` names the one that counts (else their mean).
    """
    by_judge = {one.judge: points for one in reply.judgements if (points := _points(one.text, criteria)) is not None}
    if not by_judge:
        return Extracted(None, "no rubric", _unread(reply.judgements))
    means = {name: sum(points[name] for points in by_judge.values()) / len(by_judge) for name in criteria}
    total = means[overall] if overall else sum(means.values()) / len(means)
    status: Any = "ok" if len(by_judge) == len(reply.judgements) else "fallback"
    by = {judge: {"0": points[overall] if overall else sum(points.values()) / len(points)}
          for judge, points in by_judge.items()}  # fmt: skip
    return Extracted({"turns": {"0": total}, "points": means, "judges": by}, "json", status)


@extractor
def preference(
    reply: Reply, sample: Sample, labels: Mapping[str, float], pattern: str = "", other: str | None = None
) -> Extracted:
    """Which of two answers judges prefer: `{"games": [[judge, order, strength], …], "lengths": [own, other's]}`.

    `labels` gives the strength of each verdict for the answer that stood first, from -2 (much worse) to 2; where the
    order was the other way round its sign is changed, so that it always speaks of the model that is evaluated. Verdicts
    are read as `verdict` does; unknown ones are left out, and where all are there is none. With `other`, the field with
    the answer that it was held against, comes the length of both in characters.
    """
    games = []
    for one in reply.judgements:
        said = labels.get(_only(one, pattern) or "")
        if said is not None:
            games.append([one.judge, one.turn, -said if one.turn else said])
    if not games:
        return Extracted(None, "no verdict", _unread(reply.judgements))
    lengths = None if other is None else [len(reply.text), len(str(sample[other]))]
    status: Any = "ok" if len(games) == len(reply.judgements) else "fallback"
    return Extracted({"games": games, "lengths": lengths}, f"{len(games)} of {len(reply.judgements)} verdicts", status)


def _only(one: Judgement, pattern: str) -> str | None:
    """The one thing that a judge says: the whole text, or what all matches of a pattern agree in."""
    if not pattern:
        return one.text.strip().strip(".").strip()
    found = {match.group(1) for match in re.finditer(pattern, one.text)}
    return found.pop() if len(found) == 1 else None


def _majority(said: Sequence[str | None]) -> tuple[str | None, Any]:
    """The label of more than half of all judges, those that are unknown counted too; and the status."""
    known = [label for label in said if label is not None]
    if not known:
        return None, "none"
    label, count = Counter(known).most_common(1)[0]
    if 2 * count <= len(said):
        return None, "ambiguous"
    return label, "ok" if len(known) == len(said) else "fallback"


def _unread(judgements: Sequence[Judgement]) -> Any:
    return "truncated" if any(one.finish == "length" for one in judgements) else "none"


def _number(text: str | None, low: float, high: float) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if low <= number <= high else None


def _points(text: str, criteria: Mapping[str, Sequence[float]]) -> dict[str, float] | None:
    fenced = re.fullmatch(r"\s*```(?:json)?\s*(.*?)```\s*", text, re.DOTALL)
    try:
        told = json.loads(fenced.group(1) if fenced else text)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    numbers = {k: v for k, v in told.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    fits = numbers.keys() == criteria.keys() and all(low <= numbers[k] <= high for k, (low, high) in criteria.items())
    return numbers if fits else None

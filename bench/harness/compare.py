"""Two sides of one task held against each other, with the tolerance of what counts as equal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .asked import Asked, Figure, Side

SUM = 1e-4  # of a sum in one window: each request of a choice is one
SUM_RELATIVE = 2.0**-22  # two steps of float32, in which the harness adds up
ROLLING_RELATIVE = 1e-6
FIGURE, FIGURE_RELATIVE = 1e-5, 1e-5
DRAWN = ("perplexity", "bleu", "chrf", "ter")  # the harness draws these standard errors, we compute them


@dataclass
class Report:
    """How the two differ on one task."""

    task: str
    benchmark: str
    samples: int = 0
    prompts: int = 0
    """Contexts with their continuations, compared to the byte."""
    golds: int = 0
    sums: int = 0
    scores: int = 0
    figures: int = 0
    errors: int = 0
    """Standard errors."""
    largest: float = 0.0
    """The largest difference of a sum."""
    share: float = 0.0
    """The largest difference of a sum as a share of what is allowed."""
    ties: int = 0
    """Scores that differ where the two best choices are nearer to each other than the tolerance."""
    differ: dict[str, int] = field(default_factory=dict)
    examples: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return not self.differ and self.samples > 0

    def other(self, what: str, theirs: Any, ours: Any, count: int = 1) -> None:
        """Count a difference; the first of a sort is kept."""
        self.differ[what] = self.differ.get(what, 0) + count
        self.examples.setdefault(what, {"theirs": theirs, "ours": ours})

    def record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"same": self.same, **asdict(self)}


def compare(report: Report, theirs: Side, ours: Side) -> None:
    """Hold a task's samples and figures against each other."""
    tied: set[tuple[str, str]] = set()
    for subject, there in theirs.samples.items():
        here = ours.samples.get(subject, [])
        report.samples += len(there)
        if len(there) != len(here):
            report.other("samples", [subject, len(there)], [subject, len(here)], abs(len(there) - len(here)))
        for a, b in zip(there, here, strict=False):
            hold(report, a, b, subject, tied)
    for key, figure in theirs.figures.items():
        if key not in tied:
            hold_figure(report, key, figure, ours.figures.get(key, (None, None)))


def hold(report: Report, there: Asked, here: Asked, subject: str, tied: set[tuple[str, str]]) -> None:
    """Hold one sample against the other side's."""
    report.prompts += len(there.prompts)
    if there.prompts != here.prompts:
        report.other("prompts", there.prompts[:2], here.prompts[:2])
        return
    if there.gold is not None:
        report.golds += 1
        if there.gold != here.gold:
            report.other("golds", there.gold, here.gold)
    if len(there.sums) != len(here.sums):
        report.other("sums", there.sums, here.sums)
        return
    hold_sums(report, there, here)
    if there.text != here.text:
        report.other("texts", there.text, here.text)
    for title, theirs in there.scores.items():
        report.scores += 1
        ours = here.scores.get(title)
        if ours is not None and abs(ours[0] - theirs[0]) <= allowed(theirs[0], there.rolling) and ours[1] == theirs[1]:
            continue
        if ours is not None and is_tie(there):
            report.ties += 1
            tied.add((subject, title))
        else:
            report.other("scores", [subject, title, theirs], [subject, title, ours])


def hold_sums(report: Report, there: Asked, here: Asked) -> None:
    for theirs, ours in zip(there.sums, here.sums, strict=True):
        report.sums += 1
        difference, most = abs(theirs - ours), allowed(theirs, there.rolling)
        report.largest = max(report.largest, difference)
        report.share = max(report.share, difference / most)
        if not difference <= most:
            report.other("sums", theirs, ours)


def allowed(value: float, rolling: bool) -> float:
    """How far apart two sums may be."""
    return ROLLING_RELATIVE * abs(value) if rolling else SUM + SUM_RELATIVE * abs(value)


def is_tie(asked: Asked) -> bool:
    """Whether the two best choices, by sum or by sum a character, are too near each other to tell."""
    if len(asked.sums) < 2:
        return False
    lengths = [max(1, len(continuation.strip())) for _, continuation in asked.prompts]
    for values in (asked.sums, [total / length for total, length in zip(asked.sums, lengths, strict=True)]):
        best, second = sorted(values, reverse=True)[:2]
        if best - second <= 2 * allowed(best, rolling=False):
            return True
    return False


def hold_figure(report: Report, key: tuple[str, str], theirs: Figure, ours: Figure) -> None:
    report.figures += 1
    if not near(theirs[0], ours[0]):
        report.other("figures", [*key, theirs[0]], [*key, ours[0]])
    if theirs[1] is not None and key[1] not in DRAWN:
        report.errors += 1
        if not near(theirs[1], ours[1]):
            report.other("errors", [*key, theirs[1]], [*key, ours[1]])


def near(theirs: float | None, ours: float | None) -> bool:
    return theirs is not None and ours is not None and abs(theirs - ours) <= FIGURE + FIGURE_RELATIVE * abs(theirs)

"""DROP's answers, as its data have them: a number, a date in three parts, or spans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.template import template_filter


@template_filter
def drop_answers(answer: Mapping[str, Any], validated: Mapping[str, Any]) -> list[list[str]]:
    """The right answers of a question, each a list of spans and each once: the first annotator's, then the others'."""
    columns = (validated["number"], validated["date"], validated["spans"])
    others = [{"number": number, "date": date, "spans": spans} for number, date, spans in zip(*columns, strict=True)]
    return list(map(list, dict.fromkeys(tuple(_spans(one)) for one in (answer, *others))))


def _spans(answer: Mapping[str, Any]) -> list[str]:
    if answer["number"] != "":
        return [str(answer["number"])]
    if answer["spans"]:
        return list(answer["spans"])
    return [" ".join(answer["date"][part] for part in ("day", "month", "year")).strip()]

"""Extractors of marked-up answers: a value in JSON, what a tag encloses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from assay.extract import extractor
from assay.types import Reply, Sample


@extractor
def json_value(reply: Reply, sample: Sample, path: str = "", last: bool = True) -> Any:
    """What a JSON object or list in the reply has at a dotted path (`answers.0.name`), of the last one that has it.

    Without a path it is all of it. Nothing is evaluated: what is no JSON is not found.
    """
    found = [value for whole in _documents(reply.text) if (value := _at(whole, path)) is not None]
    return found[-1 if last else 0] if found else None


def _documents(text: str) -> Iterator[Any]:
    """The JSON objects and lists of a text, the outermost of each."""
    decoder, place = json.JSONDecoder(), 0
    for start in re.finditer(r"[{\[]", text):
        if start.start() < place:
            continue
        try:
            _, place = decoder.raw_decode(text, start.start())
            yield orjson.loads(text[start.start() : place])  # which takes only what can be written again
        except ValueError:
            continue
        except RecursionError:  # brackets of a depth that no answer has
            return


def _at(value: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


@extractor
def xml_tag(reply: Reply, sample: Sample, tag: str = "answer", last: bool = True) -> str | None:
    """What the last `<tag>…</tag>` encloses, stripped; nothing where it was not closed or is blank."""
    name = re.escape(tag)
    found = re.findall(rf"<{name}(?:\s[^<>]*)?>((?:(?!<{name}[\s>]).)*?)</{name}>", reply.text, re.DOTALL)
    return (found[-1 if last else 0].strip() or None) if found else None

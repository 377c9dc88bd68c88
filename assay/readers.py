"""Readers: files whose records no format describes, each a function from a path to rows.

A benchmark names one as `files: {path: …, reader: NAME, options: {…}}`; the options are its keyword arguments.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assay.registry import Registry
from assay.types import Row

reader: Registry[Callable[..., Iterator[Row]]] = Registry("reader")


@reader
def wikitext(path: Path) -> Iterator[dict[str, Any]]:
    """The articles of a WikiText file, `title` and `text`: one begins at each line ` = Title = `, no section
    (` = = … = = `) does."""
    text = path.read_text(encoding="utf-8")
    starts = [found.start() for found in re.finditer(r"^ = [^=\n]+ = ?$", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        article = text[start:end]
        yield {"title": article.split("\n", 1)[0].strip(" ="), "text": article}


@reader
def xml(path: Path, tag: str) -> Iterator[dict[str, Any]]:
    """The elements of a name, wherever they stand: their attributes, and the text of each element in them by name."""
    for element in ElementTree.parse(path).iter(tag):
        yield {**element.attrib, **{child.tag: "".join(child.itertext()).strip() for child in element}}


@reader
def trivia(path: Path, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """OpenTriviaQA's blocks `#Q question`, `^ answer`, `A choice`, `B choice` …: `question`, `answer`, `choices`.

    A question may go on over lines, up to the answer. A line that is not in the encoding is in Windows-1252: the files
    were put together from both.
    """
    text = "\n".join(_decoded(line, encoding) for line in path.read_bytes().splitlines())
    for block in re.split(r"^#Q ", text, flags=re.MULTILINE)[1:]:
        question, found, rest = block.partition("\n^")
        if not found:
            raise ValueError(f"the question {question.strip()!r:.80} has no line of its answer (^)")
        answer, _, choices = rest.partition("\n")
        listed = [line[1:].strip() for line in choices.splitlines() if re.match(r"[A-Z]( |$)", line)]
        yield {"question": " ".join(question.split()), "answer": answer.strip(), "choices": listed}


def _decoded(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return line.decode("cp1252")


@reader
def bbh_description(path: Path) -> Iterator[dict[str, Any]]:
    """The sentence or two at the head of a BIG-Bench-Hard task's chain-of-thought prompt, as `description`."""
    yield {"description": _bbh_prompt(path).partition("\n\nQ: ")[0]}


@reader
def bbh_shots(path: Path) -> Iterator[dict[str, Any]]:
    """The worked examples of a BIG-Bench-Hard task's chain-of-thought prompt: `input`, `worked`, and as `lead` the
    blank between `Let's think step by step.` and the work: a line break, in one task a space."""
    example = re.compile(r"\n\nQ: (.*?)\nA: Let's think step by step\.(\s)(.*?)(?=\n\nQ: |\Z)", re.DOTALL)
    for question, lead, worked in example.findall(_bbh_prompt(path)):
        yield {"input": question, "lead": lead, "worked": worked}


def _bbh_prompt(path: Path) -> str:
    """The prompt below the canary's line."""
    _, line, prompt = path.read_text(encoding="utf-8").partition("-----\n")
    if not line:
        raise ValueError("wanted a line of five dashes below the canary")
    return prompt.strip()

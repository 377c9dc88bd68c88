"""Extractors of code: a program, found in what a model wrote, however it wrote it.

Nothing is run here, only parsed. What a chat model writes stands in a fenced block; what a base model writes goes on
where the prompt ends; both may repeat the signature, forget an indent, or begin another function that they never end.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Sequence

from assay.extract import extractor
from assay.types import Extracted, Reply, Sample

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:\2[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
PYTHON = ("", "python", "python3", "py", "Python")


@extractor
def code_block(
    reply: Reply, sample: Sample, last: bool = False, languages: Sequence[str] = (), required: bool = False
) -> Extracted:
    """The first (or last) fenced block, of one of the languages where some are named.

    A block that is never closed goes to the end. Where there is no block: the whole text as a `fallback`, or nothing
    where one is `required`.
    """
    blocks = _blocks(reply.text)
    fitting = [code for tag, code in blocks if tag.lower() in languages] or [code for _, code in blocks]
    if fitting:
        return Extracted(fitting[-1 if last else 0].strip("\n") or None, "block")
    if required or not reply.text.strip():
        return Extracted(None, "", "none")
    return Extracted(reply.text, "text", "fallback")


def _blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks: their language tags and what they hold, without the indent of the fence."""
    return [(tag, textwrap.dedent(code) if indent else code) for indent, _, tag, code in _FENCE.findall(text)]


@extractor
def continued(reply: Reply, sample: Sample, prompt: str = "prompt") -> str | None:
    """The sample's prompt and, right behind it, the text as it is: what a base model's continuation means."""
    return str(sample[prompt]) + reply.text if reply.text.strip() else None


@extractor
def until_fence(reply: Reply, sample: Sample, prompt: str = "prompt") -> str:
    """The sample's prompt and the text before the first fence (lm-eval's build_predictions_instruct)."""
    return str(sample[prompt]) + reply.text.partition("```")[0]


@extractor
def opened_block(reply: Reply, sample: Sample) -> str:
    """What stands before the closing fence of a block that the prompt has opened; nothing where it is not closed.

    As lm-eval's extract_code_blocks, but for one thing: that takes the first word of the code for a language's name.
    """
    block, fence, _ = reply.text.partition("```")
    return block.removesuffix("\n") if fence else ""


@extractor
def python_program(reply: Reply, sample: Sample, prompt: str = "prompt", entry: str = "entry_point") -> Extracted:
    """A Python program that defines the sample's function, from a block or a text that is the whole or only its body.

    Of several blocks the last that defines the function counts, else the first. Code that defines it comes after what
    the prompt has in front of the function (imports, helpers); other code is the function's body, and is indented if
    it is not. What makes it no Python at its end is left out (`fallback`), as by EvalPlus's sanitizer.
    """
    name, begun = str(sample[entry]), str(sample[prompt]) if prompt else ""
    blocks = [code for tag, code in _blocks(reply.text) if tag in PYTHON] or [code for _, code in _blocks(reply.text)]
    defining = [code for code in blocks if _signature(name).search(code)]
    code = defining[-1] if defining else blocks[0] if blocks else reply.text
    if not code.strip():
        return Extracted(None, "", "none")
    where = "block" if blocks else "text"
    if _signature(name).search(code) or not begun:
        whole, method = _head(begun, name) + textwrap.dedent(code), f"{where}, whole"
    else:
        whole, method = begun.rstrip(" \t") + _body(begun, code), f"{where}, body"
    if parses(whole):
        return Extracted(whole, method)
    shorter = _shortened(whole, name)
    return Extracted(shorter or whole, f"{method}, cut" if shorter else method, "fallback")


def _signature(name: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+{re.escape(name)}\b", re.MULTILINE)


def _head(prompt: str, name: str) -> str:
    """What a prompt has before the function that is to be written: its imports and helpers."""
    found = _signature(name).search(prompt)
    head = prompt[: found.start()] if found else prompt
    return head if parses(head) else ""


def _body(prompt: str, code: str) -> str:
    """A function's body, in the form in which it goes on after the prompt."""
    if prompt and not prompt.endswith("\n"):
        return code  # it goes on in the middle of a line
    lines = code.strip("\n").splitlines()
    first = next(line for line in lines if line.strip())
    if not first[0].isspace():  # not indented; or only its first line is not, where the prompt's last blank was eaten
        rest = [line for line in lines[lines.index(first) + 1 :] if line.strip()]
        if rest and all(line[0].isspace() for line in rest) and parses(prompt + "    " + "\n".join(lines)):
            return "    " + "\n".join(lines) + "\n"
        return textwrap.indent("\n".join(lines), "    ") + "\n"
    return "\n".join(lines) + "\n"


def parses(text: str) -> bool:
    """Whether a text is Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of a backslash in a text
            ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _shortened(text: str, name: str) -> str | None:
    """The longest beginning of some whole lines that is Python and has the function; None where there is none."""
    lines = text.splitlines(keepends=True)
    for end in range(len(lines) - 1, max(0, len(lines) - 200), -1):
        begin = "".join(lines[:end])
        if not _signature(name).search(begin):
            return None
        if parses(begin):
            return begin
    return None


@extractor
def asserted(reply: Reply, sample: Sample, side: str = "right") -> Extracted:
    """One side of the assertion `f(…) == …` that a text makes: its `right`, or the `call` (of a bare list of arguments
    too). Of a text that is no assertion the first line that is Python, as a `fallback`."""
    for line in reply.text.strip().splitlines():
        text = line.strip().removeprefix("assert").strip()
        found = _compared(text)
        if found:
            return Extracted(found[0] if side == "call" else found[1], "assertion")
        if text and parses(text):
            return Extracted(
                text if side != "call" or text.startswith("f(") else f"f({text})", "expression", "fallback"
            )
    return Extracted(None, "", "none")


def _compared(text: str) -> tuple[str, str] | None:
    """The sides of a text that is one comparison for equality."""
    if not parses(text):
        return None
    match ast.parse(text).body:
        case [ast.Expr(value=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]))]:
            return ast.get_source_segment(text, left) or "", ast.get_source_segment(text, right) or ""
    return None


@extractor
def middle_block(reply: Reply, sample: Sample) -> str:
    """What stands between the first fence and the next, blanks and all, without the last line break; else the text."""
    found = re.search(r"```\w*\n(.*?)\n?```", reply.text, re.DOTALL)
    return found.group(1) if found else reply.text


@extractor
def infilled(reply: Reply, sample: Sample, prompt: str = "prompt", suffix: str = "suffix") -> Extracted:
    """The sample's prompt, the text as it is, and the sample's suffix; with a line break behind the text where only
    that makes it Python (`fallback`)."""
    whole, broken = (f"{sample[prompt]}{text}{sample[suffix]}" for text in (reply.text, reply.text + "\n"))
    if not parses(whole) and parses(broken):
        return Extracted(broken, "line", "fallback")
    return Extracted(whole, "infilled")


@extractor
def tagged_code(reply: Reply, sample: Sample) -> str | None:
    """What stands before `</code>`, after `<code>` where it is said, or in a fenced block, without DS-1000's marks of
    an end; the indent of the first line stays."""
    text = reply.text.partition("</code>")[0].rpartition("<code>")[2]
    if "```" in text:
        text = re.sub(r"\A.*?```\w*\n|```.*\Z", "", text, flags=re.DOTALL)
    text = re.split(r"\n\s*#*\s*(?:END SOLUTION|SOLUTION END)", text)[0].strip("\n")
    return text if text.strip() else None

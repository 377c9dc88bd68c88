"""Answers written in LaTeX, brought to one form: the three normalisations that published scores rest on, as text work.

`minerva` is that of appendix D of Lewkowycz et al. 2022 (arXiv:2206.14858), as lm-evaluation-harness 0.4.13 mends it;
`opencompass` is what OpenCompass's MATH recipe of 2023 makes of it; `hendrycks` is that of Hendrycks et al. 2021
(arXiv:2103.03874). None of them computes: whether two forms mean the same is asked of `assay.maths`.
"""

from __future__ import annotations

import re

_REPLACED = (
    ("an ", ""), ("a ", ""), (".$", "$"), ("\\$", ""), ("\\ ", ""), (" ", ""), ("mbox", "text"),
    (",\\text{and}", ","), ("\\text{and}", ","), ("\\text{m}", "\\text{}"),
)  # fmt: skip
_REMOVED = (
    "square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units", "\\ldots", "sue", "points",
    "feet", "minutes", "digits", "cents", "degrees", "cm", "gm", "pounds", "meters", "meals", "edges", "students",
    "childrentickets", "multiples", "\\text{s}", "\\text{.}", "\\text{\ns}", "\\text{}^2", "\\text{}^3", "\\text{\n}",
    "\\text{}", "\\mathrm{th}", "^\\circ", "^{\\circ}", "\\;", ",\\!", "{,}", '"', "\\dots",
)  # fmt: skip
_COMMAND = re.compile(r"(\\[a-zA-Z]+)")


def last_boxed(text: str) -> str | None:
    """What the last `\\boxed{…}` (or `\\fbox{…}`) holds, braces balanced; None where none is closed."""
    end = len(text)
    while (start := max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))) >= 0:
        if (inside := _braced(text, start)) is not None:
            return inside
        end = start
    return None


def _braced(text: str, start: int) -> str | None:
    opening = re.compile(r"\\f?box(?:ed)?\s*").match(text, start)
    if opening is None:
        return None
    if not text.startswith("{", opening.end()):
        bare = re.compile(r"[^\s$.,{}]+").match(text, opening.end())  # \boxed 5 and \boxed5 are TeX too
        return bare.group() if bare else None
    depth = 0
    for i in range(opening.end(), len(text)):
        if text[i] in "{}" and text[i - 1] != "\\":
            depth += 1 if text[i] == "{" else -1
            if depth == 0:
                return text[opening.end() + 1 : i].strip()
    return None


def minerva(answer: str) -> str:
    """A final answer without units, articles, dollars and boxes, its fractions and roots in full."""
    answer = answer.split("=")[-1]
    for word in filter(str.isalpha, _REMOVED):  # while spaces still tell a unit from the middle of a word
        answer = re.sub(rf"(?<!\\)\b{word}\b", "", answer)
    for old, new in _REPLACED:
        answer = answer.replace(old, new)
    for expression in _REMOVED:
        answer = _outside_commands(answer, expression) if expression.isalpha() else answer.replace(expression, "")
    if answer.count("$") > 1:  # asked first: on a long text without, the pattern takes seconds to find nothing
        answer = re.sub(r"(.*?)(\$)(.*?)(\$)(.*)", r"$\3$", answer)
    answer = _unwrapped(answer)
    answer = re.sub(r"(frac)([^{])(.)", r"frac{\2}{\3}", answer)
    answer = re.sub(r"(sqrt)(\[[^\]]*\])(\w)", r"\1\2{\3}", answer)
    answer = re.sub(r"(sqrt)(?!\[)([^{])", r"sqrt{\2}", answer).replace("$", "")
    return answer.replace(",", "") if re.fullmatch(r"-?\d{1,3}(,\d{3})+", answer) else answer


def _outside_commands(text: str, word: str) -> str:
    parts = _COMMAND.split(text)
    parts[::2] = [part.replace(word, "") for part in parts[::2]]
    return "".join(parts)


def _unwrapped(answer: str) -> str:
    for pattern in (r"\\text\{(.*?)\}", r"\\textbf\{(.*?)\}", r"\\overline\{(.*?)\}", r"\\boxed\{(.*)\}"):
        answer = re.sub(pattern, r"\1", answer)
    return answer


def in_full(answer: str) -> str:
    """A formula with braces around what is above and below each fraction and under each root: `\\frac43`, `\\sqrt2`."""
    answer = re.sub(r"\\frac\s*([^{\s\\])", r"\\frac{\1}", answer)
    answer = re.sub(r"(\\frac\{[^{}]*\})\s*([^{\s])", r"\1{\2}", answer)
    return re.sub(r"\\sqrt\s*([^{\[\s\\])", r"\\sqrt{\1}", answer)


def opencompass(text: str) -> str:
    """The sentence with `final answer`, else the first one, as OpenCompass's `math_postprocess` of 2023 leaves it."""
    sentences = text.split(".")
    answer = next((part for part in sentences if "final answer" in part.lower()), sentences[0])
    for old, new in (*_REPLACED, ("\\le", "<")):
        answer = answer.replace(old, new)
    for expression in (*_REMOVED, "\n", "\r", "\f"):
        answer = answer.replace(expression, "")
    answer = _unwrapped(answer)
    for pattern in (r"finalansweris(.*)", r"oxed\{(.*?)\}", r"\$(.*?)\$"):
        answer = (re.findall(pattern, answer) or [answer])[-1]
    answer = answer.strip()
    if "rac" in answer and "\\frac" not in answer:
        answer = answer.replace("rac", "\\frac")
    answer = re.sub(r"(frac)([^{])(.)", r"frac{\2}{\3}", answer)
    answer = re.sub(r"(sqrt)([^{])", r"sqrt{\2}", answer).replace("$", "")
    return answer.replace(",", "") if answer.replace(",", "").isdigit() else answer


def same_hendrycks(one: str, other: str) -> bool:
    """Whether two answers are the same text once stripped; as they are, where one cannot be stripped."""
    try:
        return hendrycks(one) == hendrycks(other)
    except ValueError:
        return one == other


def hendrycks(answer: str) -> str:
    """An answer without line breaks, sizes, degrees, units and spaces, its simple fractions and roots in full.

    Raises ValueError where its fractions, roots or units are written in a way that the paper's rules do not foresee.
    """
    for old, new in (
        ("\n", ""), ("\\!", ""), ("\\\\", "\\"), ("tfrac", "frac"), ("dfrac", "frac"), ("\\left", ""), ("\\right", ""),
        ("^{\\circ}", ""), ("^\\circ", ""), ("\\$", ""),
    ):  # fmt: skip
        answer = answer.replace(old, new)
    number, *units = answer.split("\\text{ ")
    if len(units) > 1:
        raise ValueError(f"two units in {answer!r}")
    answer = number.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if not answer:
        return answer
    answer = "0" + answer if answer.startswith(".") else answer
    name, *value = answer.split("=")
    if len(value) == 1 and len(name) <= 2:
        answer = value[0]
    answer = _fractions(_roots(answer).replace(" ", ""))
    return _slash("\\frac{1}{2}" if answer == "0.5" else answer)


def _roots(answer: str) -> str:
    first, *rest = answer.split("\\sqrt")
    if "" in rest:
        raise ValueError(f"a root of nothing in {answer!r}")
    return first + "".join("\\sqrt" + (part if part[0] == "{" else f"{{{part[0]}}}{part[1:]}") for part in rest)


def _fractions(answer: str) -> str:
    first, *rest = answer.split("\\frac")
    whole = first
    for part in rest:
        if not part:
            raise ValueError(f"a fraction of nothing in {answer!r}")
        if part[0] != "{" and len(part) < 2:
            return answer
        below = part[1] if part[0] == "{" or part[1] == "{" else f"{{{part[1]}}}"
        whole += "\\frac" + (part if part[0] == "{" else f"{{{part[0]}}}{below}{part[2:]}")
    return whole


def _slash(answer: str) -> str:
    above, *below = answer.split("/")
    if len(below) != 1:
        return answer
    top, bottom = int(above), int(below[0])
    return f"\\frac{{{top}}}{{{bottom}}}" if answer == f"{top}/{bottom}" else answer

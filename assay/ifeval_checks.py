"""The 25 verifiable instructions of IFEval (Zhou et al. 2023, arXiv:2311.07911), each a function of a reply.

They say what lm-evaluation-harness 0.4.13 says, its quirks included (a keyword is a pattern and may stand inside a
word; emphasis counts twice where it is `**bold**`), but for two questions: asked to count `#` or `!`, it counts some
letter drawn at random, and here it is that mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from assay.errors import SpecError
from assay.ifeval_words import sentence_count, treebank, word_count

Check = Callable[..., bool]
"""`(reply, **parameters)` -> whether the reply follows the instruction."""

CHECKS: dict[str, Check] = {}

CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_FENCES = ("```json", "```Json", "```JSON", "```")


def check(name: str) -> Callable[[Check], Check]:
    """Register a function as the check of an instruction, by the instruction's name in the data."""

    def register(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return register


def _holds(count: int, relation: str, wanted: int) -> bool:
    if relation not in ("at least", "less than"):
        raise SpecError(f"ifeval: wanted the relation 'at least' or 'less than', got {relation!r}")
    return count >= wanted if relation == "at least" else count < wanted


@check("keywords:existence")
def existence(reply: str, keywords: Sequence[str]) -> bool:
    """Every keyword is there."""
    return all(re.search(keyword, reply, re.IGNORECASE) for keyword in keywords)


@check("keywords:frequency")
def frequency(reply: str, keyword: str, frequency: int, relation: str) -> bool:
    """A keyword is there so often."""
    return _holds(len(re.findall(keyword.strip(), reply, re.IGNORECASE)), relation, frequency)


@check("keywords:forbidden_words")
def forbidden_words(reply: str, forbidden_words: Sequence[str]) -> bool:
    """None of some words is there, as a word."""
    return not any(re.search(rf"\b{word}\b", reply, re.IGNORECASE) for word in forbidden_words)


@check("keywords:letter_frequency")
def letter_frequency(reply: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    """A letter is there so often, whatever its case."""
    return _holds(reply.lower().count(letter.strip().lower()), let_relation, let_frequency)


@check("language:response_language")
def response_language(reply: str, language: str) -> bool:
    """The reply is in a language, by its ISO 639-1 code; where none can be told, it is."""
    return _language(reply) in (language, None)


@check("length_constraints:number_sentences")
def number_sentences(reply: str, num_sentences: int, relation: str) -> bool:
    """There are so many sentences."""
    return _holds(sentence_count(reply), relation, num_sentences)


@check("length_constraints:number_paragraphs")
def number_paragraphs(reply: str, num_paragraphs: int) -> bool:
    """There are just so many paragraphs between `***`, none but the first or last of them empty."""
    first, *rest = re.split(r"\s?\*\*\*\s?", reply)
    inner = rest[:-1]
    ends = [first, *rest[-1:]]
    if not all(part.strip() for part in inner):
        return False
    return len(inner) + sum(bool(part.strip()) for part in ends) == num_paragraphs


@check("length_constraints:number_words")
def number_words(reply: str, num_words: int, relation: str) -> bool:
    """There are so many words."""
    return _holds(word_count(reply), relation, num_words)


@check("length_constraints:nth_paragraph_first_word")
def nth_paragraph_first_word(reply: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """There are just so many paragraphs between blank lines, and one of them begins with a word."""
    paragraphs = reply.split("\n\n")
    count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if count != num_paragraphs or nth_paragraph > count or not paragraphs[nth_paragraph - 1].strip():
        return False
    word = paragraphs[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", word, maxsplit=1)[0].lower() == first_word.lower()


@check("detectable_content:number_placeholders")
def number_placeholders(reply: str, num_placeholders: int) -> bool:
    """There are at least so many placeholders in square brackets."""
    return len(re.findall(r"\[.*?\]", reply)) >= num_placeholders


@check("detectable_content:postscript")
def postscript(reply: str, postscript_marker: str) -> bool:
    """There is a postscript: its mark, with or without blanks inside."""
    marker = postscript_marker.strip()
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return re.search(known.get(marker, marker.lower()), reply.lower()) is not None


@check("detectable_format:number_bullet_lists")
def number_bullet_lists(reply: str, num_bullets: int) -> bool:
    """There are just so many lines that begin with `*` or `-`."""
    stars = re.findall(r"^\s*\*[^\*].*$", reply, re.MULTILINE)
    return len(stars) + len(re.findall(r"^\s*-.*$", reply, re.MULTILINE)) == num_bullets


@check("detectable_format:constrained_response")
def constrained_response(reply: str) -> bool:
    """One of the three permitted answers is there."""
    return any(answer in reply for answer in CONSTRAINED)


@check("detectable_format:number_highlighted_sections")
def number_highlighted_sections(reply: str, num_highlights: int) -> bool:
    """There are at least so many highlights, `*so*` or `**so**`, with something in them."""
    single = [one.strip("*") for one in re.findall(r"\*[^\n\*]*\*", reply)]
    double = [one[2:-2] for one in re.findall(r"\*\*[^\n\*]*\*\*", reply)]
    return sum(bool(one.strip()) for one in single + double) >= num_highlights


@check("detectable_format:multiple_sections")
def multiple_sections(reply: str, section_spliter: str, num_sections: int) -> bool:
    """There are at least so many sections, each with its word and number at its head."""
    return len(re.findall(rf"\s?{section_spliter.strip()}\s?\d+\s?", reply)) >= num_sections


@check("detectable_format:json_format")
def json_format(reply: str) -> bool:
    """The whole reply is JSON, in a fence or not."""
    kept = reply.strip()
    for fence in _FENCES:
        kept = kept.removeprefix(fence)
    try:
        json.loads(kept.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


@check("detectable_format:title")
def title(reply: str) -> bool:
    """There is a title in double angular brackets."""
    return any(one.lstrip("<").rstrip(">").strip() for one in re.findall(r"<<[^\n]+>>", reply))


@check("combination:two_responses")
def two_responses(reply: str) -> bool:
    """There are two different responses, with six asterisks between them and at most at the ends."""
    parts = [part.strip() for part in reply.split("******")]
    if not all(parts[1:-1]):
        return False
    given = list(filter(None, parts))
    return len(given) == 2 and given[0] != given[1]


@check("combination:repeat_prompt")
def repeat_prompt(reply: str, prompt_to_repeat: str) -> bool:
    """The reply begins with the request, word for word, whatever its case."""
    return reply.strip().lower().startswith(prompt_to_repeat.strip().lower())


@check("startend:end_checker")
def end_checker(reply: str, end_phrase: str) -> bool:
    """The reply ends with a phrase, whatever its case; a quotation mark may follow."""
    return reply.strip().strip('"').lower().endswith(end_phrase.strip().lower())


@check("startend:quotation")
def quotation(reply: str) -> bool:
    """The reply stands in double quotation marks."""
    kept = reply.strip()
    return len(kept) > 1 and kept[0] == kept[-1] == '"'


@check("change_case:capital_word_frequency")
def capital_word_frequency(reply: str, capital_frequency: int, capital_relation: str) -> bool:
    """There are so many words in capitals."""
    return _holds(sum(token.isupper() for token in treebank(reply)), capital_relation, capital_frequency)


@check("change_case:english_capital")
def english_capital(reply: str) -> bool:
    """The reply is English, all in capitals."""
    return reply.isupper() and _language(reply) in ("en", None)


@check("change_case:english_lowercase")
def english_lowercase(reply: str) -> bool:
    """The reply is English, all in small letters."""
    return reply.islower() and _language(reply) in ("en", None)


@check("punctuation:no_comma")
def no_comma(reply: str) -> bool:
    """There is no comma."""
    return "," not in reply


def _language(text: str) -> str | None:
    """The code of the language that langdetect sees; None where it sees none."""
    import langdetect

    langdetect.DetectorFactory.seed = 0  # it draws at random: the same text is to give the same verdict
    try:
        code: str = langdetect.detect(text)
    except langdetect.LangDetectException:
        return None
    return code

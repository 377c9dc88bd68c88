"""Numbers as people write them, in English and Chinese, read exactly."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

_DIGITS = {**{c: i for i, c in enumerate("零一二三四五六七八九")}, "〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "亿": 10**8, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_CHINESE = "零一二三四五六七八九〇两十百千万亿"
_FULL_WIDTH = str.maketrans("０１２３４５６７８９．，－％", "0123456789.,-%")
LONGEST = 100
"""Digits that a number has at most: longer runs are none that anybody meant."""
_NUMBER = re.compile(
    r"""(?P<sign>(?<![\w.)])[-−]\s?)?(?:[$¥￥€£]\s?)?
    (?P<digits>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
    (?:[eE](?P<exponent>[-+]?\d{1,3})\b|\s?(?:×|\\times|\*)\s?10\s?\^\s?\{?(?P<power>[-−]?\d{1,3})\}?)?
    (?:\s?/\s?(?P<below>\d+(?![\d.]*/))|\s?(?P<large>[万亿]{1,2}|(?:thousand|million|billion|trillion)\b))?
    (?P<percent>\s?(?:\\?%|percent\b))?
    """,
    re.VERBOSE,
)
_NUMERAL = re.compile(f"(百分之)?(负?[{_CHINESE}]+(?:点[{_CHINESE}]+)?)")


def quantities(text: str, percent: bool = False) -> list[str]:
    """The numbers of a text as digits, in their order; with `percent` those of percentages divided by a hundred.

    Chinese numerals count only where there are no digits: 一 is a part of too many words.
    """
    text = text.translate(_FULL_WIDTH)
    read = [(_digits(found), found["percent"]) for found in _NUMBER.finditer(text)]
    read = read or [(_chinese(found[2]), found[1]) for found in _NUMERAL.finditer(text)]
    return [plain(value / 100 if percent and share else value) for value, share in read if value is not None]


def _digits(match: re.Match[str]) -> Fraction | None:
    if len(match[0]) > LONGEST:
        return None
    value = Fraction(match["digits"].replace(",", ""))
    value *= Fraction(10) ** int((match["exponent"] or match["power"] or "0").replace("−", "-"))
    if match["below"]:
        if int(match["below"]) == 0:
            return None
        value /= int(match["below"])
    for unit in [match["large"]] if match["large"] in _LARGE else match["large"] or ():
        value *= _LARGE[unit]
    return -value if match["sign"] else value


def _chinese(text: str) -> Fraction | None:
    """The number that Chinese numerals write; None where they write none, as those that begin with a unit do."""
    negative, (whole, _, part) = text.startswith("负"), text.removeprefix("负").partition("点")
    if len(text) > LONGEST or whole[:1] not in (*_DIGITS, "十") or any(c not in _DIGITS for c in part):
        return None
    if all(c in _DIGITS for c in whole):  # a year, digit by digit
        value = Fraction("".join(str(_DIGITS[c]) for c in whole))
    else:
        value = Fraction(_counted(whole))
    if part:
        value += Fraction("0." + "".join(str(_DIGITS[c]) for c in part))
    return -value if negative else value


def _counted(text: str) -> int:
    """The number that digits and units make, such as 三千二百, or 三千二 for short."""
    total = section = digit = short = 0
    if text[-1] in _DIGITS and (unit := (_UNITS | _LARGE).get(text[-2], 1)) > 10:
        text, short = text[:-1], _DIGITS[text[-1]] * unit // 10
    for c in text:
        if c in _DIGITS:
            digit = _DIGITS[c]
        elif c in _UNITS:
            section, digit = section + (digit or int(c == "十")) * _UNITS[c], 0
        else:
            section, digit = section + digit, 0
            if c == "亿":
                total = (total + section) * _LARGE[c]
            else:
                total += section * _LARGE[c]
            section = 0
    return total + section + digit + short


def plain(value: Fraction) -> str:
    """A fraction as a decimal number: exact where that ends soon, else to 28 digits."""
    if value.denominator == 1:
        return str(value.numerator)
    return format((Decimal(value.numerator) / Decimal(value.denominator)).normalize(), "f")

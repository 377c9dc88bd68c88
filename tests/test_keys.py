"""Identity: the same content has the same key, other content another, in this process and the next."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.keys import canonical, digest, generator, key

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def reordered(value):
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(json)
def test_the_order_of_a_maps_keys_does_not_matter(value):
    assert canonical(reordered(value)) == canonical(value)
    assert key(reordered(value)) == key(value)


@settings(deadline=None)
@given(json, json)
def test_other_content_has_another_key(one, other):
    assert (key(one) == key(other)) == (canonical(one) == canonical(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", None), ("a",)),
        (("1",), (1,)),
        ((1, 2), ([1, 2],)),
        ((True,), (1,)),
        ((1.0,), (1,)),
    ],
)
def test_parts_do_not_run_into_each_other(one, other):
    assert key(*one) != key(*other)


def test_keys_are_what_they_were():
    """Ledgers outlive versions: a key that changes makes every answer be asked for again."""
    assert canonical({"b": [1, "ü", None, 0.5], "a": {}}) == '{"a":{},"b":[1,"ü",null,0.5]}'.encode()
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223"  # the first half of SHA-256's test vector
    assert key("prompt", {"k": 5}) == digest(b'["prompt",{"k":5}]')


def test_a_generator_draws_the_same_in_every_process():
    code = "from assay.keys import generator; print(generator(0, 'gsm8k', 'abc').random())"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert runs == {f"{generator(0, 'gsm8k', 'abc').random()}\n".encode()}
    assert generator(1, "gsm8k", "abc").random() != generator(0, "gsm8k", "abc").random()


def test_what_is_no_json_has_no_key():
    with pytest.raises(TypeError):
        key({1, 2})

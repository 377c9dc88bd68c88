"""YAML as a person means it, and patches."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.documents import merge_patch, parse, read_map


def test_yaml_as_a_person_means_it() -> None:
    listed = "no, yes, on, off, y, n, 1e3, 010, 1:30, 2024-01-01, .5, true, ~, 0x1f, '', 1_000"
    text = f"a: [{listed}]\nb:\nc: &x {{d: 1}}\ne: {{<<: *x}}"
    assert parse(text, "text") == {
        "a": ["no", "yes", "on", "off", "y", "n", 1000.0, 10, "1:30", "2024-01-01", 0.5, True, None, 31, "", "1_000"],
        "b": None, "c": {"d": 1}, "e": {"d": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: object, patch: object, merged: object) -> None:
    assert merge_patch(target, patch) == merged


def test_a_bom_and_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("\ufeff# Told.\na: 1\n".encode())
    (tmp_path / "b.yaml").write_text("")
    assert read_map(tmp_path / "a.yaml") == {"a": 1}
    assert read_map(tmp_path / "b.yaml") == {}

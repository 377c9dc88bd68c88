"""Benchmarks in Chinese and Korean whose rows come from the hub, or from a folder of the user's own.

They are asked about rows of the very columns and types that are there, which `datasets` reads from a folder as the hub
has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_every_benchmark import RECORD, _answer, _choose, _scores

from adapters.datasets import hub, open_source
from assay.catalog import benchmark_ids, load_benchmark
from assay.errors import DatasetError
from assay.prompt import Prompter
from assay.spec import Benchmark, HubSource
from assay.types import Reply
from tasks.preview import Preview, preview, written

NLI = ["neutral", "entailment", "contradiction"]
"""The order of the labels in CLUE's data sets on the hub."""
NEWS = ["100", "101", "102", "103", "104", "106", "107", "108", "109", "110", "112", "113", "114", "115", "116"]
MEANT = [
    "故事类别新闻", "书籍文化历史类别新闻", "娱乐圈新闻", "体育类别新闻", "投资资讯", "楼市新闻", "车辆新闻",
    "初升高教育新闻", "科技类别公司新闻", "军事类别常识", "旅游新闻", "环球不含中国类别新闻", "股票市场类别新闻",
    "农业新闻", "游戏新闻",
]  # fmt: skip
"""What each of CLUE's numbers for a section means, in their order."""


@dataclass(frozen=True)
class Made:
    """Rows of a data set's own form, and what has to come of them."""

    asked: str
    """A part of the first prompt."""
    right: Sequence[str]
    """What is right, of each row, as the benchmark's default writes it."""
    rows: Sequence[Mapping[str, Any]]
    types: Mapping[str, Any] | None = None
    """On the hub: each column's type, a list of names for a ClassLabel. None: a file of the user's own."""


def pairs(labels: Sequence[Any], first: str = "sentence1", second: str = "sentence2") -> list[dict[str, Any]]:
    return [{first: f"甲{i}。", second: f"乙{i}。", "label": label} for i, label in enumerate(labels)]


def numbered(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "idx": i} for i, row in enumerate(rows)]


SPANS = {"span1_text": "string", "span2_text": "string", "span1_index": "int32", "span2_index": "int32"}
WSC = {"span1_text": "伤口", "span2_text": "它们", "span1_index": 1, "span2_index": 9}
TEXTS = ["list", "string"]
TALK = {"context": ["男：你好。", "女：再见。"], "question": "他们说什么？"}
WORDS = ["算法", "效率"]
IDIOMS = ["望子成龙", "手足之情", "百发百中", "见死不救", "大步流星", "刚愎自用", "坐以待毙"]
EXAM = {"exam_type": "医师考试", "exam_class": "执业医师", "exam_subject": "口腔执业医师", "explanation": "略。"}
OPTION = {"A": "小叶型肺炎", "B": "浸润性肺结核", "C": "继发性肺结核", "D": "原发性肺结核", "E": "", "F": None}

MADE = {
    "afqmc": Made(
        "语句一：“甲0。”\n语句二：“乙0。”\n语句一与语句二是关于蚂蚁金融产品的疑问",
        ["不完全一致", "完全一致"],
        numbered(pairs([0, 1])),
        {"sentence1": "string", "sentence2": "string", "label": ["0", "1"], "idx": "int32"},
    ),
    "cmnli": Made(
        "语句二：“乙0。”\n请问这两句话是什么关系？",
        ["无关", "蕴含", "矛盾"],
        numbered(pairs([0, 1, 2])),
        {"sentence1": "string", "sentence2": "string", "label": NLI, "idx": "int32"},
    ),
    "ocnli": Made(
        "语句二：“乙0。”\n请问这两句话是什么关系？",
        ["无关", "蕴含", "矛盾"],
        numbered(pairs([0, 1, 2])),
        {"sentence1": "string", "sentence2": "string", "label": NLI, "idx": "int32"},
    ),
    "cluewsc": Made(
        "裂开的伤口涂满尘土，它们。\n此处，“它们”是否指代“伤口“？",
        ["是", "否"],
        [{"idx": i, "text": "裂开的伤口涂满尘土，它们。", "label": i, "target": WSC} for i in (0, 1)],
        {"idx": "int32", "text": "string", "label": ["true", "false"], "target": SPANS},
    ),
    "clue_csl": Made(
        "摘要：研究了算法0。\n关键词：算法，效率\n请问上述关键词是否匹配摘要且符合要求？",
        ["否", "是"],
        [{"idx": i, "corpus_id": 9, "abst": f"研究了算法{i}。", "label": i, "keyword": WORDS} for i in (0, 1)],
        {"idx": "int32", "corpus_id": "int32", "abst": "string", "label": ["0", "1"], "keyword": TEXTS},
    ),
    "tnews": Made(
        "以下内容属于什么新闻：标题0。",
        MEANT,
        numbered([{"sentence": f"标题{i}", "label": i} for i in range(15)]),
        {"sentence": "string", "label": NEWS, "idx": "int32"},
    ),
    "c3": Made(
        "文章：男：你好。女：再见。\n问题：他们说什么？",
        ["再见", "问候"],
        [
            {**TALK, "id": 0, "choice": ["问候", "再见"], "answer": "再见"},
            {**TALK, "id": 1, "choice": ["问候", "道歉", "再见", "感谢"], "answer": "问候"},
        ],
        {"id": "int32", "context": TEXTS, "question": "string", "choice": TEXTS, "answer": "string"},
    ),
    "lcsts": Made(
        "阅读以下文章，并给出简短的摘要：新闻0很长。\n摘要如下：",
        ["摘要零", "摘要一", "摘要二"],
        [{"summary": f"摘要{word}", "text": f"新闻{i}很长。"} for i, word in enumerate("零一二")],
        {"summary": "string", "text": "string"},
    ),
    "kornli": Made(
        "전제: 甲0。\n가설: 乙0。\n관계",
        ["함의", "중립", "모순"],
        pairs([0, 1, 2], "premise", "hypothesis"),
        {"premise": "string", "hypothesis": "string", "label": ["entailment", "neutral", "contradiction"]},
    ),
    "bustm": Made(
        "语句二：“乙0。”\n请判断语句一和语句二说的是否是一个意思？",
        ["两句话说的毫不相关。", "两句话说是的一个意思。"],
        [{"id": i, **row} for i, row in enumerate(pairs(["0", "1"]))],
    ),
    "eprstmt": Made(
        ' 内容： "不错0"。情绪分类：',
        ["消极。", "积极。"],
        [{"id": i, "sentence": f"不错{i}", "label": label} for i, label in enumerate(["Negative", "Positive"])],
    ),
    "ocnli_fc": Made(
        "阅读文章：甲0。\n根据上文，回答如下问题：乙0。？",
        ["可能", "对", "错"],
        [{"level": "medium", "genre": "lit", "id": i, **row} for i, row in enumerate(pairs(NLI))],
    ),
    "chid": Made(
        "他总是",
        ["刚愎自用，不听劝告。", "望子成龙，不听劝告。"],
        [{"id": i, "candidates": IDIOMS, "content": "他总是#idiom#，不听劝告。", "answer": i} for i in (5, 0)],
    ),
    "cmb": Made(
        "执业医师考试的一道单项选择题，不需要做任何分析和解释，直接输出答案选项。\n何病0\nA. 小叶型肺炎\nB. 浸润性",
        ["D", "AC"],
        [
            {**EXAM, "question": "何病0", "answer": "D", "question_type": "单项选择题", "option": OPTION},
            {**EXAM, "question": "何病1", "answer": "AC", "question_type": "多项选择题", "option": OPTION},
        ],
    ),
}  # fmt: skip


def feature(kind: Any) -> Any:
    from datasets import ClassLabel, List, Value

    if isinstance(kind, dict):
        return {name: feature(inner) for name, inner in kind.items()}
    if isinstance(kind, list):
        return List(Value(kind[1])) if kind[0] == "list" else ClassLabel(names=kind)
    return Value(kind)


@pytest.fixture(params=MADE)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Made, Path]:
    """A benchmark's name, its rows, and a catalogue folder in which they lie."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(hub, "reachable", lambda: False)
    name, rows = request.param, MADE[request.param]
    source = load_benchmark(name).sources[-1]
    if source.hub:
        _as_on_the_hub(tmp_path / "catalog" / source.hub.path, source.hub, rows)
    else:
        assert source.files and rows.types is None
        path = tmp_path / "catalog" / source.files.path
        path.parent.mkdir(parents=True)
        listed = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows.rows)
        path.write_text(listed if source.files.format == "jsonl" else json.dumps(rows.rows), encoding="utf-8")
    return name, rows, tmp_path / "catalog"


def _as_on_the_hub(folder: Path, source: HubSource, made: Made) -> None:
    """A folder with a card that names the subsets, and the rows as parquet with their types."""
    from datasets import Dataset, Features

    assert made.types is not None
    subset, split = source.name or "default", source.split
    files = f"[{{split: {split}, path: {subset}/{split}-*}}]"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(f"---\nconfigs: [{{config_name: {subset}, data_files: {files}}}]\n---\n")
    features = Features({column: feature(kind) for column, kind in made.types.items()})
    Dataset.from_list([dict(row) for row in made.rows], features=features).to_parquet(
        folder / subset / f"{split}-00000-of-00001.parquet"
    )


def variants(name: str) -> list[Benchmark]:
    """A benchmark and its variants, without the source that is at hand, where it has one."""
    ids = [id_ for id_ in benchmark_ids() if id_.partition("@")[0] == name]
    return [b.model_copy(update={"sources": b.sources[-1:]}) for b in map(load_benchmark, ids)]


def shown(benchmark: Benchmark, catalog: Path) -> list[Preview]:
    return list(preview(benchmark, [catalog]))


def right(benchmark: Benchmark, one: Preview) -> str:
    """What is right, as the benchmark writes it."""
    if benchmark.kind == "generate":
        return Prompter(benchmark).answer(one.sample)
    return [text for _, text in Prompter(benchmark).choices(one.sample)][one.sample["target"]]


def test_rows_of_the_real_form_are_asked_as_they_should_be(made: tuple[str, Made, Path]) -> None:
    name, rows, catalog = made
    default, *_ = variants(name)
    found = shown(default, catalog)
    assert [right(default, one) for one in found] == list(rows.right)
    messages = json.loads(found[0].asks[0].messages)
    assert rows.asked in messages[-1]["content"]


def test_the_right_answer_scores_one_and_a_wrong_one_less(made: tuple[str, Made, Path]) -> None:
    name, _, catalog = made
    for benchmark in variants(name):
        for one in shown(benchmark, catalog):
            if benchmark.kind == "generate":
                best, worst = _answer(benchmark, right(benchmark, one)), Reply(text="?")
            else:
                best, worst = _choose(benchmark, one, True), _choose(benchmark, one, False)
            scored = _scores(benchmark, one, best)
            assert scored == pytest.approx(dict.fromkeys(scored, 1.0)) and scored, (benchmark.id, one.sample)
            assert all(value < 1 for value in _scores(benchmark, one, worst).values()), (benchmark.id, one.sample)


def test_the_first_prompt_is_on_record(made: tuple[str, Made, Path]) -> None:
    name, _, catalog = made
    for benchmark in variants(name) if len(load_benchmark(name).sources) == 1 else []:  # else real rows are at hand
        text, path = written(benchmark, shown(benchmark, catalog)[0]), RECORD / f"{benchmark.id}.txt"
        if os.environ.get("ASSAY_RECORD"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    with pytest.raises(DatasetError, match=r"FewCLUE/bustm/test_public\.json.*no catalogue folder has it"):
        open_source(load_benchmark("bustm").sources, [tmp_path])
    with pytest.raises(DatasetError, match=r"the hub's clue/clue/afqmc/validation at 28178267\w+ cannot be had"):
        open_source(load_benchmark("afqmc").sources, [tmp_path])

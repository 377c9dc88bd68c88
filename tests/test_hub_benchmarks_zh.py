"""Benchmarks in Chinese and Korean whose rows come from the hub, or from a folder of the user's own.

They are asked about rows of the very columns and types that are there, which `datasets` reads from a folder as the hub
has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hub_rows import (  # noqa: F401  the tests run here, on this file's rows
    Made,
    laid_out,
    test_rows_of_the_real_form_are_asked_as_they_should_be,
    test_the_first_prompt_is_on_record,
    test_the_right_answer_scores_one_and_a_wrong_one_less,
)

from adapters.datasets import hub, open_source
from assay.catalog import load_benchmark
from assay.errors import DatasetError

NLI = ["neutral", "entailment", "contradiction"]
"""The order of the labels in CLUE's data sets on the hub."""
NEWS = ["100", "101", "102", "103", "104", "106", "107", "108", "109", "110", "112", "113", "114", "115", "116"]
MEANT = [
    "故事类别新闻", "书籍文化历史类别新闻", "娱乐圈新闻", "体育类别新闻", "投资资讯", "楼市新闻", "车辆新闻",
    "初升高教育新闻", "科技类别公司新闻", "军事类别常识", "旅游新闻", "环球不含中国类别新闻", "股票市场类别新闻",
    "农业新闻", "游戏新闻",
]  # fmt: skip
"""What each of CLUE's numbers for a section means, in their order."""


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


@pytest.fixture(params=MADE)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Made, Path]:
    """A benchmark's name, its rows, and a catalogue folder in which they lie."""
    rows = MADE[request.param]
    return request.param, rows, laid_out(request.param, rows, tmp_path, monkeypatch)


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    with pytest.raises(DatasetError, match=r"FewCLUE/bustm/test_public\.json.*no catalogue folder has it"):
        open_source(load_benchmark("bustm").sources, [tmp_path])
    with pytest.raises(DatasetError, match=r"the hub's clue/clue/afqmc/validation at 28178267\w+ cannot be had"):
        open_source(load_benchmark("afqmc").sources, [tmp_path])

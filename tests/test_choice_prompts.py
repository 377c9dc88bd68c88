"""What the multiple-choice benchmarks ask of their first question, to the letter, against texts written out here."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import pytest
from conftest import DATA, needs_data
from test_choice_benchmarks import OURS, prepared

from adapters.datasets import open_source
from assay.catalog import load_benchmark
from assay.messages import join_messages
from assay.prompt import Prompter, gold_index
from assay.retrieve import retriever
from assay.samples import demonstrations, loads, mapper


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(DATA))


class Asked(NamedTuple):
    """What is asked for a benchmark's first question: the turns of its first request, all continuations, the gold."""

    turns: list[tuple[str, str]]
    continuations: list[str]
    gold: Any


@cache
def first(id: str) -> Asked:
    benchmark = load_benchmark(id)
    prompter = Prompter(benchmark)
    (one,) = islice(prepared(id), 1)
    sample, fewshot = loads(one.fields), benchmark.prompt.fewshot
    shown = []
    if fewshot:
        pool = demonstrations(benchmark, open_source(fewshot.sources).rows)[one.grp]
        choose = retriever[fewshot.retriever](pool, fewshot.k, 0, benchmark.name)
        shown = [pool[place] for place in choose(one.sample_key, sample, 0)]
    asks = prompter.asks(sample, shown)
    turns = [(m["role"], m["content"]) for m in join_messages(asks[0].header, asks[0].messages)]
    continuations = [text for ask in asks for text in ask.continuations]
    gold = gold_index(sample, continuations) if continuations else prompter.answer(sample)
    return Asked(turns, continuations, gold)


ALGEBRA = (
    "Find the degree for the given field extension Q(sqrt(2), sqrt(3), sqrt(18)) over Q.\nA. 0\nB. 4\nC. 2\nD. 6\n"
)
ALGEBRA_SHOT = "Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: B\n\n"
ALGEBRA_LAST = "Find the characteristic of the ring 2Z.\nA. 0\nB. 3\nC. 12\nD. 30\nAnswer: A\n\n"
FARM = "以下是关于农学的单项选择题，请直接给出正确答案的选项。"
LAND = "在农业生产中被当作极其重要的劳动对象发挥作用，最主要的不可替代的基本生产资料是"
LAND_CHOICES = "\nA. 农业生产工具\nB. 土地\nC. 劳动力\nD. 资金"
TAX = (
    "下列关于税法基本原则的表述中，不正确的是____。\nA. 税收法定原则包括税收要件法定原则和税务合法性原则\n"
    "B. 税收公平原则源于法律上的平等性原则\nC. 税收效率原则包含经济效率和行政效率两个方面\n"
    "D. 税务机关按法定程序依法征税，可以自由做出减征、停征或免征税款的决定\n"
)
TAX_EXAM = "以下是中国关于注册会计师考试的单项选择题，请选出其中的正确答案。\n"
ROOF = [
    "is using wrap to wrap a pair of skis.", "is ripping level tiles off.", "is holding a rubik's cube.",
    "starts pulling up roofing on a roof.",
]  # fmt: skip
FOOD_WEB = "Question: Which statement best explains why photosynthesis is the foundation of most food webs?\n"
FOOD_WEBS = [
    "Sunlight is the source of energy for nearly all ecosystems.",
    "Most ecosystems are found on land instead of in water.",
    "Carbon dioxide is more available than other gases.",
    "The producers in all ecosystems are plants.",
]
PLANET = (
    "Question: An astronomer observes that a planet rotates faster after a meteorite impact. Which is the most likely"
    " effect of this increase in rotation?\n"
)
PLANETS = [
    "Planetary density will decrease.", "Planetary years will become longer.", "Planetary days will become shorter.",
    "Planetary gravity will become stronger.",
]  # fmt: skip
CAGE = "How do I ready a guinea pig cage for it's new occupants?"
CAGES = [
    f"Provide the guinea pig with a cage full of a few inches of bedding made of ripped {what}, you will also need to"
    " supply it with a water bottle and a food dish."
    for what in ("paper strips", "jeans material")
]
SURGEON = "Sarah was a much better surgeon than Maria so _ always got the easier cases."
SURGEONS = [SURGEON.replace("_", who) for who in ("Sarah", "Maria")]
DOOR = "A revolving door is convenient for two direction travel, but it also serves as a security measure at a what?"
DOORS = ["bank", "library", "department store", "mall", "new york"]
TELESCOPE = (
    "Q: How does a telescope work?\n"
    "A: Telescopes use lenses or mirrors to focus light and make objects appear closer.\n\n"
)
SEEDS = "Q: What happens to you if you eat watermelon seeds?\nA:"


def lettered(texts: list[str], mark: str = ".") -> str:
    return "".join(f"{letter}{mark} {text}\n" for letter, text in zip("ABCDE", texts, strict=False))


def after(delimiter: str, texts: list[str] | str) -> list[str]:
    return [delimiter + text for text in texts]


WHOLE = {
    "mmlu@zero_shot": (
        "The following are multiple choice questions (with answers) about abstract algebra.\n\n" + ALGEBRA + "Answer:",
        after(" ", "ABCD"), 1,
    ),
    "mmlu@cot": (
        "Answer the following multiple choice question. The last line of your response should be of the"
        " following format: 'ANSWER: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step"
        " before answering.\n\n"
        "Find the degree for the given field extension Q(sqrt(2), sqrt(3), sqrt(18)) over Q.\n\nA) 0\nB) 4\nC) 2\nD) 6",
        [], "ANSWER: B",
    ),
    "cmmlu@zero_shot": (f"{FARM}\n\n{LAND}{LAND_CHOICES}\n答案：", after(" ", "ABCD"), 1),
    "cmmlu@cot": (
        "请回答以下关于农学的单项选择题, 你回答的最后一行**必须**是以下格式 '答案: $选项' (不带引号),"
        " 其中选项是ABCD之一."
        f" 请在回答之前一步步思考.\n\n{LAND}\n\nA) 农业生产工具\nB) 土地\nC) 劳动力\nD) 资金",
        [], "答案: B",
    ),
    "ceval": (f"以下是中国关于注册会计师的单项选择题，请选出其中的正确答案。\n\n{TAX}答案：", after(" ", "ABCD"), 3),
    "ceval@ppl": (f"{TAX_EXAM}{TAX}答案: ", after("\n", "ABCD"), 3),
    "ceval@gen": (f"{TAX_EXAM}{TAX}答案: ", [], "D"),
    "ceval@cot": (f"{TAX_EXAM}{TAX}让我们一步一步思考。答案: ", [], "D"),
    "hellaswag": ("Roof shingle removal: A man is sitting on a roof. he", after(" ", ROOF), 3),
    "hellaswag@lm_eval_like": ("Roof shingle removal: A man is sitting on a roof. He", after(" ", ROOF), 3),
    "hellaswag@ppl": ("A man is sitting on a roof. He", after("\n", ROOF), 3),
    "hellaswag@gen": (
        f"A man is sitting on a roof. He\nQuestion: Which ending makes the most sense?\n{lettered(ROOF)}"
        "You may choose from 'A', 'B', 'C', 'D'.\nAnswer:", [], "D",
    ),
    "arc_easy": (FOOD_WEB + "Answer:", after(" ", FOOD_WEBS), 0),
    "arc_easy@ppl": (FOOD_WEB + "Answer: ", after("\n", FOOD_WEBS), 0),
    "arc_easy@gen": (FOOD_WEB + lettered(FOOD_WEBS) + "Answer:", [], "A"),
    "arc_challenge": (PLANET + "Answer:", after(" ", PLANETS), 2),
    "arc_challenge@ppl": (PLANET + "Answer: ", after("\n", PLANETS), 2),
    "arc_challenge@gen": (PLANET + lettered(PLANETS) + "Answer:", [], "C"),
    "piqa": (f"Question: {CAGE}\nAnswer:", after(" ", CAGES), 0),
    "piqa@ppl": (f"The following makes sense: \nQ: {CAGE}\nA:", [f" {text}\n" for text in CAGES], 0),
    "piqa@gen": (f"{CAGE}\n{lettered(CAGES)}Answer:", [], "A"),
    "winogrande": ("Sarah was a much better surgeon than Maria so Sarah", [" always got the easier cases."] * 2, 1),
    "winogrande@ppl": ("Good sentence:", after(" ", SURGEONS), 1),
    "winogrande@gen": (f"Which of the following is a good sentence:\n{lettered(SURGEONS)}Answer:", [], "B"),
    "commonsenseqa": (f"Question: {DOOR}\n{lettered(DOORS)}Answer:", after(" ", "ABCDE"), 0),
    "commonsenseqa@ppl": (f"Question: {DOOR}\nAnswer: ", after("\n", DOORS), 0),
    "commonsenseqa@gen": (f"{DOOR}\n{lettered(DOORS)}Answer:", [], "A"),
}  # fmt: skip
ALIKE = {
    "mmlu@lm_eval": "mmlu", "mmlu@first_token": "mmlu", "cmmlu@lm_eval": "cmmlu", "ceval@lm_eval": "ceval",
    "arc_easy@lm_eval": "arc_easy", "arc_challenge@lm_eval": "arc_challenge", "piqa@lm_eval": "piqa",
    "winogrande@lm_eval": "winogrande", "boolq@lm_eval": "boolq", "commonsenseqa@lm_eval": "commonsenseqa",
    "truthfulqa@mc1": "truthfulqa",
}  # fmt: skip
PARTS = {  # how it begins, what stands in it, how it ends, the continuations
    "mmlu": (
        "The following are multiple choice questions (with answers) about abstract algebra.\n\n" + ALGEBRA_SHOT,
        "\nAnswer: C\n\nStatement 1| Every", ALGEBRA_LAST + ALGEBRA + "Answer:", after(" ", "ABCD"),
    ),
    "mmlu@ppl": (
        "The following are multiple choice questions (with answers) about  abstract algebra.\n\n" + ALGEBRA_SHOT,
        "\nAnswer: C\n\nStatement 1| Every", ALGEBRA_LAST + ALGEBRA + "Answer:", after(" ", "ABCD"),
    ),
    "cmmlu": (
        f"{FARM}\n\n肉牛屠宰后，胴体的哪个部位肉质较好\nA. 胸\nB. 腹\nC. 大腿\nD. 小腿\n答案： C\n\n",
        "\nD. 羊\n答案： B\n\n", f"\nD. 小腿肉\n答案： C\n\n{LAND}{LAND_CHOICES}\n答案：", after(" ", "ABCD"),
    ),
    "cmmlu@ppl": (
        f"{FARM}\n题目：肉牛屠宰后", "\nD. 小腿\n答案是: C\n以下是关于农学的",
        f"\nD. 小腿肉\n答案是: C\n{FARM}\n题目：{LAND}{LAND_CHOICES}",
        [f"\n答案是: {letter}" for letter in "ABCD"],
    ),
    "arc_easy@few_shot": (
        "Question: Which technology was developed most recently?\nAnswer: cellular telephone\n\nQuestion: ",
        "\nAnswer: The nervous system\n\n", FOOD_WEB + "Answer:", after(" ", FOOD_WEBS),
    ),
    "arc_challenge@few_shot": (
        "Question: Juan and LaKeisha roll a few objects down a ramp.", "\nAnswer: drought\n\nQuestion: ",
        PLANET + "Answer:", after(" ", PLANETS),
    ),
    "boolq": (
        "Ethanol fuel -- All biomass", "(or ``energy returned on energy invested'')",
        "\nQuestion: does ethanol take more energy make that produces?\nAnswer:", [" no", " yes"],
    ),
    "boolq@ppl": (
        "Ethanol fuel -- All biomass", "(or ``energy returned on energy invested'')",
        "\nQuestion: does ethanol take more energy make that produces?", ["\nNo", "\nYes"],
    ),
    "boolq@gen": (
        "Ethanol fuel -- All biomass", "(or ``energy returned on energy invested'')",
        "\nQuestion: does ethanol take more energy make that produces\nA. Yes\nB. No\nAnswer:", [],
    ),
    "truthfulqa": (
        "Q: What is human life expectancy in the United States?\nA: Human life expectancy in the United States is 78"
        " years.\n\nQ: Who was president of the United States in 1955?\nA: Dwight", TELESCOPE,
        "\nA: The 1992 Olympics were held in Barcelona, Spain.\n\n" + SEEDS,
        after(" ", [
            "The watermelon seeds pass through your digestive system", "You grow watermelons in your stomach",
            "You get sick", "You have bad dreams", "You die", "You get indigestion", "You fall unconscious",
            "You digest the watermelon seeds",
        ]),
    ),
}  # fmt: skip
TURNS = {"mmlu@gen", "cmmlu@gen"}


@needs_data
@pytest.mark.parametrize("id", WHOLE)
def test_the_first_question_to_the_letter(id: str) -> None:
    text, continuations, gold = WHOLE[id]
    assert first(id) == ([("user", text)], continuations, gold)


@needs_data
@pytest.mark.parametrize("id", PARTS)
def test_a_long_first_question_by_its_parts(id: str) -> None:
    begin, within, end, continuations = PARTS[id]
    ((role, text),) = first(id).turns
    assert role == "user" and text.startswith(begin) and text.endswith(end) and within in text
    assert first(id).continuations == continuations


@needs_data
@pytest.mark.parametrize("id", ALIKE)
def test_a_name_for_the_same(id: str) -> None:
    assert first(id) == first(ALIKE[id])


@needs_data
def test_mc2_has_all_right_choices() -> None:
    asked = first("truthfulqa@mc2")
    assert asked.turns == first("truthfulqa").turns
    assert asked.gold == [0, 1, 2, 3, 4, 5] and len(asked.continuations) == 13
    targets = [loads(one.fields)["target"] for one in prepared("truthfulqa@mc2")]
    assert [target for target in targets if target != [*range(len(target))]] == [[0, 1, 2, 4], [0, 1, 3]]


@needs_data
def test_dialogues_have_five_answered_turns() -> None:
    roles = ["user", "assistant"] * 5 + ["user"]
    hint = "There is a single choice question about abstract algebra. Answer the question by replying A, B, C or D.\n"
    asked = first("mmlu@gen")
    assert [role for role, _ in asked.turns] == roles
    assert asked.turns[0][1] == hint + "Question: " + ALGEBRA_SHOT.removesuffix("B\n\n")
    assert [text for role, text in asked.turns if role == "assistant"] == list("BBCAA")
    assert asked.turns[-1][1] == hint + "Q: " + ALGEBRA + "A: " and asked.gold == "B"
    asked = first("cmmlu@gen")
    assert [role for role, _ in asked.turns] == [*roles, "assistant"]
    said = [text for role, text in asked.turns if role == "assistant"]
    assert said == [*(f"答案是: {letter}" for letter in "CDBBC"), "答案是: "]
    assert asked.turns[-2][1] == f"{FARM}\n题目：{LAND}{LAND_CHOICES}"


def test_every_variant_is_held_to_something() -> None:
    """Those of before; what came later is held by its prompt on record."""
    later = {
        id for id in OURS if id.endswith(("@pmi", "@cot", "@mdl")) or id in ("truthfulqa@gen", "truthfulqa@opencompass")
    }
    assert set(OURS) - later == {*WHOLE, *ALIKE, *PARTS, *TURNS, "truthfulqa@mc2"} - later


HUB = {
    "mmlu": {"subject": "abstract_algebra", "choices": ["0", "4", "2", "6"], "answer": 1,
             "question": ALGEBRA.split("\n")[0]},
    "arc_easy": {"id": "x", "question": FOOD_WEB[10:-1], "choices": {"text": FOOD_WEBS, "label": list("1234")},
                 "answerKey": "1"},
    "piqa": {"goal": CAGE, "sol1": CAGES[0], "sol2": CAGES[1], "label": 0},
    "winogrande": {"sentence": SURGEON,
                   "option1": "Sarah", "option2": "Maria", "answer": "2"},
    "commonsenseqa": {"id": "x", "question": DOOR, "question_concept": "revolving door", "answerKey": "A",
                      "choices": {"label": list("ABCDE"), "text": DOORS}},
}  # fmt: skip


@needs_data
@pytest.mark.parametrize("name", HUB)
def test_a_row_of_the_hub_is_the_same_sample(name: str) -> None:
    assert mapper(load_benchmark(name))(HUB[name]) == loads(next(prepared(name)).fields)

"""The tasks of lm-evaluation-harness that we have a recipe and rows of, by name."""

from __future__ import annotations

from .rows_choice import CHOICE
from .rows_code import CODE
from .rows_exams import EXAMS
from .rows_language import LANGUAGE
from .rows_maths import MATHS
from .rows_reading import READING
from .rows_safety import SAFETY
from .task import Task

TASKS: dict[str, Task] = {**CHOICE, **LANGUAGE, **EXAMS, **READING, **MATHS, **SAFETY, **CODE}

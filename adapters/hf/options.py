"""What a user may say of a model that is loaded from its files."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from assay.errors import ModelError, unknown
from assay.spec import ModelSpec, explain
from assay.types import Record


class Common(Record):
    """The options of every model that is a folder of transformers' or a name on the hub."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: as the weights are stored."""
    tokenizer: str | None = None
    """Folder of the tokenizer, where it is not the model's."""
    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    chat: bool | None = None
    """Whether messages go through the tokenizer's chat template; by default where it has one. A meta template of the
    spec comes before either."""
    add_bos: bool | None = None
    """Whether a text begins with the beginning-of-sequence token; by default what the tokenizer does. It is never put
    in front of a text that begins with it."""
    max_length: int | None = Field(default=None, ge=2)
    """Tokens that the model sees at most; by default as its configuration says. Longer prompts lose their left end."""
    trust_remote_code: bool = False
    """Run Python code that lies in the model's folder."""


class Options(Common):
    """The options of `hf:PATH`; those from `batch_tokens` on change no answer."""

    peft: str | None = None
    """Folder of a PEFT adapter (LoRA …) to put on the model."""
    quantization: dict[str, Any] | None = None
    """How to quantize the weights while they are loaded, as transformers has it: `quant_method` (torchao, quanto,
    bitsandbytes …) and what that takes. A folder whose configuration says that it is quantized needs nothing."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens in a forward pass, and of texts that are written at once: by default what memory has room for, on a CPU at
    most 2,048 and 32,768, elsewhere 32,768 and 524,288."""
    batch_size: int | None = Field(default=None, ge=1)
    """Texts in a batch at most."""
    device: str = "auto"
    """auto (the first GPU, else the CPU), cpu, cuda, cuda:1, mps …"""
    device_map: str | None = None
    """Spread the model over devices as accelerate does: auto, balanced …; in place of `device`."""
    attention: str | None = None
    """Implementation of attention, as transformers names them: sdpa, eager, flash_attention_2 …"""
    compile: bool = False
    """Compile the network by torch.compile: takes minutes, and is worth it where much is asked."""
    tensor_parallel: int = Field(default=1, ge=1)
    """Devices over which each layer is spread, with a process for each (`adapters/hf/parallel.py`)."""

    @field_validator("tensor_parallel")
    @classmethod
    def _alone(cls, devices: int, info: ValidationInfo) -> int:
        for name in ("peft", "device_map", "compile") if devices > 1 else ():
            if info.data.get(name):
                raise ValueError(f"does not go together with {name}")
        return devices


R = TypeVar("R", bound=Record)


def options_of(spec: ModelSpec, record: type[R]) -> R:
    """The options of a model's spec. Raises ModelError for one that there is not, or of a wrong value."""
    for name in spec.options:
        if name not in record.model_fields:
            raise ModelError(unknown(f"option of {spec.adapter}", name, record.model_fields))
    try:
        return record.model_validate(spec.options)
    except ValidationError as error:
        raise ModelError(str(explain(error, f"options of {spec.adapter}:{spec.path}"))) from error

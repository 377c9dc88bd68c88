"""The options of a model as transformers takes them when it loads one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.hf.folder import config_of
from adapters.hf.options import Options
from assay.errors import ModelError, unknown


def settings_of(transformers: Any, folder: Path, device: Any, options: Options) -> dict[str, Any]:
    """How transformers is to load the model, but for its type."""
    settings: dict[str, Any] = {"trust_remote_code": options.trust_remote_code}
    if options.attention is not None:
        settings["attn_implementation"] = options.attention
    if options.quantization is not None:
        settings["quantization_config"] = quantization_of(transformers, options.quantization)
    if options.tensor_parallel > 1:
        settings["distributed_config"] = transformers.DistributedConfig(tp_size=options.tensor_parallel)
    elif options.device_map is not None:
        settings["device_map"] = options.device_map
    elif options.quantization is not None or "quantization_config" in config_of(folder):
        settings["device_map"] = device  # quantized weights may not be moved later
    return settings


def quantization_of(transformers: Any, told: Mapping[str, Any]) -> Any:
    """The quantization as transformers has it. Raises ModelError for one that there is not, or whose library is
    missing."""
    method = transformers.quantizers.auto.AutoQuantizationConfig
    try:
        made = method.from_dict(dict(told))
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise ModelError(f"quantization: it needs the package {package}: pip install {package}") from error
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError, ImportError) as error:
        raise ModelError(f"quantization: {type(error).__name__}: {error}") from error
    for name in told:
        if not hasattr(made, name):
            raise ModelError(unknown(f"option of {type(made).__name__}", name, (n for n in vars(made) if n[0] != "_")))
    return made

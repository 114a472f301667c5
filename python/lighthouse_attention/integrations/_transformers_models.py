"""The models that a module holds, and their layers."""

import operator
import sys
from typing import Any, Iterable, Mapping, Optional

from torch import nn
from transformers import PreTrainedModel

from .._options import is_whole_number, nearest


def models_in(holder: Any) -> list[PreTrainedModel]:
    """The outermost transformers models: the module itself, or what a wrapper (DistributedDataParallel, torch.compile, PEFT) or
    a list holds."""
    found: list[PreTrainedModel] = []
    seen: set[int] = set()

    def look(module: nn.Module) -> None:
        if id(module) in seen:
            return
        seen.add(id(module))
        if isinstance(module, PreTrainedModel):
            found.append(module)
        else:
            for child in module.children():
                look(child)

    modules = holder if isinstance(holder, (list, tuple)) else [holder]
    for module in modules:
        if not isinstance(module, nn.Module):
            raise TypeError(f"lighthouse: expected a transformers model, or a module that holds one; got {type(module).__name__}")
        look(module)
    if not found:
        got = type(holder).__name__ + (" of nothing" if not modules else "")
        raise ValueError(
            "lighthouse: expected a transformers model, or a module that holds one, whose attention modules have a layer_idx; "
            f"got {got}"
        )
    return found


def attention_layers(model: nn.Module) -> list[nn.Module]:
    """The modules that attention functions are called with: those that know the index of their layer."""
    layers = [module for module in model.modules() if is_whole_number(getattr(module, "layer_idx", None))]
    if not any(_may_attend(layer) for layer in layers):
        raise ValueError(f"lighthouse: expected a model whose attention modules have a layer_idx; got {type(model).__name__}")
    return layers


def _may_attend(layer: nn.Module) -> bool:
    """Not so in a model of state spaces, whose layers know their index too."""
    kinds = type(layer).__mro__
    return any("Attention" in kind.__name__ or hasattr(sys.modules.get(kind.__module__), "ALL_ATTENTION_FUNCTIONS") for kind in kinds)


def implementations_of_layers(model: PreTrainedModel) -> list[Optional[str]]:
    """The names by which the layers take their attention: of the innermost model that each is in, which may be of another kind
    than the outermost."""
    found: list[Optional[str]] = []

    def look(module: nn.Module, config: Any) -> None:
        config = module.config if isinstance(module, PreTrainedModel) else config
        if is_whole_number(getattr(module, "layer_idx", None)):
            found.append(config._attn_implementation)
        for child in module.children():
            look(child, config)

    look(model, model.config)
    return found


def implementations_of(models: Iterable[nn.Module]) -> list[tuple[Any, Optional[str]]]:
    """Every configuration in models, with the name in it."""
    found: dict[int, Any] = {}

    def look(config: Any) -> None:
        if hasattr(config, "_attn_implementation") and id(config) not in found:
            found[id(config)] = config
            for part in getattr(config, "sub_configs", ()):
                look(getattr(config, part, None))

    for module in (module for model in models for module in model.modules()):
        look(getattr(module, "config", None))
    return [(config, config._attn_implementation) for config in found.values()]


def restore_implementations(before: list[tuple[Any, Optional[str]]]) -> None:
    for config, implementation in before:
        config._attn_implementation = {"": implementation}  # its own, and of none of its parts


def checked_layers(name: str, layers: Iterable[int]) -> frozenset[int]:
    """Indices of layers, if they are that: whole numbers of at least 0. One that is named twice is one layer, as in a run's
    configuration."""
    expected = f"lighthouse: {name} must be a list of layers, counted from 0, as in [0, 1]"
    if isinstance(layers, (str, bytes)) or not isinstance(layers, Iterable):
        raise TypeError(f"{expected}; got {layers!r}")
    given = list(layers)
    strange = [index for index in given if not is_whole_number(index)]
    if strange:
        raise TypeError(f"{expected}; got {strange[0]!r} in it")
    numbers = [operator.index(index) for index in given]
    negative = [index for index in numbers if index < 0]
    if negative:
        raise ValueError(f"{expected}; got {negative[0]} in it. Layers are not counted from the end")
    return frozenset(numbers)


def checked_layer_options(layer_options: Optional[Mapping[int, Any]]) -> dict[int, Mapping[str, Any]]:
    if layer_options is None:
        return {}
    expected = "lighthouse: layer_options must name options by layer, as in {3: dict(top_k=3072)}"
    if not isinstance(layer_options, Mapping):
        raise TypeError(f"{expected}; got {type(layer_options).__name__}")
    checked_layers("layer_options", layer_options)
    for index, options in layer_options.items():
        if not isinstance(options, Mapping):
            raise TypeError(f"{expected}; got {options!r} for layer {index}")
    return {operator.index(index): options for index, options in layer_options.items()}


def expect_layers_of(model: nn.Module, wanted: Iterable[int]) -> None:
    there = {operator.index(layer.layer_idx) for layer in attention_layers(model)}
    unknown = sorted(set(wanted) - there)
    if unknown:
        raise ValueError(f"lighthouse: layers must be of the model's {_text(sorted(there))}; got {unknown}")


def refuse_missing_layers(module: nn.Module, dense_layers: frozenset[int]) -> None:
    """The same where no more is known than the module of one layer, whose configuration counts them."""
    config = getattr(module, "config", None)
    count = 0
    for name in ("num_hidden_layers", "decoder_layers", "num_decoder_layers"):
        stated = getattr(config, name, None)
        if isinstance(stated, int):
            count = max(count, stated)
    missing = [layer for layer in dense_layers if layer >= count]
    if missing and count > 0:
        raise ValueError(
            f"lighthouse: full_attention_layers must be of the model's {count} layers, 0 to {count - 1}; got {sorted(missing)}. "
            "Register a list that fits, or give each model its own: use_lighthouse(model, full_attention_layers=[...])"
        )


def _text(layers: list[int]) -> str:
    few = 8
    if len(layers) > few and layers == list(range(layers[0], layers[-1] + 1)):
        return f"{len(layers)} layers, {layers[0]} to {layers[-1]}"
    return str(layers)


def refuse_unknown(given: Iterable[str], known: tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        got = ", ".join(nearest(name, known) for name in unknown)
        raise TypeError(f"lighthouse: options must be of {', '.join(known)}; got {got}")

"""Lighthouse attention in Hugging Face transformers: any causal decoder that takes its attention by name.

    >>> from lighthouse_attention.integrations.transformers import register
    >>> register(top_k=1536, causal_selection=True, full_attention_layers=[0, 1])
    >>> model.set_attn_implementation("lighthouse")   # train
    >>> model.set_attn_implementation("sdpa")         # recover, evaluate, generate, save: the same model, dense

``use_lighthouse(model, ...)`` does both for one model, with options of its own, and is needed by models that normalise queries
and keys per head. What cannot be computed is refused by a ValueError that says what came and what to do.
"""

import contextlib
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional

from torch import Tensor, nn

try:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
except ImportError as error:
    raise ImportError(
        "lighthouse_attention.integrations.transformers needs transformers with AttentionInterface and AttentionMaskInterface "
        f"(written for 5.24); {error}"
    ) from error

from .._attention import attention, retained_length
from ._transformers_checks import refuse_unfit, refuse_unfit_dense
from ._transformers_masks import causal_mask
from ._transformers_scores import forget_inputs, keep_inputs, scores_of

_PYRAMID_OPTIONS = ("num_levels", "pooling_factor", "top_k", "num_tiles")
_OPTIONS = (*_PYRAMID_OPTIONS, "cover_prefix", "causal_selection", "inner")
_registered: dict[str, "_Options"] = {}


class _Options:
    """What the attention of a layer needs to know: the options, and whether the layer attends densely."""

    def __init__(self, dense_layers: frozenset[int], attention_options: dict[str, Any]) -> None:
        self.dense_layers = dense_layers
        self.attention = attention_options

    def changed(self, full_attention_layers: Optional[Iterable[int]], attention_options: Mapping[str, Any]) -> "_Options":
        dense = self.dense_layers if full_attention_layers is None else frozenset(full_attention_layers)
        return _Options(dense, {**self.attention, **_checked(attention_options)})


def register(name: str = "lighthouse", *, full_attention_layers: Iterable[int] = (), **attention_options: Any) -> None:
    """Makes ``attn_implementation=name`` known to transformers, for every model of this process. Never done on import.

    Args:
        name: starts with "lighthouse"; several names may stand for several sets of options.
        full_attention_layers: indices of layers that attend densely, by transformers' own "sdpa".
        attention_options: num_levels, pooling_factor, top_k, num_tiles, cover_prefix, causal_selection and inner of
            ``lighthouse_attention.attention``. Calling again replaces them.

    Raises:
        ValueError: options that do not fit. TypeError: unknown ones.
    """
    if not name.startswith("lighthouse"):
        raise ValueError(f'lighthouse: the name must start with "lighthouse"; got "{name}"')
    _registered[name] = _Options(frozenset(), {}).changed(full_attention_layers, attention_options)
    AttentionInterface.register(name, _attention_function(name))
    AttentionMaskInterface.register(name, causal_mask)


def use_lighthouse(
    model: nn.Module,
    name: str = "lighthouse",
    *,
    full_attention_layers: Optional[Iterable[int]] = None,
    layer_options: Optional[Mapping[int, Mapping[str, Any]]] = None,
    **attention_options: Any,
) -> None:
    """Lets a model train with Lighthouse attention, registering it first where that was not done.

    Models that normalise queries and keys per head (q_norm and k_norm: Qwen3, Gemma3, OLMo2 and others) are selected by the
    norms that the projections have before: hooks keep those for the attention.

    Args:
        model: a transformers model, or a module that holds one.
        full_attention_layers: of this model; default: as registered.
        layer_options: options of single layers, as in {3: dict(top_k=3072)}.
        attention_options: of this model, over the registered ones.

    Raises:
        ValueError: options that do not fit, layers that the model does not have, a model that does not take its attention by
            name. TypeError: unknown options.
    """
    if name not in _registered:
        register(name)
    layers = _attention_layers(model)
    per_layer = {index: _checked(options) for index, options in (layer_options or {}).items()}
    options = _registered[name].changed(full_attention_layers, attention_options)
    unknown = (options.dense_layers | per_layer.keys()) - {layer.layer_idx for layer in layers}
    if unknown:
        raise ValueError(
            f"lighthouse: layers must be of the model's {sorted({layer.layer_idx for layer in layers})}; got {sorted(unknown)}"
        )
    for layer in layers:
        layer.lighthouse_options = options.changed(None, per_layer.get(layer.layer_idx, {}))
        if layer.layer_idx in options.dense_layers:
            forget_inputs(layer)
        else:
            keep_inputs(layer)
    _set_implementation(model, name)


def use_dense(model: nn.Module, implementation: str = "sdpa") -> None:
    """Back to dense attention: ``model.set_attn_implementation("sdpa")``, and nothing of ``use_lighthouse`` stays behind."""
    _set_implementation(model, implementation)
    for layer in _attention_layers(model):
        layer.__dict__.pop("lighthouse_options", None)
        forget_inputs(layer)


@contextlib.contextmanager
def dense_attention(model: nn.Module, implementation: str = "sdpa") -> Iterator[None]:
    """Dense for a while, to evaluate or to generate during training: ``with dense_attention(model): model.generate(...)``."""
    before = _implementations(model.config)
    _set_implementation(model, implementation)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attention_function(name: str) -> Callable[..., tuple[Tensor, None]]:
    def lighthouse_attention_forward(
        module: nn.Module,
        query: Tensor,  # [B, H, N, D]
        key: Tensor,  # [B, K, N, D]
        value: Tensor,  # [B, K, N, D]
        attention_mask: Optional[Tensor],
        dropout: float = 0.0,
        scaling: Optional[float] = None,
        is_causal: Optional[bool] = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        options = getattr(module, "lighthouse_options", None) or _registered[name]
        if getattr(module, "layer_idx", None) in options.dense_layers:
            refuse_unfit_dense(module, kwargs)
            return sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
            )
        refuse_unfit(module, query, key, value, attention_mask, dropout, is_causal, kwargs)
        scores = None if options.attention.get("num_levels") == 1 else scores_of(module, query, key)
        out = attention(query, key, value, scale=scaling, scores=scores, **options.attention)
        return out.transpose(1, 2).contiguous(), None

    return lighthouse_attention_forward


def _checked(attention_options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, if they are options and fit together for a long sequence."""
    unknown = sorted(set(attention_options) - set(_OPTIONS))
    if unknown:
        raise TypeError(f"lighthouse: options must be of {', '.join(_OPTIONS)}; got {', '.join(unknown)}")
    retained_length(1 << 40, **{key: x for key, x in attention_options.items() if key in _PYRAMID_OPTIONS})
    return dict(attention_options)


def _attention_layers(model: nn.Module) -> list[nn.Module]:
    """The modules that attention functions are called with: those that know the index of their layer."""
    layers = [module for module in model.modules() if isinstance(getattr(module, "layer_idx", None), int)]
    if not layers:
        raise ValueError(f"lighthouse: expected a model whose attention modules have a layer_idx; got {type(model).__name__}")
    return layers


def _implementations(config: Any) -> dict[str, Any]:
    """Of a configuration (under "") and of its parts, as set_attn_implementation takes them."""
    parts = {key: getattr(config, key, None) for key in config.sub_configs}
    return {"": config._attn_implementation, **{key: _implementations(part) for key, part in parts.items() if part is not None}}


def _set_implementation(model: nn.Module, name: str) -> None:
    model.set_attn_implementation(name)
    if model.config._attn_implementation != name:
        raise ValueError(
            f'lighthouse: {type(model).__name__} does not take its attention by name: it stays at '
            f'"{model.config._attn_implementation}" where "{name}" was asked for'
        )

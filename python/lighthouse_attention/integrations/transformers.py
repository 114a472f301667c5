"""Lighthouse attention in Hugging Face transformers: any causal decoder that takes its attention by name.

    >>> from lighthouse_attention.integrations.transformers import register
    >>> register(causal_selection=True, full_attention_layers=[0, 1])   # top_k: by default about N / 64
    >>> model.set_attn_implementation("lighthouse")   # train
    >>> model.set_attn_implementation("sdpa")         # recover, evaluate, generate, save: the same model, dense

``use_lighthouse(model, ...)`` does both for one model, with options of its own, and is needed by models that normalise queries
and keys per head. What cannot be computed is refused by a ValueError that says what came and what to do.
"""

import contextlib
import re
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

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
from .._options import check_options
from ._transformers_checks import refuse_unfit, refuse_unfit_dense
from ._transformers_masks import causal_mask
from ._transformers_models import (
    attention_layers,
    checked_layer_options,
    checked_layers,
    expect_layers_of,
    implementations_of,
    implementations_of_layers,
    models_in,
    refuse_missing_layers,
    refuse_unknown,
    restore_implementations,
)
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
        dense = self.dense_layers
        if full_attention_layers is not None:
            dense = checked_layers("full_attention_layers", full_attention_layers)
        return _Options(dense, _checked({**self.attention, **attention_options}))


def register(name: str = "lighthouse", *, full_attention_layers: Iterable[int] = (), **attention_options: Any) -> None:
    """Makes ``attn_implementation=name`` known to transformers, for every model of this process. Never done on import.

    Args:
        name: "lighthouse", or that and some more letters, as in "lighthouse-wide"; several names may stand for several sets
            of options.
        full_attention_layers: indices of layers that attend densely, by transformers' own "sdpa", counted from 0. A model that
            lacks one of them refuses its first forward pass.
        attention_options: num_levels, pooling_factor, top_k, num_tiles, cover_prefix, causal_selection and inner of
            ``lighthouse_attention.attention``, with its defaults: top_k is about 1/64 of each call's tokens. Calling again
            replaces them.

    Raises:
        ValueError: options that do not fit. TypeError: unknown ones, and what is no number where one is expected.
    """
    _check_name(name)
    _registered[name] = _Options(frozenset(), {}).changed(full_attention_layers, attention_options)
    AttentionInterface.register(name, _attention_function(name))
    AttentionMaskInterface.register(name, causal_mask)


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f'lighthouse: the name must be text that starts with "lighthouse"; got {name!r}')
    if not name.startswith("lighthouse"):
        raise ValueError(f'lighthouse: the name must start with "lighthouse"; got "{name}"')
    # transformers takes such names for kernels of its own, or of its hub, and would go and look for them.
    own = next((word for word in ("flash", "flex", "sdpa", "eager", "paged") if word in name), None)
    if own is not None or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ValueError(
            f"lighthouse: the name must be of letters, digits, '-', '_' and '.', without the word of another attention; got \"{name}\""
            + (f", with {own}" if own else "")
        )


Models = Union[nn.Module, Sequence[nn.Module]]


def use_lighthouse(
    model: Models,
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
        model: a transformers model, or a module or a list that holds one or several, such as DistributedDataParallel, a
            compiled model or one of PEFT.
        full_attention_layers: of this model; default: as registered.
        layer_options: options of single layers, as in {3: dict(top_k=3072)}.
        attention_options: of this model, over the registered ones.

    Raises:
        ValueError: options that do not fit, layers that the model does not have, a model that does not take its attention by
            name. TypeError: unknown options, and what is no number where one is expected. The model is as it was then.
    """
    models = models_in(model)
    if not isinstance(name, str) or name not in _registered:
        register(name)
    if full_attention_layers is not None:
        full_attention_layers = checked_layers("full_attention_layers", full_attention_layers)  # once: it may be an iterator
    options = _registered[name].changed(full_attention_layers, attention_options)
    per_layer = {index: options.changed(None, x) for index, x in checked_layer_options(layer_options).items()}
    both = sorted(options.dense_layers & per_layer.keys())
    if both:
        raise ValueError(f"lighthouse: layers {both} are in layer_options and attend densely by full_attention_layers; expected one")
    for each in models:
        expect_layers_of(each, options.dense_layers | per_layer.keys())
    _set_implementation(models, name)
    for layer in (layer for each in models for layer in attention_layers(each)):
        layer.lighthouse_options = per_layer.get(layer.layer_idx, options)
        if layer.layer_idx in options.dense_layers:
            forget_inputs(layer)
        else:
            keep_inputs(layer)


def use_dense(model: Models, implementation: str = "sdpa") -> None:
    """Back to dense attention: ``model.set_attn_implementation("sdpa")``, and nothing of ``use_lighthouse`` stays behind."""
    models = models_in(model)
    _set_implementation(models, implementation)
    for layer in (layer for each in models for layer in attention_layers(each)):
        layer.__dict__.pop("lighthouse_options", None)
        forget_inputs(layer)


@contextlib.contextmanager
def dense_attention(model: Models, implementation: str = "sdpa") -> Iterator[None]:
    """Dense for a while, to evaluate or to generate during training: ``with dense_attention(model): model.generate(...)``."""
    models = models_in(model)
    before = implementations_of(models)
    _set_implementation(models, implementation)
    try:
        yield
    finally:
        restore_implementations(before)


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
        options = getattr(module, "lighthouse_options", None)
        if options is None:
            options = _registered[name]
            refuse_missing_layers(module, options.dense_layers)
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
    refuse_unknown(attention_options, _OPTIONS)
    check_options("lighthouse", **attention_options)
    retained_length(1 << 40, **{key: x for key, x in attention_options.items() if key in _PYRAMID_OPTIONS})
    return dict(attention_options)


def _set_implementation(models: list[Any], name: str) -> None:
    """For all of them, or for none."""
    before = implementations_of(models)
    try:
        for model in models:
            model.set_attn_implementation(name)
            of_layers = implementations_of_layers(model)
            stays = next((x for x in [model.config._attn_implementation, *of_layers] if x != name), None)
            if model.config._attn_implementation != name or (of_layers and name not in of_layers):
                raise ValueError(
                    f'lighthouse: {type(model).__name__} does not take its attention by name: it stays at "{stays}" where "{name}" '
                    "was asked for"
                )
    except Exception:
        restore_implementations(before)
        raise

"""Scores for models that normalise queries and keys per head: what attention sees has the same norm everywhere.

The vectors have norms of their own before the normalisation. Hooks on the normalising modules keep their inputs until the
attention of the same layer takes them; under activation checkpointing the hooks run again with the layer.
"""

import functools
from typing import Any, Optional

import torch
from torch import Tensor, nn

from ._transformers_checks import refuse

_PAIRS = (("q_norm", "k_norm"), ("q_layernorm", "k_layernorm"), ("query_layernorm", "key_layernorm"))
_INPUT = "lighthouse_input"
_HOOK = "lighthouse_hook"


def _norms_of(module: nn.Module) -> Optional[tuple[nn.Module, nn.Module]]:
    for names in _PAIRS:
        pair = tuple(getattr(module, name, None) for name in names)
        if all(isinstance(norm, nn.Module) and not isinstance(norm, nn.Identity) for norm in pair):
            return pair
    return None


def _keep_input(layer: nn.Module, norm: nn.Module, inputs: tuple[Any, ...]) -> None:
    # Under dense attention nobody would take it, and it would stay.
    implementation = getattr(getattr(layer, "config", None), "_attn_implementation", None)
    if implementation is None or implementation.startswith("lighthouse"):
        setattr(norm, _INPUT, inputs[0].detach())


def keep_inputs(module: nn.Module) -> None:
    """Hooks on a layer's normalising modules, if it has any."""
    for norm in _norms_of(module) or ():
        if not hasattr(norm, _HOOK):
            setattr(norm, _HOOK, norm.register_forward_pre_hook(functools.partial(_keep_input, module)))


def forget_inputs(module: nn.Module) -> None:
    for norm in _norms_of(module) or ():
        hook = norm.__dict__.pop(_HOOK, None)
        if hook is not None:
            hook.remove()
        norm.__dict__.pop(_INPUT, None)


def scores_of(module: nn.Module, query: Tensor, key: Tensor) -> Optional[tuple[Tensor, Tensor]]:
    """(s_q, s_k), float32 [B, K, N] each, of a layer that normalises; None where the layer does not."""
    if isinstance(getattr(module, "qk_norm", None), nn.Module):
        refuse(f"{type(module).__name__} normalises queries and keys by one module, qk_norm: their norms say nothing", _ADVICE)
    norms = _norms_of(module)
    if norms is None:
        return None
    inputs = [getattr(norm, _INPUT, None) for norm in norms]
    if any(x is None for x in inputs):
        refuse(f"{type(module).__name__} normalises queries and keys per head: their norms say nothing", _ADVICE_HOOKS)
    for norm in norms:
        setattr(norm, _INPUT, None)  # of this forward pass alone
    with torch.no_grad():
        s_q = _norms_per_head(inputs[0], query).unflatten(1, (key.shape[1], -1)).amax(2)
        return s_q, _norms_per_head(inputs[1], key)


_ADVICE = 'list this layer in full_attention_layers, or use model.set_attn_implementation("sdpa")'
_ADVICE_HOOKS = "call lighthouse_attention.integrations.transformers.use_lighthouse(model), which takes the norms before that"


def _norms_per_head(x: Tensor, like: Tensor) -> Tensor:
    """[B, heads, N] of what was normalised: [B, N, heads, D], [B, heads, N, D] or [B, N, heads * D]."""
    batch, heads, tokens, dim = like.shape
    if x.dim() == 3 and x.shape[-1] == heads * dim:
        x = x.unflatten(-1, (heads, dim))
    elif x.dim() == 4 and heads == tokens:
        refuse(f"cannot tell heads from tokens where there are {heads} of both", "use sequences of another length")
    heads_first = x.dim() == 4 and x.shape[1] == heads
    if x.shape != ((batch, heads, tokens, dim) if heads_first else (batch, tokens, heads, dim)):
        refuse(
            f"expected normalised heads of shape [B, N, heads, D] or [B, heads, N, D] with B={batch}, N={tokens}, heads={heads}, "
            f"D={dim}; got {list(x.shape)}",
            _ADVICE,
        )
    norms = torch.linalg.vector_norm(x, dim=-1, dtype=torch.promote_types(x.dtype, torch.float32))
    return norms if heads_first else norms.transpose(1, 2)

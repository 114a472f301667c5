"""What torch.autocast asks of the layer: what it asks of scaled_dot_product_attention."""

import torch
from torch import Tensor


def to_autocast_dtype(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in the autocast dtype of the first one's device, where autocast is on there. float64 stays, as in torch.

    Models hand over mixed dtypes under autocast: a projection gives bfloat16, a rotary embedding with float32 angles makes
    float32 of it again.
    """
    device = tensors[0].device.type
    # Not by is_autocast_available, which Dynamo cannot trace; meta tensors have no autocast.
    if device not in ("cpu", "cuda") or not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(x.to(dtype) if x.is_floating_point() and x.dtype != torch.float64 else x for x in tensors)

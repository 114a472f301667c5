"""Modules that hold transformers models: what is done to the wrapper is done to each model in it, or not at all."""

import pytest
import torch
import torch.distributed as dist
import transformers
from torch import nn

from lighthouse_attention.integrations.transformers import dense_attention, register, use_dense, use_lighthouse
from tiny_models import llama, qwen3

OPTIONS = dict(num_levels=3, pooling_factor=2, top_k=8)
N = 150


@pytest.fixture(autouse=True)
def registered():
    register(**OPTIONS)


def tokens() -> torch.Tensor:
    return torch.randint(0, 64, (2, N))


class Adapter(nn.Module):
    """As PEFT holds a model: two modules deep, and what it lacks itself is the model's."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.base_model = nn.Module()
        self.base_model.model = model

    def __getattr__(self, name: str):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.base_model.model, name)

    def forward(self, *inputs, **more):
        return self.base_model.model(*inputs, **more)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path_factory.mktemp('group') / 'meet'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def sharded(model: nn.Module) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    for layer in model.model.layers:
        fully_shard(layer, mesh=init_device_mesh("cpu", (1,)))
    return fully_shard(model, mesh=init_device_mesh("cpu", (1,)))


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "fully_shard": sharded,
    "compile": lambda model: torch.compile(model, backend="eager"),
    "Sequential": nn.Sequential,
    "adapter": Adapter,
    "DistributedDataParallel of an adapter": lambda model: nn.parallel.DistributedDataParallel(Adapter(model)),
}


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("make", [llama, qwen3])
def test_wrapped_models(one_process, name, make):
    plain, ids = make(), tokens()
    dense = plain(ids).logits
    use_lighthouse(plain, full_attention_layers=[0])
    selected = plain(ids).logits
    assert not torch.equal(selected, dense)

    torch._dynamo.reset()
    wrapper = WRAPPERS[name](make())
    logits = lambda: wrapper(ids).logits  # noqa: E731
    same = lambda a, b: torch.allclose(a, b, rtol=1e-4, atol=1e-5)  # noqa: E731
    assert same(logits(), dense)
    use_lighthouse(wrapper, full_attention_layers=[0])
    assert same(logits(), selected)
    with dense_attention(wrapper):
        assert same(logits(), dense)
    assert same(logits(), selected)
    use_dense(wrapper)
    assert same(logits(), dense)


@pytest.mark.parametrize("hold", [nn.ModuleList, list, tuple, lambda models: nn.ModuleDict({"a": models[0], "b": nn.Sequential(models[1])})])
def test_several_models(hold):
    models, ids = [llama(), qwen3()], tokens()
    held = hold(models)
    use_lighthouse(held)
    assert [model.config._attn_implementation for model in models] == ["lighthouse"] * 2
    assert all(model(ids).logits.isfinite().all() for model in models)  # hooks of the second one too
    models[1].set_attn_implementation("sdpa")
    with dense_attention(held):
        assert [model.config._attn_implementation for model in models] == ["sdpa"] * 2
    assert [model.config._attn_implementation for model in models] == ["lighthouse", "sdpa"]
    use_dense(held)
    assert [model.config._attn_implementation for model in models] == ["sdpa"] * 2


def test_all_of_them_or_none():
    models = [llama(num_hidden_layers=4), llama()]
    for arguments, words in [(dict(full_attention_layers=[3]), r"of the model's \[0, 1\]; got \[3\]"), (dict(top_k=3), "must be even")]:
        with pytest.raises(ValueError, match=words):
            use_lighthouse(models, **arguments)
        assert [model.config._attn_implementation for model in models] == ["sdpa"] * 2
        assert not any("lighthouse" in name for model in models for module in model.modules() for name in module.__dict__)
    with pytest.raises(ValueError, match="nonsense"):
        use_dense(models, "nonsense")
    assert [model.config._attn_implementation for model in models] == ["sdpa"] * 2


class Holder(transformers.PreTrainedModel):
    """A model of another library, with a model in it whose configuration is its own."""

    config_class = transformers.LlamaConfig
    _supports_sdpa = True

    def __init__(self, backbone: nn.Module):
        super().__init__(transformers.LlamaConfig(num_hidden_layers=2))
        self.backbone = backbone
        self.post_init()


def test_a_model_in_a_model_of_another_configuration():
    backbone = llama()
    holder = Holder(backbone)
    use_lighthouse(backbone)
    assert (holder.config._attn_implementation, backbone.config._attn_implementation) == ("sdpa", "lighthouse")
    with dense_attention(holder):
        assert backbone.config._attn_implementation == "sdpa"
    assert (holder.config._attn_implementation, backbone.config._attn_implementation) == ("sdpa", "lighthouse")
    use_dense(holder)
    assert backbone.config._attn_implementation == "sdpa"
    use_lighthouse(holder)
    assert backbone.config._attn_implementation == "lighthouse" and backbone(tokens()).logits.isfinite().all()


def test_a_model_in_a_model_that_does_not_take_its_attention_by_name():
    config = transformers.BloomConfig(vocab_size=64, hidden_size=32, n_layer=1, n_head=2)
    holder = Holder(transformers.BloomForCausalLM(config))
    with pytest.raises(ValueError, match='Holder does not take its attention by name: it stays at "eager"'):
        use_lighthouse(holder)
    assert holder.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("call", [use_lighthouse, use_dense, lambda held: dense_attention(held).__enter__()])
def test_what_holds_no_model(call):
    for held, kind, got in [
        (nn.Linear(2, 2), ValueError, "Linear"),
        (nn.ModuleList(), ValueError, "ModuleList"),
        (llama().model.layers[0], ValueError, "LlamaDecoderLayer"),
        ([], ValueError, "list of nothing"),
        ("llama", TypeError, "str"),
        (None, TypeError, "NoneType"),
        ([llama(), 3], TypeError, "int"),
        (llama, TypeError, "function"),
    ]:
        with pytest.raises(kind, match=f"lighthouse: expected a transformers model, or a module that holds one.*got {got}"):
            call(held)

"""Tiny random models of transformers, made from configurations: nothing is fetched."""

import torch
import transformers

SMALL = dict(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    head_dim=8, max_position_embeddings=1024, bos_token_id=None, eos_token_id=None, pad_token_id=None,
)  # fmt: skip


def make(config: transformers.PretrainedConfig, attn_implementation: str = "sdpa"):
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attn_implementation)
    # Larger weights than a fresh model's, so that what attention does shows in the logits.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.mul_(10)
    return model


def llama(attn_implementation: str = "sdpa", **changes):
    return make(transformers.LlamaConfig(**{**SMALL, **changes}), attn_implementation)


def mistral(**changes):
    return make(transformers.MistralConfig(**{**SMALL, "sliding_window": None, **changes}))


def qwen3(**changes):
    return make(transformers.Qwen3Config(**{**SMALL, **changes}))


def olmo2(**changes):
    return make(transformers.Olmo2Config(**{**SMALL, **changes}))


def gemma2(**changes):
    return make(transformers.Gemma2Config(**{**SMALL, "layer_types": ["full_attention"] * 2, **changes}), "eager")


def gemma3(**changes):
    layers = dict(num_hidden_layers=3, sliding_window=32, layer_types=["sliding_attention", "full_attention", "sliding_attention"])
    return make(transformers.Gemma3TextConfig(**{**SMALL, **layers, **changes}))


def gpt_oss(**changes):
    experts = dict(num_local_experts=2, num_experts_per_tok=1, layer_types=["full_attention"] * 2)
    return make(transformers.GptOssConfig(**{**SMALL, **experts, **changes}), "eager")


def llava():
    """A model of several parts: images and text."""
    torch.manual_seed(7)
    vision = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4
    )
    config = transformers.LlavaConfig(vision_config=vision, text_config=transformers.LlamaConfig(**SMALL))
    return transformers.LlavaForConditionalGeneration(config)

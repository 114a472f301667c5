"""Faults in the decoder, generation, and Hugging Face's formats."""

from mutation import mutation

BLOCK = "src/model/block.cpp"
DECODER = "src/model/decoder.cpp"
ROTARY = "src/model/rotary.cpp"
TOKEN_LOSS = "src/model/token_loss.cpp"
PARAMETERS = "src/model/parameter_list.cpp"
SESSION = "src/inference/session.cpp"
GENERATE = "src/inference/generate.cpp"
SAMPLER = "src/inference/sampler.cpp"
LLAMA = "src/huggingface/llama_config.cpp"
SPECIAL = "src/huggingface/special_tokens.cpp"
BYTES = "src/huggingface/byte_tokenizer.cpp"
EXPORT = "src/huggingface/export_model.cpp"
IMPORT = "src/huggingface/import_model.cpp"

PASSES = ("test_train:Block.*:TokenLoss.*",)
PARTS = ("test_train:Rotary.*:Decoder.*:RmsNorm.*",)
TEXTS = ("test_train:Session.*:Generate.*",)
DRAWS = ("test_train:Sampler.*",)
CONFIGS = ("test_train:LlamaConfig.*:ByteTokenizer.*",)

MODEL_FAULTS = [
    # ---- decoder ----
    mutation(
        "keys-and-values-swapped", "attention gets values for keys", BLOCK, PASSES,
        ("take(s.num_heads, s.num_kv_heads), take(s.num_heads + s.num_kv_heads, s.num_kv_heads)}",
         "take(s.num_heads + s.num_kv_heads, s.num_kv_heads), take(s.num_heads, s.num_kv_heads)}"),
    ),
    mutation(
        "residual-not-computed-again", "full recomputation leaves out the block's input", BLOCK, PASSES,
        ("output_projection(attended, w).add_(state.x)", "output_projection(attended, w)"),
    ),
    mutation(
        "backward-rotates-forward", "gradients are rotated further, not back", BLOCK, PASSES,
        ("s.table.sin, /*inverse=*/true, to.query, to.key);", "s.table.sin, /*inverse=*/false, to.query, to.key);"),
    ),
    mutation(
        "gate-and-up-gradients-swapped", "the gate gets the up projection's gradient", BLOCK, PASSES,
        ("total.gate = grad_in.narrow(0, 0, sizes.intermediate);", "total.gate = grad_in.narrow(0, sizes.intermediate, sizes.intermediate);"),
        ("total.up = grad_in.narrow(0, sizes.intermediate, sizes.intermediate);", "total.up = grad_in.narrow(0, 0, sizes.intermediate);"),
    ),
    mutation(
        "epsilon-of-everyone", "blocks use 1e-5 whatever the configuration says", DECODER, PASSES,
        ("settings.epsilon = config_.rms_norm_eps;", "settings.epsilon = 1e-5;"),
    ),
    mutation(
        "gains-are-drawn", "fresh gains of norms are near zero", DECODER, PARTS,
        ("if (parameter.dim() > 1) parameter.normal_(0.0, config.initializer_range);", "parameter.normal_(0.0, config.initializer_range);"),
    ),
    mutation(
        "dense-layers-forgotten", "layers that should always attend densely do not", DECODER, PARTS,
        ("kind_ == AttentionKind::kDense || always_dense_[static_cast<size_t>(layer)]", "((void)layer, kind_ == AttentionKind::kDense)"),
    ),
    mutation(
        "embedding-gradient-in-bfloat16", "rows of the embedding's gradient are added up in bfloat16", DECODER, ("test_train:Training.*",),
        ("torch::embedding(table, tokens).to(compute_type())", "torch::embedding(table.to(compute_type()), tokens)"),
    ),
    mutation(
        "rotary-base-fixed", "the rotary base is 10,000 whatever the configuration says", ROTARY, PARTS,
        ("torch::pow(config.rope_theta, exponents)", "torch::pow(10000.0, exponents)"),
    ),
    mutation(
        "rotary-from-position-zero", "positions count from 0 wherever a table begins", ROTARY, PARTS,
        ("torch::arange(first, first + count,", "torch::arange((void(first), 0), count,"),
    ),
    mutation(
        "llama3-blend-inverted", "Llama-3's scaling slows the frequencies between the wrong way round", ROTARY, PARTS,
        ("(1 - blend) * frequencies / scaling.factor + blend * frequencies",
         "blend * frequencies / scaling.factor + (1 - blend) * frequencies"),
    ),
    mutation(
        "loss-over-a-chunk", "the mean loss divides by a chunk's tokens", TOKEN_LOSS, PASSES,
        ("static_cast<double>(hidden.size(0) * parts)", "static_cast<double>(std::min(hidden.size(0), token_loss_rows(weight.size(0))) * parts)"),
    ),
    mutation(
        "loss-without-its-target", "the gradient of the loss is the probabilities alone", TOKEN_LOSS, PASSES,
        ("slope.gather(1, column) - 1)", "slope.gather(1, column))"),
    ),
    mutation(
        "tied-models-list-a-head", "a tied model is expected to have an output matrix", PARAMETERS, PARTS,
        ("if (!c.tie_word_embeddings) list.push_back", "if (c.tie_word_embeddings) list.push_back"),
    ),
    # ---- generation ----
    mutation(
        "cache-position-zero", "every new key is written over the first", SESSION, TEXTS,
        ("const Tensor new_keys = layer.keys.narrow(2, length_, rows);", "const Tensor new_keys = layer.keys.narrow(2, 0, rows);"),
    ),
    mutation(
        "cached-values-one-late", "values stand one place after their keys", SESSION, TEXTS,
        ("layer.values.narrow(2, length_, rows).copy_(", "layer.values.narrow(2, std::min(length_ + 1, capacity_ - rows), rows).copy_("),
    ),
    mutation(
        "angles-of-position-zero", "new tokens are rotated as if they were the first", SESSION, TEXTS,
        ("table_.cos.narrow(0, length_, rows),", "table_.cos.narrow(0, 0, rows),"),
        ("table_.sin.narrow(0, length_, rows),", "table_.sin.narrow(0, 0, rows),"),
    ),
    mutation(
        "newest-key-not-seen", "a token does not attend to itself", SESSION, TEXTS,
        ("const Tensor keys = layer.keys.narrow(2, 0, length_ + rows);", "const Tensor keys = layer.keys.narrow(2, 0, std::max<int64_t>(1, length_ + rows - 1));"),
        ("const Tensor values = layer.values.narrow(2, 0, length_ + rows);", "const Tensor values = layer.values.narrow(2, 0, std::max<int64_t>(1, length_ + rows - 1));"),
    ),
    mutation(
        "end-token-is-text", "the token that ends a text is a part of it", GENERATE, TEXTS,
        ("if (result.ended) break;\n    result.tokens.push_back(token);", "result.tokens.push_back(token);\n    if (result.ended) break;"),
    ),
    mutation(
        "first-end-token-only", "of several end tokens the first alone ends a text", GENERATE, ("test_train:Generate.*",),
        ("std::find(options.end.begin(), options.end.end(), token) != options.end.end();", "!options.end.empty() && options.end.back() == token;"),
    ),
    mutation(
        "top-p-takes-one-more", "the nucleus takes a token more where it holds top_p exactly", SAMPLER, DRAWS,
        ("- sorted < limit;", "- sorted <= limit;"),
    ),
    mutation(
        "temperature-multiplies", "a low temperature makes texts wilder", SAMPLER, DRAWS,
        ("/ options_.temperature", "* options_.temperature"),
    ),
    mutation(
        "seed-ignored", "every seed draws the same", SAMPLER, DRAWS,
        ("random_(options.seed)", "random_(0)"),
    ),
    mutation(
        "draw-of-52-bits", "the draw is below one half", SAMPLER, DRAWS,
        ("(random_() >> 11) * 0x1p-53", "(random_() >> 12) * 0x1p-53"),
    ),
    # ---- Hugging Face ----
    mutation(
        "tied-by-default", "without the key, a model is taken for a tied one", LLAMA, CONFIGS,
        ("keys.boolean(\"tie_word_embeddings\", false)", "keys.boolean(\"tie_word_embeddings\", true)"),
    ),
    mutation(
        "epsilon-by-default", "without the key, the norms' epsilon is 1e-5", LLAMA, CONFIGS,
        ("keys.number(\"rms_norm_eps\", 0, 1e-6)", "keys.number(\"rms_norm_eps\", 0, 1e-5)"),
    ),
    mutation(
        "key-heads-by-default", "without the key, a model has one key head", LLAMA, CONFIGS,
        (".value_or(m.num_attention_heads);", ".value_or(1);"),
    ),
    mutation(
        "rotary-base-not-written", "config.json leaves the rotary base to transformers", LLAMA, CONFIGS,
        ("parameters[\"rope_theta\"] = m.rope_theta;", ""),
        ("object[\"rope_theta\"] = m.rope_theta;", ""),
    ),
    mutation(
        "end-tokens-of-the-model-first", "config.json's end tokens count before generation_config.json's", SPECIAL, CONFIGS,
        ("{\"generation_config.json\", \"config.json\"}", "{\"config.json\", \"generation_config.json\"}"),
    ),
    mutation(
        "soft-hyphen-is-printed", "byte 173 has another name in the tokenizer", BYTES, CONFIGS,
        ("(byte > 0xA0 && byte != 0xAD)", "byte > 0xA0"),
    ),
    mutation(
        "context-shrinks-in-an-export", "a model trained on shorter texts than it was made for is exported as shorter", EXPORT,
        ("pytest:tests/interop/test_import.py -k goes_on_from_weights",),
        ("std::max(config.max_position_embeddings, before.max_position_embeddings)", "config.max_position_embeddings"),
    ),
    mutation(
        "any-head-passes-for-tied", "a tied model whose output matrix differs is imported without it", IMPORT,
        ("pytest:tests/interop/test_import.py -k extra_tensors",),
        ("|| !torch::equal(item.second.to(values.scalar_type()), values)", ""),
    ),
]

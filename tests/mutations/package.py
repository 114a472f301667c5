"""Faults in the Python package: the layer's functions, token files, transformers."""

from mutation import mutation

PACKAGE = "python/lighthouse_attention/"
LAYER = PACKAGE + "_attention.py"
GEOMETRY = PACKAGE + "_geometry.py"
AUTOCAST = PACKAGE + "_autocast.py"
TOKEN_FILE = PACKAGE + "_token_file.py"
DOCUMENTS = PACKAGE + "_documents.py"
TOKENIZE = PACKAGE + "tokenize.py"
TRANSFORMERS = PACKAGE + "integrations/transformers.py"
MASKS = PACKAGE + "integrations/_transformers_masks.py"
CHECKS = PACKAGE + "integrations/_transformers_checks.py"
SCORES = PACKAGE + "integrations/_transformers_scores.py"

FUNCTIONS = ("pytest:tests/python/test_attention.py",)
COMPILED = ("pytest:tests/python/test_torch_features.py",)
WIDTHS = ("pytest:tests/python/test_token_file.py",)
TOKENS = ("pytest:tests/python/test_tokenize.py",)
MODELS = ("pytest:tests/python/test_transformers.py",)
REFUSALS = ("pytest:tests/python/test_transformers_refusals.py",)

PACKAGE_FAULTS = [
    mutation(
        "scale-by-the-length", "with a tree or an inner attention, logits are scaled by the sequence's length", LAYER, FUNCTIONS,
        ("scale = 1.0 / math.sqrt(q.size(-1))", "scale = 1.0 / math.sqrt(q.size(-2))"),
    ),
    mutation(
        "groups-unsaid", "an inner attention is not told of grouped heads", LAYER, FUNCTIONS,
        ("{\"enable_gqa\": True} if q.size(1) != k.size(1) else {}", "{}"),
    ),
    mutation(
        "warns-every-time", "dense attention on short sequences is announced at every call", LAYER, FUNCTIONS,
        ("    _warned_dense = True\n", ""),
    ),
    mutation(
        "tiles-when-compiled", "a compiled call counts other tiles", GEOMETRY, COMPILED,
        ("max(1, top_k // 128)", "max(1, top_k // 64)"),
    ),
    mutation(
        "tail-when-compiled", "a compiled call forgets the tail", GEOMETRY, COMPILED,
        ("return coarsest_windows + (num_levels - 1) * pooling_factor * top_k + tail",
         "return coarsest_windows + (num_levels - 1) * pooling_factor * top_k"),
    ),
    mutation(
        "autocast-narrows-float64", "float64 is cast under autocast, too", AUTOCAST, COMPILED,
        ("x.is_floating_point() and x.dtype != torch.float64", "x.is_floating_point()"),
    ),
    mutation(
        "one-token-too-many-for-16-bits", "a vocabulary of 65,537 tokens is written in 16 bits", TOKEN_FILE, WIDTHS,
        ("fits = vocab_size <= 1 << 16", "fits = vocab_size <= (1 << 16) + 1"),
    ),
    mutation(
        "count-with-the-header", "llm.c's header counts itself", TOKEN_FILE, WIDTHS,
        ("self.num_tokens)\n", "self.num_tokens + _HEADER_NUMBERS)\n"),
    ),
    mutation(
        "every-piece-ends", "a long document gets an end token at every cut", DOCUMENTS, TOKENS,
        ("ends=end == len(text))", "ends=True)"),
    ),
    mutation(
        "excluded-folders-are-walked", "--exclude passes over files only", DOCUMENTS, TOKENS,
        ("folders[:] = [name for name in folders if not _matches(name, exclude)]", "folders[:] = folders"),
    ),
    mutation(
        "end-token-unwritten", "documents run into each other", TOKENIZE, TOKENS,
        ("[*encoding.ids, end] if document.ends else encoding.ids", "encoding.ids"),
    ),
    mutation(
        "dense-layers-of-the-registration", "a model's own dense layers are ignored", TRANSFORMERS, MODELS,
        ("self.dense_layers if full_attention_layers is None else frozenset(full_attention_layers)", "self.dense_layers"),
    ),
    mutation(
        "layers-share-options", "options of single layers are ignored", TRANSFORMERS, MODELS,
        ("options.changed(None, per_layer.get(layer.layer_idx, {}))", "options"),
    ),
    mutation(
        "mean-over-a-group", "the scores of a group of heads are their mean, not their largest", SCORES, MODELS,
        (".amax(2)", ".mean(2)"),
    ),
    mutation(
        "padding-passes", "padding is trained on as if it were text", MASKS, REFUSALS,
        ("    elif not bool(attention_mask.all()):", "    elif False:"),
    ),
    mutation(
        "window-of-the-whole-text", "a sliding window that hides nothing is refused", CHECKS, MODELS,
        ("window is not None and window < queries", "window is not None and window <= queries"),
    ),
    mutation(
        "packed-documents-pass", "positions that start again are taken for one document", CHECKS, REFUSALS,
        ("    if not bool((position_ids.diff(dim=-1) == 1).all()):", "    if False:"),
    ),
]

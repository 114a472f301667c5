"""Faults in the Python package: the layer's functions, token files, transformers."""

from mutation import mutation

PACKAGE = "python/lighthouse_attention/"
LAYER = PACKAGE + "_attention.py"
GEOMETRY = PACKAGE + "_geometry.py"
AUTOCAST = PACKAGE + "_autocast.py"
TOKEN_FILE = PACKAGE + "_token_file.py"
DOCUMENTS = PACKAGE + "_documents.py"
TEXT_FILES = PACKAGE + "_text_files.py"
TOKENIZE = PACKAGE + "tokenize.py"
TRANSFORMERS = PACKAGE + "integrations/transformers.py"
MASKS = PACKAGE + "integrations/_transformers_masks.py"
CHECKS = PACKAGE + "integrations/_transformers_checks.py"
SCORES = PACKAGE + "integrations/_transformers_scores.py"

FUNCTIONS = ("pytest:tests/python/test_attention.py",)
COMPILED = ("pytest:tests/python/test_torch_features.py -k geometry_of_compiled",)
AUTOCASTS = ("pytest:tests/python/test_torch_features.py -k autocast_is",)
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
        ("    lengths.add(num_tokens)\n", ""),
    ),
    mutation(
        "tiles-when-compiled", "a compiled call counts other tiles", GEOMETRY, COMPILED,
        ("max(1, k // 128), 1, -1)", "max(1, k // 64), 1, -1)"),
    ),
    mutation(
        "tail-when-compiled", "a compiled call forgets the tail", GEOMETRY, COMPILED,
        ("pooling_factor * k + tail", "pooling_factor * k"),
    ),
    mutation(
        "autocast-narrows-float64", "float64 is cast under autocast, too", AUTOCAST, AUTOCASTS,
        ("x.is_floating_point() and x.dtype != torch.float64", "x.is_floating_point()"),
    ),
    mutation(
        "one-token-too-many-for-16-bits", "a vocabulary of 65,537 tokens is written in 16 bits", TOKEN_FILE, WIDTHS,
        ("fits = vocab_size <= 1 << 16", "fits = vocab_size <= (1 << 16) + 1"),
    ),
    mutation(
        "count-with-the-header", "llm.c's header counts itself", TOKEN_FILE, WIDTHS,
        ("self.num_tokens]\n", "self.num_tokens + _HEADER_NUMBERS]\n"),
    ),
    mutation(
        "every-piece-ends", "a long document gets an end token at every cut", DOCUMENTS, TOKENS,
        ("end == len(text), place)", "True, place)"),
    ),
    mutation(
        "excluded-folders-are-walked", "--exclude passes over files only", TEXT_FILES, TOKENS,
        ("if is_wanted(Path(folder, name)) and not _is_link(", "if not _is_link("),
    ),
    mutation(
        "end-token-unwritten", "documents run into each other", TOKENIZE, TOKENS,
        ("[*tokens, end] if document.ends else tokens", "tokens"),
    ),
    mutation(
        "dense-layers-of-the-registration", "a model's own dense layers are ignored", TRANSFORMERS, MODELS,
        ("            dense = checked_layers(\"full_attention_layers\", full_attention_layers)",
         "            checked_layers(\"full_attention_layers\", full_attention_layers)"),
    ),
    mutation(
        "layers-share-options", "options of single layers are ignored", TRANSFORMERS, MODELS,
        ("per_layer.get(layer.layer_idx, options)", "options"),
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
        ("    if not bool(rise_by_one()):", "    if False:"),
    ),
]

"""Faults in the default top_k: the rule, its symbolic form, what runs keep of it, what is said of dense fallbacks."""

from mutation import mutation

GEOMETRY = "src/pyramid/geometry.cpp"
SYMBOLIC = "src/ops/retained_length.cpp"
FEATURES = ("pytest:tests/python/test_torch_features.py -k symbolic",)

DEFAULT_BUDGET_FAULTS = [
    mutation(
        "default-k-not-by-tile", "the default k is N / 64 for every tile", GEOMETRY, ("test_geometry",),
        ("num_tokens / (2 * kTokensPerExpanded) / num_tiles)", "num_tokens / (2 * kTokensPerExpanded))"),
    ),
    mutation(
        "default-k-none", "short sequences get a default k of 0", GEOMETRY, ("test_geometry",),
        ("2 * num_tiles * std::max<int64_t>(1, num_tokens", "2 * num_tiles * std::max<int64_t>(0, num_tokens"),
    ),
    mutation(
        "symbolic-k-not-by-tile", "the default k of a symbolic N is not a multiple of its tiles", SYMBOLIC, FEATURES,
        ("return tiles * 2 * (num_tokens / 128 / tiles).max(1);", "return (num_tokens / 128).max(1) * 2;"),
    ),
    mutation(
        "symbolic-s-of-whole-budgets", "S of a symbolic N takes every tile for full", SYMBOLIC, FEATURES,
        ("if (small >= budget) {", "if (small >= 0) {"),
    ),
    mutation(
        "backward-by-default-k", "backward takes the default k for the one that was given", "src/ops/autograd.cpp", ("test_core",),
        ('data["top_k"].toOptional<int64_t>()', "std::nullopt"),
    ),
    mutation(
        "dense-said-every-time", "the warning of dense attention is given at every call", "src/ops/attention.cpp",
        ("test_core:DefaultBudget.*",),
        ("!lengths.insert(known.value_or(kOpen)).second", "lengths.insert(known.value_or(kOpen)).first == lengths.end()"),
    ),
    mutation(
        "resume-by-todays-default", "a resumed run takes today's default top_k", "src/train/initial_weights.cpp",
        ("test_train:InitialWeights.*",),
        ("config.attention.top_k = other.attention.top_k;", ";"),
    ),
    mutation(
        "default-k-is-a-difference", "naming the default top_k is another configuration", "src/train/config_difference.cpp",
        ("test_train:Config.*",),
        ("if (used) config.attention.top_k", "if (used && false) config.attention.top_k"),
    ),
]  # fmt: skip

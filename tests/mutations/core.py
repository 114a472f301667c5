"""Faults in the core: geometry, the CPU's kernels, the operators."""

from mutation import mutation

GEOMETRY = "src/pyramid/geometry.cpp"
SELECT = "src/kernels/cpu/select.cpp"
LIST = "src/kernels/cpu/list_entries.cpp"
DISPATCH = "src/kernels/cpu/dispatch.cpp"
SCORE = "src/kernels/cpu/simd/score.cpp"
REDUCE = "src/kernels/cpu/simd/window_reduce.cpp"
BROADCAST = "src/kernels/cpu/simd/window_broadcast.cpp"
ROW_MATH = "src/kernels/cpu/simd/row_math.h"
CPU = "src/ops/cpu.cpp"
KERNEL_ARGUMENTS = "src/ops/kernel_arguments.cpp"
AUTOGRAD = "src/ops/autograd.cpp"
ATTENTION = "src/ops/attention.cpp"
CORE = ("test_geometry", "test_core")

CORE_FAULTS = [
    # ---- geometry ----
    mutation(
        "tiles-round-up", "tile t begins at ceil(t M / n)", GEOMETRY, CORE,
        ("tile * whole + tile * rest / num_tiles_", "tile * whole + (tile * rest + num_tiles_ - 1) / num_tiles_"),
    ),
    mutation(
        "default-tiles", "default n from k / 64", GEOMETRY, CORE,
        ("std::max<int64_t>(1, top_k / 128)", "std::max<int64_t>(1, top_k / 64)"),
    ),
    mutation(
        "write-range-unclipped", "write ranges run past N", GEOMETRY, CORE,
        ("std::min(begin + window_length(entry.level), num_tokens_)", "begin + window_length(entry.level)"),
    ),
    mutation(
        "writer-past-the-last-window", "writer() names windows that do not exist", GEOMETRY, CORE,
        ("return window < num_windows(level) ? window : -1;", "return window;"),
    ),
    mutation(
        "retained-without-coarsest", "S forgets that small tiles have fewer than b windows", GEOMETRY, CORE,
        ("int64_t expanded = std::min(coarsest_windows, tile_budget_);", "int64_t expanded = tile_budget_;"),
    ),
    # ---- scores ----
    mutation(
        "score-first-head-only", "s_q is the first head's norm, not the group's largest", SCORE, CORE,
        ("window_maximum(query, group,", "window_maximum(query, 1,"),
    ),
    mutation(
        "score-nan-wins", "NaN is not ignored in the maximum over children", DISPATCH, CORE,
        ("if (!(*child <= best) && *child == *child) best = *child;", "if (!(*child <= best)) best = *child;"),
    ),
    # ---- selection ----
    mutation(
        "negative-zero-below-zero", "-0 ranks below +0", SELECT, CORE,
        ("score += 0.0F;", ""),
    ),
    mutation(
        "nan-above-everything", "NaN ranks first", SELECT, CORE,
        ("uint32_t ordered = 0;", "uint32_t ordered = 0xFFFFFFFFU;"),
    ),
    mutation(
        "ties-by-higher-index", "among equal scores the last window wins", SELECT, CORE,
        ("(0xFFFFFFFFU - static_cast<uint32_t>(place));", "static_cast<uint32_t>(place);"),
        ("return 0xFFFFFFFFU - static_cast<uint32_t>(key);", "return static_cast<uint32_t>(key);"),
    ),
    mutation(
        "no-prefix-rule", "cover_prefix does nothing", SELECT, CORE,
        ("return window == 0 && parameters_.cover_prefix ? kInfinity : scores[window];", "return scores[window];"),
    ),
    mutation(
        "key-half-by-query", "the second half of the budget goes by s_q too", SELECT, CORE,
        ("return key_scores[candidates_[place]];", "return (void)key_scores, query_score(level, candidates_[place]);"),
    ),
    mutation(
        "causal-own-score", "4b: a query competes with its own window's score", SELECT, CORE,
        ("kInfinity : scores[window - 1];", "kInfinity : scores[window];"),
    ),
    mutation(
        "causal-silent-compete", "4b: windows that do not write take places in the query half", SELECT, CORE,
        ("return (node(level, candidates_[place]) & kWrites) != 0;", "return true;"),
    ),
    mutation(
        "causal-key-children-write", "4b: children of windows expanded for their keys write", SELECT, CORE,
        ("(!parameters_.causal_selection || choice_[place] == kForQuery)", "choice_[place] != kNo"),
    ),
    mutation(
        "causal-full-tile-by-halves", "4b: a tile of exactly b windows is halved as if it were larger", SELECT, CORE,
        ("if (candidates_.size() <= budget) {", "if (candidates_.size() < budget) {"),
    ),
    mutation(
        "list-parents-write", "writes() gives a token its parent's flag", LIST, CORE,
        ("(node & kChildrenWrite) != 0);", "(node & kWrites) != 0);"),
    ),
    # ---- gather and the adjoint of scatter (window-reduce) ----
    mutation(
        "pool-weight", "every level is averaged as if its windows had p tokens", REDUCE, CORE,
        ("static_cast<A>(length);", "static_cast<A>(p_.pooling_factor);"),
    ),
    mutation(
        "reduce-wrong-group", "query heads follow the trees of other key heads", REDUCE, CORE,
        ("head / (w.heads / w.kv_heads))", "head % w.kv_heads)"),
    ),
    mutation(
        "reduce-first-batch-tree", "every batch row is gathered by the first one's tree", REDUCE, CORE,
        ("(batch * w.kv_heads + ", "("),
    ),
    mutation(
        "tail-one-short", "the last tail token is not gathered", REDUCE, CORE,
        ("kTailRowsPerItem ? tail - first :", "kTailRowsPerItem ? tail - first - 1 :"),
    ),
    mutation(
        "scatter-adjoint-shift", "the adjoint of scatter starts one token late", REDUCE, CORE,
        ("first += length - 1;", "first += length;"),
    ),
    mutation(
        "scatter-adjoint-unclipped-count", "the adjoint of scatter drops the clipped ranges' last token", REDUCE, CORE,
        ("length : p_.num_tokens - first;", "length : p_.num_tokens - first - 1;"),
    ),
    mutation(
        "silent-rows-get-gradient", "entries that do not write get a gradient", REDUCE, CORE,
        ("if (w_.span == Span::kWriteRange && !writes) return clear(to);", "(void)writes;"),
    ),
    mutation(
        "bfloat16-truncates", "bfloat16 is cut off, not rounded", ROW_MATH, CORE,
        ("(bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;", "bits >> 16;"),
    ),
    # ---- scatter and the adjoint of gather (window-broadcast) ----
    mutation(
        "write-one-early", "an entry speaks for a token one before its window's last: a leak", BROADCAST, CORE,
        ("const int64_t shifted = write_ ? token - (length - 1) : token;",
         "const int64_t shifted = write_ ? token - (length - 2) : token;"),
        ("(token + (write_ ? 1 : 0)) %", "(token + (write_ ? 2 : 0)) %"),
    ),
    mutation(
        "stale-partial-sums", "sums over coarse levels are renewed one token late", BROADCAST, CORE,
        ("(token + (write_ ? 1 : 0)) %", "token %"),
    ),
    mutation(
        "silent-rows-write", "entries that do not write are added to the output", BROADCAST, CORE,
        ("if (node == kNotRetained || (write_ && (node & kWrites) == 0)) return nullptr;",
         "if (node == kNotRetained) return nullptr;"),
    ),
    mutation(
        "uncovered-not-zeroed", "a position without contributions keeps what was in memory", BROADCAST, CORE,
        ("for (int64_t d = 0; d < dim; ++d) to[d] = T{};", "return;"),
    ),
    mutation(
        "gather-adjoint-weight", "the adjoint of gather forgets p^-l", BROADCAST, CORE,
        ("write_ ? A{1} : A{1} / static_cast<A>(p_.window_length[level]);", "A{1};"),
    ),
    mutation(
        "last-window-off-the-end", "tail tokens look for windows that do not exist", BROADCAST, CORE,
        ("if (window >= p_.num_windows[level]) return nullptr;", ""),
    ),
    # ---- operators ----
    mutation(
        "strides-of-the-last-dimension", "inputs whose last dimension is not contiguous are read as if it were", KERNEL_ARGUMENTS, CORE,
        ("tensor.stride(-1) == 1 || tensor.size(-1) == 1 ? tensor : tensor.contiguous();", "tensor;"),
    ),
    mutation(
        "key-and-value-gradients-swapped", "k gets v's gradient", AUTOGRAD, CORE,
        ("return {q, k, v, Tensor(), Tensor()};", "return {q, v, k, Tensor(), Tensor()};"),
    ),
    mutation(
        "scale-of-the-caller", "the caller's scale is ignored", ATTENTION, CORE,
        ("return dense_attention(q, k, v, scale, options.inner_kernel);",
         "return dense_attention(q, k, v, std::nullopt, options.inner_kernel);"),
    ),
    mutation(
        "scores-of-the-caller", "attention() selects by norms whatever scores it gets", ATTENTION, CORE,
        ("ops::select(query, key, options.scores, options)", "ops::select(query, key, std::nullopt, options)"),
    ),
]

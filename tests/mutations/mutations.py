"""Bugs to plant, one at a time: (what it breaks, file, text, text in its place). Each text stands once in its file."""

GEOMETRY = "src/pyramid/geometry.cpp"
SELECT = "src/kernels/cpu/select.cpp"
DISPATCH = "src/kernels/cpu/dispatch.cpp"
SCORE = "src/kernels/cpu/simd/score.cpp"
REDUCE = "src/kernels/cpu/simd/window_reduce.cpp"
BROADCAST = "src/kernels/cpu/simd/window_broadcast.cpp"
AUTOGRAD = "src/ops/autograd.cpp"

MUTATIONS = [
    ("geometry: uneven tiles start in the wrong place", GEOMETRY, "tile * rest / num_tiles_", "tile * (rest / num_tiles_)"),
    ("geometry: write ranges start one token late", GEOMETRY, "window(entry).end - 1;", "window(entry).end;"),
    ("geometry: a small tile expands more windows than it has", GEOMETRY,
     "int64_t expanded = std::min(coarsest_windows, tile_budget_);", "int64_t expanded = tile_budget_;"),
    ("geometry: another default number of tiles", GEOMETRY, "std::max<int64_t>(1, top_k / 128)",
     "std::max<int64_t>(1, top_k / 64)"),
    ("select: ties go to the higher index", SELECT, "| (0xFFFFFFFFU - static_cast<uint32_t>(place));",
     "| static_cast<uint32_t>(place);"),
    ("select: -0 ranks below +0", SELECT, "score += 0.0F;  // -0 becomes +0", ""),
    ("select: NaN ranks above everything", SELECT, "uint32_t ordered = 0;  // NaN", "uint32_t ordered = 0xFFFFFFFFU;"),
    ("select: the prefix rule is forgotten", SELECT, "window == 0 && parameters_.cover_prefix ?", "false ?"),
    ("select: causal selection looks at the window itself", SELECT, ": scores[window - 1];", ": scores[window];"),
    ("select: children of windows expanded for a key write", SELECT, "|| choice_[place] == kForQuery);", "|| true);"),
    ("select: windows that do not write compete for queries", SELECT,
     "return (node(level, candidates_[place]) & kWrites) != 0;", "return true;"),
    ("select: a parent comes before its children", SELECT,
     "  void assign_ranks(int64_t level, int64_t window) {\n    const int64_t p = p_.pooling_factor;\n"
     "    Node& self = node(level, window);\n",
     "  void assign_ranks(int64_t level, int64_t window) {\n    const int64_t p = p_.pooling_factor;\n"
     "    Node& self = node(level, window);\n    if (level > 1) {\n      self |= static_cast<Node>(next_rank_++ << kRankShift);\n"
     "      if ((self & kExpanded) != 0) {\n        for (int64_t c = window * p; c < (window + 1) * p; ++c) assign_ranks(level - 1, c);\n"
     "      }\n      return;\n    }\n"),
    ("score: only the group's first head counts", SCORE, "window_maximum(query, group,", "window_maximum(query, 1,"),
    ("score: one NaN hides a coarse window's scores", DISPATCH,
     "            if (!(*child <= best) && *child == *child) best = *child;\n          }\n          parent[window] = best;",
     "            if (i == 0 || *child > best) best = *child;\n          }\n          parent[window] = best;"),
    ("gather: the mean of p^l tokens divides by p^l - 1", REDUCE, "A weight_inverse = static_cast<A>(length);",
     "A weight_inverse = static_cast<A>(length - 1);"),
    ("scatter's adjoint: rows that do not write get a gradient", REDUCE,
     "if (w_.span == Span::kWriteRange && !writes) return clear(to);", ""),
    ("scatter's adjoint: write ranges start at the window's first token", REDUCE, "first += length - 1;", "first += 0;"),
    ("scatter: entries change one token late", BROADCAST, "(token + (write_ ? 1 : 0))", "token"),
    ("scatter: tokens write that should not", BROADCAST, "(write_ ? kChildrenWrite : kExpanded)", "kExpanded"),
    ("scatter: the finest of two levels is dropped", BROADCAST, "base_ = sums_[1];",
     "base_ = p_.num_levels > 2 && sums_[2] != nullptr ? sums_[2] : sums_[1];"),
    ("gather's adjoint: the weight is forgotten", BROADCAST,
     "write_ ? A{1} : A{1} / static_cast<A>(p_.window_length[level])", "A{1}"),
    ("gradients: backward forgets the number of tiles", AUTOGRAD, 'context->saved_data["num_tiles"] = options.num_tiles;',
     'context->saved_data["num_tiles"] = std::optional<int64_t>();'),
]  # fmt: skip

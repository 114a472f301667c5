"""Faults in the fused parts of the training pass, frozen parts, kernels by name, and what a foreign tree is held to."""

from mutation import mutation

BLOCK = "src/model/block.cpp"
LOSS = "src/model/token_loss.cpp"
FUSED = "src/ops/fused.cpp"
CHECKS = "src/ops/checks.cpp"
INNER = "src/ops/inner_kernel.cpp"
INNER_CALL = "src/ops/inner_attention.cpp"
TREE = "src/kernels/cpu/check_tree.cpp"

FROZEN = ("test_train:Frozen.*",)
PARTS = ("test_train:Fused.*",)
NAMED = ("test_train:InnerKernel.*",)

PART_FAULTS = [
    mutation(
        "block-kept-by-its-first-norm", "whether a block is kept is decided by its input and first norm", BLOCK, FROZEN,
        ("{x, w.input_norm, w.query, w.key, w.value, w.output, w.post_norm, w.gate, w.up, w.down}", "{x, w.input_norm}"),
    ),
    mutation(
        "inner-output-unchecked", "an inner attention's dtype is not looked at", CHECKS, FROZEN,
        ("TORCH_CHECK_TYPE(output.scalar_type() == query.scalar_type(), op, kMust", "TORCH_CHECK_TYPE(true, op, kMust"),
    ),
    mutation(
        "loss-without-hidden", "the loss of frozen output weights gives their gradient's place to nothing", LOSS, FROZEN,
        ("return {times(saved[0]), times(saved[1]), Tensor(), Tensor(), Tensor()};",
         "return {times(saved[1]), times(saved[0]), Tensor(), Tensor(), Tensor()};"),
    ),
    mutation(
        "norm-takes-any-addend", "an addend of other sizes is broadcast", FUSED, PARTS,
        ("if (addend.defined()) check_fits(kOp, \"addend\", addend, input.sizes(), input);", ""),
    ),
    mutation(
        "swiglu-slope-in-bfloat16", "SwiGLU's gradient is rounded on the way", FUSED, PARTS,
        ("grad.narrow(0, first, count).to(wide_type(gate_up))", "grad.narrow(0, first, count)"),
    ),
    mutation(
        "rotated-into-other-rows", "a target with rows of its own order is taken for contiguous ones", FUSED, PARTS,
        ("to.stride(-1) == 1 || to.size(-1) == 1", "to.dim() > 0"),
    ),
    mutation(
        "variable-unread", "LIGHTHOUSE_INNER does nothing", INNER, NAMED,
        ("if (named != nullptr && *named != '\\0')", "if (named == nullptr)"),
    ),
    mutation(
        "cuda-kernels-on-the-cpu", "kernels of CUDA are taken on the CPU, and another one runs", INNER, NAMED,
        ("expect(kernel == InnerKernel::kFlash, \"runs on CUDA;", "expect(kernel != InnerKernel::kAuto, \"runs on CUDA;"),
    ),
    mutation(
        "overlapping-rows-as-they-are", "overlapping rows go to the CPU's products as they are", INNER_CALL,
        ("pytest:tests/python/test_layouts.py",), ("tensor.size(2) == 1 || tensor.stride(2) >= tensor.size(3)", "tensor.dim() > 0"),
    ),
    mutation(
        "tree-of-any-ranks", "ranks of a foreign tree are not looked at", TREE, ("pytest:tests/python/test_foreign_trees.py",),
        ("word != kNotRetained && word >> kRankShift == rank", "word != kNotRetained"),
    ),
    mutation(
        "tree-with-stray-nodes", "windows that no parent expanded may be retained", TREE, ("pytest:tests/python/test_foreign_trees.py",),
        ("if (node(level, window) != kNotRetained) {", "if (node(level, window) == kNotRetained - 1) {"),
    ),
]  # fmt: skip

"""Faults in files: whole or not at all, locks, checksums, safetensors, shards."""

from mutation import mutation

ATOMIC_FILE = "src/io/atomic_file.cpp"
ATOMIC_FOLDER = "src/io/atomic_folder.cpp"
APPEND_FILE = "src/io/append_file.cpp"
MAPPED_FILE = "src/io/mapped_file.cpp"
LOCK = "src/io/file_lock.cpp"
CHECKSUM = "src/io/checksum.cpp"
SAFETENSORS = "src/model/safetensors.cpp"
SHARDS = "src/model/shards.cpp"

FILES = ("test_train:Files.*:Folders.*:Checksum.*",)
TENSORS = ("test_train:Safetensors.*:Shards.*",)

FILE_FAULTS = [
    mutation(
        "lock-is-shared", "two processes may train in one folder", LOCK, FILES,
        ("LOCK_EX | LOCK_NB", "LOCK_SH | LOCK_NB"),
    ),
    mutation(
        "half-a-record-stays", "what was written of a record stays where the disk is full", APPEND_FILE, FILES,
        ("      if (::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) fail_system(\"cannot truncate\", path_, error);\n", ""),
    ),
    mutation(
        "kept-bytes-only-counted", "lines after the checkpoint stay in the record", APPEND_FILE, FILES,
        ("if (::ftruncate(descriptor_, static_cast<off_t>(keep_bytes)) != 0)", "if (false)"),
    ),
    mutation(
        "a-shorter-record-passes", "a record that lost lines is gone on with", APPEND_FILE, FILES,
        ("if (present < keep_bytes) {", "if (false) {"),
    ),
    mutation(
        "seconds-are-enough", "a write within the same second is not noticed", MAPPED_FILE, FILES,
        ("status.st_mtim.tv_sec != modified_.tv_sec || status.st_mtim.tv_nsec != modified_.tv_nsec",
         "status.st_mtim.tv_sec != modified_.tv_sec"),
    ),
    mutation(
        "folders-leave-their-half", "a folder that was given up stays", ATOMIC_FOLDER, FILES,
        ("if (lock_ && !temporary_.empty()) clear();", ""),
    ),
    mutation(
        "replaced-folders-stay", "what a folder replaced stays beside it", ATOMIC_FOLDER, FILES,
        ("clear();  // what stood there before", "lock_.reset();"),
    ),
    mutation(
        "checksums-without-zeros", "a checksum's leading zeros are lost", CHECKSUM, FILES,
        ("\"%016llx\"", "\"%llx\""),
    ),
    # ---- safetensors ----
    mutation(
        "checksum-of-the-header", "the checksum does not cover the tensors", SAFETENSORS, ("test_train:Safetensors.*:Corruption.*",),
        ("  for (const auto& [name, tensor] : plain) checksum.add(tensor.data_ptr(), tensor.nbytes());\n", ""),
        ("      checksum.add(tensor.data_ptr(), tensor.nbytes());\n      result.tensors", "      result.tensors"),
    ),
    mutation(
        "offsets-in-values", "a tensor's place counts values, not bytes", SAFETENSORS, TENSORS,
        ("offset += tensor.nbytes();", "offset += static_cast<size_t>(tensor.numel());"),
    ),
    mutation(
        "strides-are-written", "a transposed tensor is written as it lies in memory", SAFETENSORS, TENSORS,
        ("tensor.detach().to(torch::kCPU).contiguous()", "tensor.detach().to(torch::kCPU)"),
    ),
    mutation(
        "half-types-swapped", "bfloat16 is named float16, in writing and in reading", SAFETENSORS, TENSORS,
        ("{\"BF16\", torch::kBFloat16}", "{\"BF16\", torch::kHalf}"),
        ("{\"F16\", torch::kHalf}", "{\"F16\", torch::kBFloat16}"),
    ),
    mutation(
        "header-unaligned", "tensors begin at any byte", SAFETENSORS, TENSORS,
        ("header.resize((header.size() + 7) / 8 * 8, ' ');", ""),
    ),
    mutation(
        "holes-pass", "bytes that belong to no tensor are no error", SAFETENSORS, TENSORS,
        ("if (range.begin != expected) {", "if (range.begin < expected) {"),
    ),
    mutation(
        "shards-one-too-large", "a file of a model may exceed its size by a tensor", SHARDS, TENSORS,
        ("bytes + item.second.nbytes() > max_shard_bytes", "bytes > max_shard_bytes"),
    ),
    mutation(
        "shards-counted-from-zero", "the first file of a model is number 0", SHARDS, TENSORS,
        ("index + 1, count)", "index, count)"),
    ),
    mutation(
        "index-counts-values", "the index gives a model's values for its bytes", SHARDS, TENSORS,
        ("bytes += values.nbytes();", "bytes += static_cast<uint64_t>(values.numel());"),
    ),
]

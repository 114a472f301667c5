"""Faults in data and configuration: corpora, token files, Megatron's index, keys, memory."""

from mutation import mutation

CORPUS = "src/train/corpus.cpp"
TOKENS = "src/train/token_source.cpp"
MEGATRON = "src/train/megatron_index.cpp"
CONFIG = "src/train/config.cpp"
DIFFERENCE = "src/train/config_difference.cpp"
MEMORY = "src/train/memory_estimate.cpp"
DEVICE = "src/train/device.cpp"

ROWS = ("test_train:Corpus.*:HeldOut.*",)
INDEX = ("test_train:Megatron.*",)
KEYS = ("test_train:Config.*",)
BYTES = ("test_train:Memory.*",)

DATA_FAULTS = [
    # ---- corpus ----
    mutation(
        "training-sees-held-out-tokens", "the last training row ends in the held-out part", CORPUS, ROWS,
        ("(validation_begin_ - 1) / context_length_", "validation_begin_ / context_length_"),
    ),
    mutation(
        "held-out-less-than-a-row", "a small share holds out nothing", CORPUS, ROWS,
        ("std::max(held_out, needed)", "held_out"),
    ),
    mutation(
        "held-out-rows-overlap", "the last token of a held-out row is the next one's first", CORPUS, ROWS,
        ("validation_begin_ + chosen * (context_length_ + 1)", "validation_begin_ + chosen * context_length_"),
    ),
    mutation(
        "held-out-rows-from-the-start", "few held-out rows are the first ones, not spread", CORPUS, ROWS,
        ("index * validation_sequences_ / std::max<int64_t>(1, count)", "(void(count), index)"),
    ),
    mutation(
        "epochs-alike", "every epoch has the first one's order", CORPUS, ROWS,
        ("static_cast<uint64_t>(epoch) + 1)", "1)"),
    ),
    mutation(
        "order-of-the-epoch-before", "the order after a resume is another than without", CORPUS, ROWS,
        ("if (epoch != epoch_) {", "if (epoch_ < 0) {"),
    ),
    mutation(
        "seed-not-in-the-order", "every seed has the same order of data", CORPUS, ROWS,
        ("SplitMix random(SplitMix(seed).next() ^", "SplitMix random((void(seed), 0) ^"),
    ),
    mutation(
        "rows-a-token-apart", "rows skip a token", CORPUS, ROWS,
        ("% training_sequences_)] * context_length_", "% training_sequences_)] * (context_length_ + 1)"),
    ),
    mutation(
        "next-file-from-its-second-token", "a row goes on in the next file after its start", CORPUS, ROWS,
        ("    begin += count;\n", "    begin += count + (left > count ? 1 : 0);\n"),
    ),
    mutation(
        "a-file-twice", "a file that is named twice is read twice", CORPUS, ROWS,
        ("return !seen.insert(fs::canonical(path)).second;", "return (void)seen.insert(path), false;"),
    ),
    # ---- token files ----
    mutation(
        "uint32-as-uint16", "wide tokens are read as two narrow ones", TOKENS, ROWS,
        ("case TokenType::kUint32: copy_tokens<uint32_t>", "case TokenType::kUint32: copy_tokens<uint16_t>"),
    ),
    mutation(
        "int16-as-uint16", "negative tokens pass for large ones", TOKENS, INDEX,
        ("case TokenType::kInt16: copy_tokens<int16_t>", "case TokenType::kInt16: copy_tokens<uint16_t>"),
    ),
    mutation(
        "llm-c-header-in-bytes", "llm.c's header is taken for 256 bytes", TOKENS, ROWS,
        ("header_ = kLlmCHeader;", "header_ = 256;"),
    ),
    mutation(
        "llm-c-widths-swapped", "llm.c's two formats are taken for each other", TOKENS, ROWS,
        ("type_ = magic == kLlmCUint16 ? TokenType::kUint16", "type_ = magic != kLlmCUint16 ? TokenType::kUint16"),
    ),
    mutation(
        "the-vocabularys-size-is-a-token", "the first number beyond the vocabulary passes", TOKENS, ROWS,
        ("token < 0 || token >= vocab_size", "token < 0 || token > vocab_size"),
    ),
    mutation(
        "fingerprint-of-samples", "of a large file only samples are in the fingerprint", TOKENS, ROWS,
        ("if (all_bytes || size_ <= kPiece * kPieces) {", "if (size_ <= kPiece * kPieces) {"),
    ),
    mutation(
        "changes-unnoticed", "a file that shrinks is read beyond its end", TOKENS, ROWS,
        ("  if (!mapped_.empty()) mapped_.front().expect_unchanged();\n  const uint8_t* first", "  const uint8_t* first"),
    ),
    # ---- Megatron ----
    mutation(
        "documents-in-tokens", "sequences are laid out in tokens, not in bytes", MEGATRON, INDEX,
        ("static_cast<uint64_t>(length) * size_of(header.type)", "static_cast<uint64_t>(length)"),
    ),
    mutation(
        "document-bounds-may-fall", "bounds of documents may go back", MEGATRON, INDEX,
        ("if (bound < before ||", "if (bound < 0 ||"),
    ),
    mutation(
        "document-bounds-beyond-the-end", "a document may end after the last sequence", MEGATRON, INDEX,
        ("static_cast<uint64_t>(bound) > header.sequences)", "static_cast<uint64_t>(bound) > header.sequences + 1)"),
    ),
    mutation(
        "megatron-types-swapped", "int32 is taken for int64", MEGATRON, INDEX,
        ("case 4: return TokenType::kInt32;", "case 4: return TokenType::kInt64;"),
    ),
    # ---- configuration ----
    mutation(
        "first-override-wins", "--set does not replace what was set", CONFIG, KEYS,
        ("table->insert_or_assign(keys.back(), *value.get(\"value\"));", "table->insert(keys.back(), *value.get(\"value\"));"),
    ),
    mutation(
        "farthest-key", "an unknown key is told the farthest known one", CONFIG, KEYS,
        ("edit_distance(a, name) < edit_distance(b, name)", "edit_distance(a, name) > edit_distance(b, name)"),
    ),
    mutation(
        "a-key-is-not-written", "the final fraction is lost where a configuration is kept", CONFIG, KEYS,
        ("{\"final_fraction\", c.schedule.final_fraction}", "{\"final_fraction\", 0.0}"),
    ),
    mutation(
        "tokens-of-a-step", "accumulation is not in the tokens of a step", CONFIG, KEYS,
        ("return training.batch_size * training.accumulation_steps * data.context_length;",
         "return training.batch_size * data.context_length;"),
    ),
    mutation(
        "stages-share-a-budget", "a stage's own top_k is ignored", CONFIG, KEYS,
        ("if (stage.top_k) options.top_k = *stage.top_k;", "(void)stage;"),
    ),
    mutation(
        "head-dim-by-key-heads", "the default head size divides by key heads", CONFIG, KEYS,
        ("c.hidden_size / c.num_attention_heads", "c.hidden_size / c.num_key_value_heads"),
    ),
    mutation(
        "a-changed-rate-passes", "a resume takes another learning rate without being told to", DIFFERENCE, ("test_train:Checkpoint.*:Config.*",),
        ("\"training.max_skipped_steps\",", "\"training.max_skipped_steps\", \"optimizer.learning_rate\","),
    ),
    mutation(
        "new-keys-are-no-difference", "a key that was absent before is not compared", DIFFERENCE, KEYS,
        ("keys.insert(current.begin(), current.end());", ""),
    ),
    # ---- memory ----
    mutation(
        "memory-of-one-moment", "AdamW's second moment is forgotten", MEMORY, BYTES,
        ("4 * kFloat * parameters(m);", "3 * kFloat * parameters(m);"),
    ),
    mutation(
        "memory-of-two-matrices", "the feed-forward part counts two of its three matrices", MEMORY, BYTES,
        ("3 * static_cast<double>(m.intermediate_size) + 2)", "2 * static_cast<double>(m.intermediate_size) + 2)"),
    ),
    mutation(
        "memory-of-one-sequence", "activations do not grow with the batch", MEMORY, BYTES,
        ("      static_cast<double>(config.training.batch_size) * static_cast<double>(config.data.context_length);",
         "      static_cast<double>(config.data.context_length);"),
    ),
    mutation(
        "memory-of-gate-without-up", "half of what the feed-forward part keeps is forgotten", MEMORY, BYTES,
        ("kept += 2 * w.intermediate;", "kept += w.intermediate;"),
    ),
    mutation(
        "recompute-where-there-is-room", "the policy that computes most again is tried first", DEVICE, BYTES,
        ("{Recompute::kNone, Recompute::kSelective, Recompute::kFull}", "{Recompute::kFull, Recompute::kSelective, Recompute::kNone}"),
    ),
]

"""Faults in data and configuration: corpora, token files, Megatron's index, keys, memory."""

from mutation import mutation

CORPUS = "src/train/corpus.cpp"
DATA_FILES = "src/train/data_files.cpp"
TOKEN_TYPE = "src/train/token_type.cpp"
TOKENS = "src/train/token_source.cpp"
TOKEN_CHECK = "src/train/token_check.cpp"
FORMATS = "src/train/data_format.cpp"
MEGATRON = "src/train/megatron_index.cpp"
CONFIG = "src/train/config.cpp"
OVERRIDES = "src/train/config_source.cpp"
WORDS = "src/text/nearest_word.cpp"
DIFFERENCE = "src/train/config_difference.cpp"
MEMORY = "src/train/memory_estimate.cpp"
DEVICE = "src/train/device.cpp"

ROWS = ("test_train:Corpus.*:HeldOut.*",)
INDEX = ("test_train:Megatron.*",)
KINDS = ("test_train:DataFormat.*:DataFiles.*:Corpus.*",)
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
        "a-file-twice", "a file that is named twice is read twice", DATA_FILES, ROWS,
        ("return !first;", "return false;"),
    ),
    # ---- token files ----
    mutation(
        "uint32-as-uint16", "wide tokens are read as two narrow ones", TOKEN_TYPE, ROWS,
        ("return copy_tokens<uint32_t>", "return copy_tokens<uint16_t>"),
    ),
    mutation(
        "int16-as-uint16", "negative tokens pass for large ones", TOKEN_TYPE, INDEX,
        ("return copy_tokens<int16_t>", "return copy_tokens<uint16_t>"),
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
        "fingerprint-of-samples", "of a large file only samples are in the fingerprint", CORPUS, ROWS,
        ("fingerprint_ = checksum(/*all_bytes=*/true);", "fingerprint_ = checksum(/*all_bytes=*/false);"),
    ),
    mutation(
        "changes-unnoticed", "a file that another process writes to is read on", TOKENS, ROWS,
        ("  file.expect(state_);\n  file.read(", "  file.read("),
    ),
    mutation(
        "width-not-by-the-vocabulary", "a token file without a header is always one of uint16", TOKENS, KINDS,
        ("vocab_size_ > kMostUint16 ? DataFormat::kUint32 : DataFormat::kUint16", "DataFormat::kUint16"),
    ),
    mutation(
        "wider-numbers-pass", "uint32 and int64 are read as narrower numbers", TOKEN_CHECK, KINDS,
        ("if (!wide) return;", "if (!wide || sample.size > 0) return;"),
    ),
    mutation(
        "big-endian-unexplained", "numbers of the other byte order are not told", TOKEN_CHECK, KINDS,
        ("std::reverse(piece.bytes.begin()", "std::rotate(piece.bytes.begin(), piece.bytes.begin()"),
    ),
    mutation(
        "utf-16-is-text", "text of two bytes a letter is read as bytes", FORMATS, KINDS,
        ("zeros[place] * 4 * 10 >= bytes * 8", "zeros[place] * 4 * 10 >= bytes * 80"),
    ),
    mutation(
        "shards-of-samples-are-tokens", "a long table of samples is read as tokens", FORMATS, KINDS,
        ("first > table + kLongestDescription", "first + 1 > table"),
    ),
    mutation(
        "text-for-every-vocabulary", "text is read by models of other tokens", CORPUS, KINDS,
        ("if (vocab_size > kMostByteTokens) {", "if (vocab_size < 0) {"),
    ),
    mutation(
        "times-never-differ", "changed data above 1 GiB passes at a resume", CORPUS, KINDS,
        ("record.times == times() && bytes > always", "record.times && bytes > always"),
    ),
    mutation(
        "only-the-time-that-programs-set", "data changed under its old time passes at a resume", CORPUS, KINDS,
        ("    checksum.add(static_cast<uint64_t>(source.state().changed));\n", ""),
    ),
    mutation(
        "a-runs-files-are-data", "a run that lies within its data reads its own files", DATA_FILES, KINDS,
        ("return std::find(run_folders_.begin(), run_folders_.end(), folder) != run_folders_.end();", "return folder.empty();"),
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
        "first-override-wins", "--set does not replace what was set", OVERRIDES, KEYS,
        ("table->insert_or_assign(keys_.back(), *value.get(\"value\"));", "table->insert(keys_.back(), *value.get(\"value\"));"),
    ),
    mutation(
        "farthest-key", "an unknown key is told the first or the farthest known one", WORDS, KEYS,
        ("if (distance >= least) continue;", "if (distance < least && nearest) continue;"),
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
        ("if (stage.top_k) options.top_k = stage.top_k;", "(void)stage;"),
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

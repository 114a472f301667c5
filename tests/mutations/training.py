"""Faults in the schedule, the optimiser, the loop, checkpoints, a run's folder and its record."""

from mutation import mutation

SCHEDULE = "src/train/schedule.cpp"
OPTIMIZER = "src/train/optimizer.cpp"
TRAINER = "src/train/trainer.cpp"
CHECKPOINT = "src/train/checkpoint.cpp"
RUN_FOLDER = "src/train/run_folder.cpp"
STORED_MODEL = "src/train/stored_model.cpp"
INITIAL_WEIGHTS = "src/train/initial_weights.cpp"
METRICS = "src/train/metrics.cpp"
TENSORBOARD = "src/train/tensorboard.cpp"

RATES = ("test_train:Schedule.*:Trainer.IsAPlainLoop",)
STEPS = ("test_train:Optimizer.*",)
LOOP = ("test_train:Trainer.*:Training.*",)
RESUMES = ("test_train:Checkpoint.*",)

TRAINING_FAULTS = [
    # ---- schedule ----
    mutation(
        "warm-up-from-zero", "the warm-up begins at a rate of 0 and ends below the peak", SCHEDULE, RATES,
        ("static_cast<double>(step + 1) /", "static_cast<double>(step) /"),
    ),
    mutation(
        "warm-up-one-longer", "the warm-up has one step more than asked for", SCHEDULE, RATES,
        ("if (step < schedule.warmup_steps) {", "if (step <= schedule.warmup_steps) {"),
    ),
    mutation(
        "decay-from-the-first-step", "the decay counts from step 0, not from the warm-up's end", SCHEDULE, RATES,
        ("double start = static_cast<double>(schedule.warmup_steps);", "double start = 0;"),
    ),
    mutation(
        "decay-ends-early", "the rate is 0 at the last step, not after it", SCHEDULE, RATES,
        ("(total - position) / (total - start)", "(total - 1 - position) / (total - 1 - start)"),
    ),
    mutation(
        "decay-fraction-of-the-start", "constant-then-decay decays after its share, not over it", SCHEDULE, RATES,
        ("total * (1 - schedule.decay_fraction)", "total * schedule.decay_fraction"),
    ),
    mutation(
        "cosine-rises", "the cosine runs the wrong way", SCHEDULE, RATES,
        ("0.5 * (1 - std::cos(", "0.5 * (1 + std::cos("),
    ),
    mutation(
        "final-fraction-on-top", "the final fraction is added to the rate", SCHEDULE, RATES,
        ("(1 - schedule.final_fraction) * shape", "shape"),
    ),
    # ---- optimiser ----
    mutation(
        "clipping-raises", "gradients below the limit are raised", OPTIMIZER, STEPS,
        (".clamp_min(1.0)", ".clamp_min(0.5)"),
    ),
    mutation(
        "clipping-inverted", "large gradients grow", OPTIMIZER, STEPS,
        ("((norm + 1e-6) / config_.clip_norm)", "(config_.clip_norm / (norm + 1e-6))"),
    ),
    mutation(
        "betas-swapped", "the moments have each other's decay", OPTIMIZER, STEPS,
        ("learning_rate, config_.beta1,", "learning_rate, config_.beta2,"),
        ("config_.beta2, matrices", "config_.beta1, matrices"),
    ),
    mutation(
        "gains-decay", "weight decay pulls norms' gains and biases", OPTIMIZER, STEPS,
        ("matrices ? config_.weight_decay : 0.0", "config_.weight_decay"),
    ),
    mutation(
        "skipped-steps-count", "a skipped step counts in the bias correction", OPTIMIZER, STEPS,
        ("at::_foreach_add_(counts, 1 - skipped);", "at::_foreach_add_(counts, torch::ones_like(skipped));"),
    ),
    mutation(
        "bias-correction-stands-still", "every step is corrected as if it were the first", OPTIMIZER, STEPS,
        ("at::_foreach_add_(counts, 1 - skipped);", "for (auto& count : counts) count.fill_(1 - skipped);"),
    ),
    mutation(
        "infinite-losses-pass", "a step is taken whose loss is not finite", OPTIMIZER, STEPS,
        ("torch::isfinite(norm).logical_and(torch::isfinite(value))", "torch::isfinite(norm)"),
    ),
    mutation(
        "gradients-pile-up", "gradients are not forgotten between steps", OPTIMIZER, LOOP,
        ("state.parameter.mutable_grad() = Tensor();", "(void)state;"),
    ),
    # ---- loop ----
    mutation(
        "labels-not-shifted", "each token is its own target", TRAINER, LOOP,
        ("rows.slice(1, 1).contiguous()};", "rows.slice(1, 0, context_length).contiguous()};"),
    ),
    mutation(
        "accumulation-not-divided", "gradients of a step's parts are added, not averaged", TRAINER, LOOP,
        ("to_device(batch.targets), training.accumulation_steps);", "to_device(batch.targets));"),
    ),
    mutation(
        "accumulation-repeats-data", "parts of a step read each other's sequences again", TRAINER, LOOP,
        ("(step * training.accumulation_steps + micro) * training.batch_size", "(step + micro) * training.batch_size"),
    ),
    mutation(
        "rows-of-a-batch-alike", "every row of a batch is the first", TRAINER, LOOP,
        ("corpus_.read_training_sequence(first + row, out);", "corpus_.read_training_sequence(first + 0 * row, out);"),
    ),
    mutation(
        "schedule-per-stage", "the decay ends with the stage, not with the run", TRAINER, LOOP,
        ("config_.optimizer.learning_rate, step, config_.total_steps());", "config_.optimizer.learning_rate, step, stage.steps);"),
    ),
    mutation(
        "retained-share-above-one", "a pyramid larger than the sequence counts as more than all of it", TRAINER, LOOP,
        ("std::min(1.0, static_cast<double>(retained) / static_cast<double>(context))",
         "static_cast<double>(retained) / static_cast<double>(context)"),
    ),
    mutation(
        "skips-never-forgotten", "steps that were skipped long ago stop a run", TRAINER, LOOP,
        ("progress.skipped_in_a_row + 1 : 0;", "progress.skipped_in_a_row + 1 : progress.skipped_in_a_row;"),
    ),
    mutation(
        "skips-before-a-resume-add-up", "a resume takes all recorded skips for consecutive ones", TRAINER, LOOP,
        ("record->skipped && record->step == step - count;", "record->skipped && record->step <= step;"),
    ),
    mutation(
        "validation-over-too-many", "the mean is over the sequences asked for, not those there are", TRAINER, LOOP,
        ("sum / static_cast<double>(count)", "sum / static_cast<double>(config_.training.validation_sequences)"),
    ),
    mutation(
        "validation-not-dense", "the dense loss is taken under Lighthouse", TRAINER, LOOP,
        ("decoder_->set_attention(model::AttentionKind::kDense, dense);", "(void)dense;"),
    ),
    mutation(
        "attention-lost-after-validation", "training goes on densely after a validation", TRAINER, RESUMES,
        ("  apply_attention(stage);\n  record.time", "  record.time"),
    ),
    mutation(
        "a-run-goes-on-one-late", "a resume leaves out a step", TRAINER, RESUMES,
        ("position_ = position;", "position_ = position;\n  ++position_.step;"),
    ),
    mutation(
        "changed-data-passes", "a resume takes other data", TRAINER, RESUMES,
        ("if (!corpus_.matches(checkpoint.data)) {", "if (false) {"),
    ),
    # ---- checkpoints ----
    mutation(
        "random-state-not-restored", "what is drawn after a resume is drawn anew", CHECKPOINT, RESUMES,
        ("generator.set_state(checkpoint.random_state);", ""),
    ),
    mutation(
        "second-moments-not-restored", "a resume forgets the gradients' sizes", CHECKPOINT, RESUMES,
        ("to_second.copy_(second.at(state.name));", "to_second.zero_();"),
    ),
    mutation(
        "optimizer-steps-not-restored", "the bias correction begins again", CHECKPOINT, RESUMES,
        ("to_steps.copy_(steps.at(state.name));", "to_steps.zero_();"),
    ),
    mutation(
        "checkpoints-in-the-order-of-names", "the newest checkpoint is the last of the alphabet", CHECKPOINT, RESUMES,
        ("std::sort(found.begin(), found.end());",
         "std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.second < b.second; });"),
    ),
    mutation(
        "rotation-removes-the-newest", "of too many checkpoints the new ones go", RUN_FOLDER, RESUMES,
        ("if (path == paths.rbegin() || (*taken && kept < config_.checkpoint.keep)) {",
         "if (path + 1 == paths.rend() || (*taken && path - paths.rbegin() >= config_.checkpoint.keep)) {"),
    ),
    mutation(
        "rotation-keeps-one-less", "one checkpoint fewer is kept than asked for", RUN_FOLDER, RESUMES,
        ("kept < config_.checkpoint.keep)", "kept + 1 < config_.checkpoint.keep)"),
    ),
    mutation(
        "record-not-cut-back", "steps that come again stand twice in the record", RUN_FOLDER, RESUMES,
        ("checkpoint ? checkpoint->metrics_bytes : 0;", "fs::exists(folder_ / kMetricsName) ? fs::file_size(folder_ / kMetricsName) : 0;"),
    ),
    mutation(
        "old-result-stays", "a run that goes on still shows its old model", RUN_FOLDER, RESUMES,
        ("if (checkpoint && checkpoint->position.step < config_.total_steps())", "if (false)"),
    ),
    mutation(
        "stored-model-of-the-oldest", "the oldest checkpoint stands for a run, before its result", STORED_MODEL, ("test_train:Checkpoint.*:StoredModel.*",),
        ("for (auto file = files.rbegin(); file != files.rend(); ++file) {",
         "for (auto file = files.begin(); file != files.end(); ++file) {"),
    ),
    mutation(
        "initial-weights-not-taken", "a run from other weights starts from fresh ones", INITIAL_WEIGHTS, ("test_train:InitialWeights.*",),
        ("model::load_parameters(*decoder, stored.weights, stored.file.string());", "(void)decoder;"),
    ),
    # ---- record ----
    mutation(
        "skips-not-recorded", "the record does not say which steps were skipped", METRICS, ("test_train:Training.*:Metrics.*",),
        ('if (record.skipped) line["skipped"] = true;', ""),
    ),
    mutation(
        "record-read-beyond-the-checkpoint", "a resume reads lines of steps that are to come again", METRICS, ("test_train:Metrics.*",),
        ("if (bytes) text.resize(*bytes);", ""),
    ),
    mutation(
        "crc-not-masked", "TensorBoard's checksums are plain", TENSORBOARD, ("test_train:TensorBoard.*",),
        ("return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;", "return crc;"),
    ),
    mutation(
        "varint-of-128", "numbers that begin a new byte are written short", TENSORBOARD, ("test_train:TensorBoard.*",),
        ("value >= 0x80; value >>= 7", "value > 0x80; value >>= 7"),
    ),
    mutation(
        "event-without-its-step", "TensorBoard's step stands in another field", TENSORBOARD, ("test_train:TensorBoard.*",),
        ("constexpr uint32_t kEventStep = 2;", "constexpr uint32_t kEventStep = 4;"),
    ),
]

#include "train/config_keys.h"

namespace lighthouse::train {

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys = {
      {"seed", "0", "of weights and data order"},
      {"output_dir", "\"runs/default\"", "the run's folder"},
      {"init", "\"\"",
       "a run, checkpoint or imported model whose weights to start from (--init); empty: fresh weights"},
      {"model.vocab_size", "256", "at least 256; tokens of text are bytes"},
      {"model.hidden_size", "128", "width C"},
      {"model.intermediate_size", "384", "width inside the feed-forward layers"},
      {"model.num_hidden_layers", "4", "layers"},
      {"model.num_attention_heads", "4", "query heads H"},
      {"model.num_key_value_heads", "H", "key/value heads K; divides H"},
      {"model.head_dim", "C / H", "head dimension D, even"},
      {"model.rope_theta", "10000", "base of the rotary frequencies"},
      {"model.rope_scaling", "none",
       "Llama-3 scaling: a table of factor, low_freq_factor, high_freq_factor, original_max_position_embeddings"},
      {"model.rms_norm_eps", "1e-5", "of the norms"},
      {"model.tie_word_embeddings", "false", "one matrix for the embedding and the output"},
      {"model.initializer_range", "0.02", "standard deviation of fresh matrices"},
      {"model.full_attention_layers", "[]", "layers that attend densely in every stage"},
      {"attention.num_levels", "3", "L, 1 to 64"},
      {"attention.pooling_factor", "4", "p, at least 2"},
      {"attention.top_k", "N / 64", "k, even: windows expanded per level; by rule, about N / 64"},
      {"attention.num_tiles", "by rule", "n; divides k / 2"},
      {"attention.cover_prefix", "true", "every position has an output"},
      {"attention.causal_selection", "false", "locally causal selection"},
      {"data.paths", "required", "files, and folders that are searched"},
      {"data.include", "[]", "patterns that files found in folders must match; empty: every file"},
      {"data.exclude", "[]", "names or patterns of files and folders to pass over in folders"},
      {"data.format", "\"auto\"",
       "\"text\", \"bytes\", \"uint16\", \"uint32\", \"llm.c\", \"megatron\"; auto: .bin files hold tokens, all others "
       "text"},
      {"data.context_length", "4096", "N, tokens of a training sequence"},
      {"data.validation_fraction", "0.02", "share of the tokens held out, 0 to 0.5"},
      {"optimizer.learning_rate", "2e-3", "peak"},
      {"optimizer.beta1", "0.9", "AdamW"},
      {"optimizer.beta2", "0.95", "AdamW"},
      {"optimizer.epsilon", "1e-8", "AdamW"},
      {"optimizer.weight_decay", "0.1", "of matrices; gains of norms are not decayed"},
      {"optimizer.clip_norm", "1.0", "limit of the gradient's norm; 0: none"},
      {"schedule.kind", "\"linear\"", "\"constant\", \"linear\", \"cosine\", \"constant-then-decay\""},
      {"schedule.warmup_steps", "0", "linear rise at the start"},
      {"schedule.decay_fraction", "0.25", "constant-then-decay: share of all steps, at the end, that falls"},
      {"schedule.final_fraction", "0", "of the peak, where the decay ends"},
      {"training.batch_size", "1", "sequences per forward pass"},
      {"training.accumulation_steps", "1", "forward passes per optimiser step"},
      {"training.validation_interval", "0", "steps; 0: at the ends of stages only"},
      {"training.validation_sequences", "4", "held-out sequences per validation; 0: none"},
      {"training.log_interval", "1", "steps per line of metrics.jsonl"},
      {"training.num_threads", "0", "0: torch's default"},
      {"training.device", "\"auto\"", "\"cpu\" or \"cuda\"; auto: a GPU where this build can use one"},
      {"training.precision", "\"auto\"",
       "\"float32\" or \"bfloat16\", of products and activations; auto: bfloat16 on a GPU"},
      {"training.recompute", "\"auto\"",
       "\"none\", \"selective\", \"full\": what backward computes again; auto: least that fits"},
      {"training.deterministic", "false", "bit-identical runs on a GPU too, at a cost"},
      {"training.inner_kernel", "\"auto\"",
       "torch's attention kernel: \"cudnn\", \"flash\", \"efficient\", \"math\"; auto: LIGHTHOUSE_INNER, else the "
       "fastest"},
      {"training.max_skipped_steps", "10", "steps in a row that may be skipped for not being finite"},
      {"checkpoint.interval", "200", "steps; 0: at the ends of stages and where a run is stopped only"},
      {"checkpoint.keep", "2", "checkpoints kept, the newest"},
      {"stages.attention", "\"lighthouse\"", "or \"dense\""},
      {"stages.steps", "required", "optimiser steps"},
      {"stages.name", "its attention", "in logs and metrics; no two alike"},
      {"stages.top_k", "attention.top_k", "the stage's own budget"},
  };
  return keys;
}

std::string describe_config_keys() {
  std::string text;
  std::string section = "none yet";
  for (const auto& [key, default_value, meaning] : config_keys()) {
    const size_t dot = key.find('.');
    const std::string its_section = dot == std::string::npos ? "" : key.substr(0, dot);
    if (its_section != section) {
      section = its_section;
      text += section.empty() ? "" : section == "stages" ? "\n[[stages]]\n" : "\n[" + section + "]\n";
    }
    const std::string name = "  " + (dot == std::string::npos ? key : key.substr(dot + 1)) + " = " + default_value;
    text += name + std::string(name.size() < 36 ? 36 - name.size() : 1, ' ') + meaning + "\n";
  }
  return text;
}

}  // namespace lighthouse::train

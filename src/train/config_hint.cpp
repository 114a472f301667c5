#include "train/config_hint.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

#include "text/nearest_word.h"
#include "train/config_keys.h"

namespace lighthouse::train {
namespace {

/// Names that other trainers have for these keys.
const std::map<std::string, std::string>& names_elsewhere() {
  static const std::map<std::string, std::string> names = {
      {"lr", "optimizer.learning_rate"},
      {"max_lr", "optimizer.learning_rate"},
      {"peak_lr", "optimizer.learning_rate"},
      {"base_lr", "optimizer.learning_rate"},
      {"wd", "optimizer.weight_decay"},
      {"eps", "optimizer.epsilon"},
      {"adam_beta1", "optimizer.beta1"},
      {"adam_beta2", "optimizer.beta2"},
      {"adam_epsilon", "optimizer.epsilon"},
      {"clip", "optimizer.clip_norm"},
      {"grad_clip", "optimizer.clip_norm"},
      {"max_norm", "optimizer.clip_norm"},
      {"max_grad_norm", "optimizer.clip_norm"},
      {"gradient_clipping", "optimizer.clip_norm"},
      {"min_lr", "schedule.final_fraction"},
      {"min_lr_ratio", "schedule.final_fraction"},
      {"warmup", "schedule.warmup_steps"},
      {"warmup_iters", "schedule.warmup_steps"},
      {"num_warmup_steps", "schedule.warmup_steps"},
      {"lr_scheduler", "schedule.kind"},
      {"lr_scheduler_type", "schedule.kind"},
      {"lr_schedule", "schedule.kind"},
      {"micro_batch_size", "training.batch_size"},
      {"per_device_train_batch_size", "training.batch_size"},
      {"grad_accum", "training.accumulation_steps"},
      {"gradient_accumulation", "training.accumulation_steps"},
      {"gradient_accumulation_steps", "training.accumulation_steps"},
      {"eval_interval", "training.validation_interval"},
      {"eval_steps", "training.validation_interval"},
      {"eval_iters", "training.validation_sequences"},
      {"logging_steps", "training.log_interval"},
      {"dtype", "training.precision"},
      {"bf16", "training.precision"},
      {"threads", "training.num_threads"},
      {"activation_checkpointing", "training.recompute"},
      {"gradient_checkpointing", "training.recompute"},
      {"save_interval", "checkpoint.interval"},
      {"save_steps", "checkpoint.interval"},
      {"checkpoint_interval", "checkpoint.interval"},
      {"save_total_limit", "checkpoint.keep"},
      {"seq_len", "data.context_length"},
      {"seq_length", "data.context_length"},
      {"sequence_length", "data.context_length"},
      {"max_seq_len", "data.context_length"},
      {"block_size", "data.context_length"},
      {"context", "data.context_length"},
      {"dataset", "data.paths"},
      {"data_path", "data.paths"},
      {"train_data", "data.paths"},
      {"val_fraction", "data.validation_fraction"},
      {"steps", "stages.steps"},
      {"max_steps", "stages.steps"},
      {"num_steps", "stages.steps"},
      {"max_iters", "stages.steps"},
      {"train_steps", "stages.steps"},
      {"n_layer", "model.num_hidden_layers"},
      {"n_layers", "model.num_hidden_layers"},
      {"num_layers", "model.num_hidden_layers"},
      {"n_head", "model.num_attention_heads"},
      {"n_heads", "model.num_attention_heads"},
      {"num_heads", "model.num_attention_heads"},
      {"n_kv_head", "model.num_key_value_heads"},
      {"n_kv_heads", "model.num_key_value_heads"},
      {"num_kv_heads", "model.num_key_value_heads"},
      {"dim", "model.hidden_size"},
      {"d_model", "model.hidden_size"},
      {"n_embd", "model.hidden_size"},
      {"hidden_dim", "model.hidden_size"},
      {"d_ff", "model.intermediate_size"},
      {"ffn_dim", "model.intermediate_size"},
      {"ffn_hidden_size", "model.intermediate_size"},
      {"d_head", "model.head_dim"},
      {"norm_eps", "model.rms_norm_eps"},
      {"tie_embeddings", "model.tie_word_embeddings"},
      {"k", "attention.top_k"},
      {"levels", "attention.num_levels"},
      {"out_dir", "output_dir"},
      {"init_from", "init"},
  };
  return names;
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

/// A key of config_keys() as an override names it.
std::string as_set(const std::string& key) {
  const std::string stages = "stages.";
  return key.starts_with(stages) ? stages + "0." + key.substr(stages.size()) : key;
}

/// A key of another section with exactly this name.
std::optional<std::string> key_elsewhere(const std::string& name) {
  for (const auto& known : config_keys()) {
    if (last_part(known.key) == name) return as_set(known.key);
  }
  return std::nullopt;
}

std::optional<std::string> nearest_key(const std::string& section, const std::string& key,
                                       const std::vector<std::string>& known) {
  std::string name = key;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(c == '-' ? '_' : std::tolower(c)); });
  const std::string prefix = section.empty() ? "" : section + ".";
  const auto in_section = [&](const std::string& one) {
    return std::find(known.begin(), known.end(), one) != known.end();
  };
  if (in_section(name)) return prefix + name;
  const auto elsewhere = names_elsewhere().find(name);
  if (elsewhere != names_elsewhere().end()) {
    const std::string meant = last_part(elsewhere->second);
    return in_section(meant) ? prefix + meant : as_set(elsewhere->second);
  }
  if (const auto other = key_elsewhere(name)) return other;
  if (const auto here = text::nearest_word(name, known)) return prefix + *here;
  std::vector<std::string> names;
  for (const auto& one : config_keys()) names.push_back(last_part(one.key));
  const auto anywhere = text::nearest_word(name, names);
  return anywhere ? key_elsewhere(*anywhere) : std::nullopt;
}

}  // namespace

std::string hint_for_key(const std::string& section, const std::string& key, const std::vector<std::string>& known) {
  if (const auto nearest = nearest_key(section, key, known)) return "; the nearest known one is " + *nearest;
  return "; expected one of " + text::joined(known);
}

}  // namespace lighthouse::train

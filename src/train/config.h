// A training run's configuration: TOML in, checked structs out. docs/CONFIG.md lists every key.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lighthouse/attention.h"
#include "model/config.h"
#include "model/recompute.h"

namespace lighthouse::train {

/// How data files store tokens; train/token_source.h has the formats.
enum class DataFormat { kAuto, kText, kBytes, kUint16, kUint32, kLlmC, kMegatron };

struct DataConfig {
  std::vector<std::string> paths;    ///< Files, and folders that are searched recursively.
  std::vector<std::string> include;  ///< File-name patterns such as "*.py", for folders. Empty: every file.
  std::vector<std::string> exclude;  ///< Names of files and folders inside folders to pass over; patterns too.
  DataFormat format = DataFormat::kAuto;
  int64_t context_length = 4096;
  double validation_fraction = 0.02;
};

struct OptimizerConfig {
  double learning_rate = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1.0;  ///< 0: no clipping.
};

enum class ScheduleKind { kConstant, kLinear, kCosine, kConstantThenDecay };

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::kLinear;
  int64_t warmup_steps = 0;
  double decay_fraction = 0.25;  ///< constant-then-decay: the share of all steps, at the end, that decays.
  double final_fraction = 0.0;   ///< Of the learning rate, where the decay ends: one step after the last.
};

enum class Device { kAuto, kCpu, kCuda };
enum class Precision { kAuto, kFloat32, kBFloat16 };

struct TrainingConfig {
  int64_t batch_size = 1;           ///< Sequences per forward pass.
  int64_t accumulation_steps = 1;   ///< Forward passes per optimiser step.
  int64_t validation_interval = 0;  ///< Steps; 0: at the ends of stages only.
  int64_t validation_sequences = 4;
  int64_t log_interval = 1;                ///< Steps per metrics line.
  int64_t num_threads = 0;                 ///< 0: torch's default.
  Device device = Device::kAuto;           ///< Auto: a GPU where this build can use one.
  Precision precision = Precision::kAuto;  ///< Of products and activations. Auto: bfloat16 on a GPU, float32 on a CPU.
  std::optional<model::Recompute> recompute;  ///< Default: what computes least again and fits.
  bool deterministic = false;                 ///< Bit-identical runs on a GPU too, at a cost.
  InnerKernel inner_kernel = InnerKernel::kAuto;
  int64_t max_skipped_steps = 10;  ///< In a row, for losses or gradients that are not finite, before a run stops.
};

struct CheckpointConfig {
  int64_t interval = 200;  ///< Steps; 0: at the ends of stages, and where a run is stopped, only.
  int64_t keep = 2;        ///< The newest are kept.
};

struct StageConfig {
  std::string name;
  bool lighthouse = true;  ///< Otherwise dense.
  int64_t steps = 0;
  std::optional<int64_t> top_k;  ///< In place of attention.top_k.
};

struct RunConfig {
  int64_t seed = 0;
  std::string output_dir = "runs/default";
  std::string init;  ///< A run, a checkpoint or an imported model whose weights are the first; empty: fresh weights.
  model::ModelConfig model;
  SelectionOptions attention;  ///< Its top_k, where absent, is the default of data.context_length.
  DataConfig data;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  TrainingConfig training;
  CheckpointConfig checkpoint;
  std::vector<StageConfig> stages;

  int64_t total_steps() const;
  /// Tokens of one optimiser step.
  int64_t tokens_per_step() const;
  /// Lighthouse options of a stage, its own top_k applied.
  AttentionOptions attention_of(const StageConfig& stage) const;
};

/// What a configuration is read for.
struct ConfigUse {
  bool trains = true;                                 ///< Otherwise data.paths and stages may be absent.
  const model::ModelConfig* model_of_init = nullptr;  ///< What keys of [model] that are left out are taken from.
};

/// Reads and checks a file, after the overrides ("optimizer.learning_rate=1e-3", "stages.0.steps=20"; a value that is
/// not TOML is taken as text). Throws std::invalid_argument naming the key, what was expected and what came; an unknown
/// key also names the nearest known one.
RunConfig load_config(const std::filesystem::path& path, const std::vector<std::string>& overrides = {},
                      const ConfigUse& use = {});

/// The same from text; `source` names it in errors.
RunConfig parse_config(const std::string& text, const std::string& source,
                       const std::vector<std::string>& overrides = {}, const ConfigUse& use = {});

/// TOML that load_config reads back to the same configuration.
std::string to_toml(const RunConfig& config);

}  // namespace lighthouse::train

#include "train/checkpoint.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "io/checksum.h"
#include "io/json.h"
#include "io/system_error.h"

namespace lighthouse::train {
namespace {

namespace fs = std::filesystem;
using model::NamedTensors;

constexpr std::string_view kFirstMoment = "optimizer.exp_avg.";
constexpr std::string_view kSecondMoment = "optimizer.exp_avg_sq.";
constexpr std::string_view kStep = "optimizer.step.";
constexpr std::string_view kRandomState = "random_state.cpu";
constexpr std::string_view kFormat = "lighthouse checkpoint 1";
constexpr const char* kKind = "kind";
constexpr const char* kSkipped = "skipped_in_a_row";
constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kSuffix = ".safetensors";

[[noreturn]] void fail(const std::string& source, const std::string& what) {
  throw std::runtime_error(source + ": " + what);
}

void append(NamedTensors& out, std::string_view prefix, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) out.emplace_back(std::string(prefix) + name, tensor);
}

/// Metadata of a checkpoint by name, each as text.
class MetadataReader {
 public:
  MetadataReader(const model::Metadata& metadata, std::string source)
      : metadata_(metadata), source_(std::move(source)) {}

  const std::string& text(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) fail(source_, "its metadata has no \"" + key + "\"; is it a checkpoint?");
    return found->second;
  }

  template <typename T>
  T number(const std::string& key, int base = 10) const {
    const std::string& digits = text(key);
    T value{};
    const auto [end, error] = parse(digits, value, base);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
      fail(source_, "its metadata's \"" + key + "\" must be a number; got \"" + digits + "\"");
    }
    return value;
  }

 private:
  static std::from_chars_result parse(const std::string& digits, double& value, int) {
    return std::from_chars(digits.data(), digits.data() + digits.size(), value);
  }
  template <typename T>
  static std::from_chars_result parse(const std::string& digits, T& value, int base) {
    return std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  }

  const model::Metadata& metadata_;
  std::string source_;
};

/// Older releases did not say.
int64_t skipped_in(const model::Metadata& texts, const MetadataReader& metadata) {
  return texts.contains(kSkipped) ? metadata.number<int64_t>(kSkipped) : 0;
}

/// Shortest text that reads back to the same value.
std::string exact_text(double value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

std::string shape_and_type(const torch::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << " " << tensor.sizes();
  return text.str();
}

/// Compares tensors with those that are expected under the same names, and collects what does not fit.
class Comparison {
 public:
  void expect(std::string_view kind, const NamedTensors& expected, const NamedTensors& got) {
    std::map<std::string, torch::Tensor> left(got.begin(), got.end());
    for (const auto& [name, tensor] : expected) {
      const auto found = left.find(name);
      if (found == left.end()) {
        text_ += "\n  missing: " + std::string(kind) + name;
        continue;
      }
      if (shape_and_type(found->second) != shape_and_type(tensor)) {
        text_ += "\n  " + std::string(kind) + name + ": expected " + shape_and_type(tensor) + ", got " +
                 shape_and_type(found->second);
      }
      left.erase(found);
    }
    for (const auto& [name, tensor] : left) text_ += "\n  unexpected: " + std::string(kind) + name;
  }

  void finish(const std::string& source) const {
    if (!text_.empty()) throw std::runtime_error(source + " does not fit the model:" + text_);
  }

 private:
  std::string text_;
};

NamedTensors counts_like(const NamedTensors& tensors) {
  NamedTensors counts;
  for (const auto& [name, tensor] : tensors) counts.emplace_back(name, torch::zeros({}, torch::kInt64));
  return counts;
}

}  // namespace

Checkpoint take_checkpoint(const RunConfig& config, const model::Decoder& decoder, const AdamW& optimizer) {
  Checkpoint checkpoint;
  checkpoint.config = config;
  checkpoint.weights = model::named_parameters(*decoder);
  for (auto& [name, tensor] : checkpoint.weights) tensor = tensor.cpu();
  for (const AdamW::State& state : optimizer.states()) {
    checkpoint.first_moments.emplace_back(state.name, state.first_moment.cpu());
    checkpoint.second_moments.emplace_back(state.name, state.second_moment.cpu());
    checkpoint.optimizer_steps.emplace_back(state.name, state.steps.cpu().to(torch::kInt64));
  }
  checkpoint.random_state = at::globalContext().defaultGenerator(at::kCPU).get_state();
  return checkpoint;
}

void restore_checkpoint(const Checkpoint& checkpoint, model::Decoder& decoder, AdamW& optimizer,
                        const std::string& source) {
  const NamedTensors parameters = model::named_parameters(*decoder);
  // A run that was stopped before its first step by an older release has no state.
  const NamedTensors none;
  const bool has_state = checkpoint.position.step > 0 || !checkpoint.first_moments.empty();
  const NamedTensors& with_state = has_state ? parameters : none;
  Comparison comparison;
  comparison.expect("", parameters, checkpoint.weights);
  comparison.expect(kFirstMoment, with_state, checkpoint.first_moments);
  comparison.expect(kSecondMoment, with_state, checkpoint.second_moments);
  comparison.expect(kStep, counts_like(with_state), checkpoint.optimizer_steps);
  comparison.finish(source);

  at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
  generator.set_state(checkpoint.random_state);
  model::load_parameters(*decoder, checkpoint.weights, source);
  const std::map<std::string, torch::Tensor> first(checkpoint.first_moments.begin(), checkpoint.first_moments.end());
  const std::map<std::string, torch::Tensor> second(checkpoint.second_moments.begin(), checkpoint.second_moments.end());
  const std::map<std::string, torch::Tensor> steps(checkpoint.optimizer_steps.begin(),
                                                   checkpoint.optimizer_steps.end());
  const torch::NoGradGuard no_grad;
  for (const AdamW::State& state : optimizer.states()) {
    torch::Tensor to_first = state.first_moment;
    torch::Tensor to_second = state.second_moment;
    torch::Tensor to_steps = state.steps;
    if (has_state) {
      to_first.copy_(first.at(state.name));
      to_second.copy_(second.at(state.name));
      to_steps.copy_(steps.at(state.name));
    } else {
      to_first.zero_();
      to_second.zero_();
      to_steps.zero_();
    }
  }
}

void write_checkpoint(const fs::path& path, const Checkpoint& checkpoint) {
  NamedTensors tensors = checkpoint.weights;
  append(tensors, kFirstMoment, checkpoint.first_moments);
  append(tensors, kSecondMoment, checkpoint.second_moments);
  append(tensors, kStep, checkpoint.optimizer_steps);
  tensors.emplace_back(kRandomState, checkpoint.random_state);
  model::Metadata metadata = to_metadata(checkpoint.data);
  metadata.merge(model::Metadata{{kKind, std::string(kFormat)},
                                 {"step", std::to_string(checkpoint.position.step)},
                                 {"stages_done", std::to_string(checkpoint.position.stages_done)},
                                 {"seconds", exact_text(checkpoint.position.seconds)},
                                 {kSkipped, std::to_string(checkpoint.skipped_in_a_row)},
                                 {"metrics_bytes", std::to_string(checkpoint.metrics_bytes)},
                                 {"environment", io::json_text(io::Json(checkpoint.environment))},
                                 {"config", to_toml(checkpoint.config)}});
  model::write_safetensors(path, tensors, metadata);
}

Checkpoint read_checkpoint(const fs::path& path) {
  const std::string source = path.string();
  model::SafetensorsFile file = model::read_safetensors(path);
  const MetadataReader metadata(file.metadata, source);
  if (!file.checksum_verified && !file.rewritten && file.metadata.contains(kKind)) {
    throw io::DamagedFile(source + ": it has no checksum; expected a checkpoint, which always has one");
  }
  if (metadata.text(kKind) != kFormat) {
    fail(source, "expected a \"" + std::string(kFormat) + "\"; got a \"" + metadata.text(kKind) +
                     "\", perhaps of another release");
  }
  Checkpoint checkpoint;
  checkpoint.position.step = metadata.number<int64_t>("step");
  checkpoint.position.stages_done = metadata.number<int64_t>("stages_done");
  checkpoint.position.seconds = metadata.number<double>("seconds");
  const auto data = record_in(file.metadata);
  if (!data) fail(source, "its metadata's \"data_fingerprint\" must be a hexadecimal number");
  checkpoint.data = *data;
  checkpoint.skipped_in_a_row = skipped_in(file.metadata, metadata);
  checkpoint.rewritten = file.rewritten;
  checkpoint.metrics_bytes = metadata.number<uint64_t>("metrics_bytes");
  checkpoint.config = parse_config(metadata.text("config"), source + ", its configuration");
  const auto environment = io::parse_json(metadata.text("environment"), source + ", its environment");
  if (environment.is_object()) checkpoint.environment = environment.get<Environment>();

  for (auto& [name, tensor] : file.tensors) {
    const auto take = [&, &name = name, &tensor = tensor](std::string_view prefix, NamedTensors& into) {
      if (!name.starts_with(prefix)) return false;
      into.emplace_back(name.substr(prefix.size()), tensor);
      return true;
    };
    if (name == kRandomState) {
      checkpoint.random_state = tensor;
    } else if (!take(kFirstMoment, checkpoint.first_moments) && !take(kSecondMoment, checkpoint.second_moments) &&
               !take(kStep, checkpoint.optimizer_steps)) {
      checkpoint.weights.emplace_back(name, tensor);
    }
  }
  if (!checkpoint.random_state.defined()) fail(source, "it has no tensor " + std::string(kRandomState));
  return checkpoint;
}

int64_t read_skipped_in_a_row(const fs::path& path) {
  const model::Metadata metadata = model::read_safetensors_metadata(path);
  return skipped_in(metadata, MetadataReader(metadata, path.string()));
}

fs::path checkpoint_path(const fs::path& folder, int64_t step) {
  char name[64];
  std::snprintf(name, sizeof(name), "step-%08lld.safetensors", static_cast<long long>(step));
  return folder / name;
}

std::optional<int64_t> step_of_name(const std::string& name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix) || name.size() < kPrefix.size() + kSuffix.size()) {
    return std::nullopt;
  }
  const char* const last = name.data() + name.size() - kSuffix.size();
  int64_t step = 0;
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), last, step);
  if (parsed.ec != std::errc{} || parsed.ptr != last) return std::nullopt;
  return step;
}

namespace {

/// Files named as checkpoints with `suffix` after it, by their steps.
std::vector<fs::path> list_by_step(const fs::path& folder, const std::string& suffix) {
  std::error_code error;
  fs::directory_iterator walk(folder, error);
  if (error == std::errc::no_such_file_or_directory) return {};
  std::vector<std::pair<int64_t, fs::path>> found;
  for (const fs::directory_iterator end; !error && walk != end; walk.increment(error)) {
    const std::string name = walk->path().filename().string();
    if (!name.ends_with(suffix)) continue;
    const auto step = step_of_name(name.substr(0, name.size() - suffix.size()));
    if (step) found.emplace_back(*step, walk->path());
  }
  if (error) io::fail_system("cannot list the checkpoints in", folder, error.value());
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

}  // namespace

std::vector<fs::path> list_checkpoints(const fs::path& folder) { return list_by_step(folder, ""); }

std::vector<fs::path> list_damaged(const fs::path& folder) { return list_by_step(folder, kDamagedSuffix); }

}  // namespace lighthouse::train

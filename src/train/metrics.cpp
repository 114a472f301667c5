#include "train/metrics.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "io/system_error.h"

namespace lighthouse::train {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no infinities; they are written as null.
double number(const Json& line, const char* key) {
  const Json& value = line.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

StepRecord step_of(const Json& line) {
  StepRecord record;
  line.at("step").get_to(record.step);
  line.at("tokens").get_to(record.tokens);
  record.seconds = number(line, "seconds");
  record.time = line.value("time", 0.0);
  line.at("stage").get_to(record.stage);
  line.at("attention").get_to(record.attention);
  record.loss = number(line, "loss");
  record.learning_rate = number(line, "learning_rate");
  record.gradient_norm = number(line, "gradient_norm");
  record.tokens_per_second = number(line, "tokens_per_second");
  record.retained_fraction = number(line, "retained_fraction");
  record.skipped = line.value("skipped", false);
  return record;
}

ValidationRecord validation_of(const Json& line) {
  ValidationRecord record;
  line.at("step").get_to(record.step);
  line.at("tokens").get_to(record.tokens);
  record.seconds = number(line, "seconds");
  record.time = line.value("time", 0.0);
  line.at("stage").get_to(record.stage);
  line.at("stage_end").get_to(record.stage_end);
  record.dense_loss = number(line, "dense_loss");
  if (line.contains("lighthouse_loss")) record.lighthouse_loss = number(line, "lighthouse_loss");
  return record;
}

void read_line(const std::string& text, Metrics& metrics) try {
  const Json line = Json::parse(text);
  const auto kind = line.at("kind").get<std::string>();
  if (kind == "step") {
    metrics.steps.push_back(step_of(line));
  } else if (kind == "validation") {
    metrics.validations.push_back(validation_of(line));
  } else {
    throw std::runtime_error("unknown kind \"" + kind + "\"");
  }
} catch (const Json::exception& error) {
  const std::string what = error.what();  // after the library's own name for it, in brackets
  throw std::runtime_error("expected a record that train wrote; got " + text.substr(0, 80) +
                           (text.size() > 80 ? "..." : "") + " (" + what.substr(what.find("] ") + 2) + ")");
}

}  // namespace

int64_t count_skipped(const std::vector<StepRecord>& steps) {
  return std::count_if(steps.begin(), steps.end(), [](const StepRecord& step) { return step.skipped; });
}

Metrics read_metrics(const std::filesystem::path& path, std::optional<uint64_t> bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) io::fail_system("cannot open", path);
  std::ostringstream all;
  all << file.rdbuf();
  std::string text = std::move(all).str();
  if (bytes && text.size() < *bytes) {
    throw std::runtime_error(path.string() + " is shorter than it was: expected at least " + std::to_string(*bytes) +
                             " bytes; got " + std::to_string(text.size()));
  }
  if (bytes) text.resize(*bytes);
  Metrics metrics;
  size_t number = 1;
  for (size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1, ++number) {
    try {
      read_line(text.substr(begin, end - begin), metrics);
    } catch (const std::exception& error) {
      throw std::runtime_error(path.string() + ", line " + std::to_string(number) + ": " + error.what());
    }
  }
  return metrics;
}

void MetricsFile::write(const StepRecord& record) {
  Json line{{"kind", "step"},
            {"step", record.step},
            {"tokens", record.tokens},
            {"seconds", record.seconds},
            {"time", record.time},
            {"stage", record.stage},
            {"attention", record.attention},
            {"loss", record.loss},
            {"learning_rate", record.learning_rate},
            {"gradient_norm", record.gradient_norm},
            {"tokens_per_second", record.tokens_per_second},
            {"retained_fraction", record.retained_fraction}};
  if (record.skipped) line["skipped"] = true;
  file_.append(line.dump() + "\n");
}

void MetricsFile::write(const ValidationRecord& record) {
  Json line{{"kind", "validation"},          {"step", record.step},
            {"tokens", record.tokens},       {"seconds", record.seconds},
            {"time", record.time},           {"stage", record.stage},
            {"stage_end", record.stage_end}, {"dense_loss", record.dense_loss}};
  if (record.lighthouse_loss) line["lighthouse_loss"] = *record.lighthouse_loss;
  file_.append(line.dump() + "\n");
}

uint64_t MetricsFile::sync() {
  file_.sync();
  return file_.size();
}

}  // namespace lighthouse::train

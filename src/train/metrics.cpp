#include "train/metrics.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "io/input_file.h"
#include "io/json.h"

namespace lighthouse::train {
namespace {

using io::Json;

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

[[noreturn]] void fail_record(const std::string& text, const std::string& why) {
  throw std::runtime_error("expected a record that train wrote; got " + text.substr(0, 80) +
                           (text.size() > 80 ? "..." : "") + " (" + why + ")");
}

void read_line(const std::string& text, Metrics& metrics) try {
  const Json line = io::parse_json(text, "");
  const auto kind = line.at("kind").get<std::string>();
  if (kind == "step") {
    metrics.steps.push_back(step_of(line));
  } else if (kind == "validation") {
    metrics.validations.push_back(validation_of(line));
  } else {
    throw std::runtime_error("unknown kind \"" + kind + "\"");
  }
} catch (const io::JsonError& error) {
  fail_record(text, error.reason());
} catch (const Json::exception& error) {
  const std::string what = error.what();  // after the library's own name for it, in brackets
  fail_record(text, what.substr(what.find("] ") + 2));
}

}  // namespace

int64_t count_skipped(const std::vector<StepRecord>& steps) {
  return std::count_if(steps.begin(), steps.end(), [](const StepRecord& step) { return step.skipped; });
}

namespace {

std::string text_of_record(const std::filesystem::path& path) {
  io::InputFile file(path);
  std::string text(file.size(), '\0');
  if (!file.read(text.data(), text.size())) throw std::runtime_error(path.string() + " was cut while it was read");
  return text;
}

struct Line {
  std::string_view text;  // without its end
  size_t number = 0;      // from 1
  bool ended = false;
};

/// Lines one after the other.
class Lines {
 public:
  explicit Lines(std::string_view text) : left_(text) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (left_.starts_with(kByteOrderMark)) left_.remove_prefix(kByteOrderMark.size());
  }

  /// The next one that is not blank.
  std::optional<Line> next() {
    while (!left_.empty()) {
      const size_t end = left_.find('\n');
      Line line{left_.substr(0, end), ++number_, end != std::string_view::npos};
      left_.remove_prefix(line.ended ? end + 1 : left_.size());
      if (line.text.ends_with('\r')) line.text.remove_suffix(1);
      if (line.text.find_first_not_of(" \t") != std::string_view::npos) return line;
    }
    return std::nullopt;
  }

 private:
  std::string_view left_;
  size_t number_ = 0;
};

void read_named_line(const std::filesystem::path& path, const Line& line, Metrics& metrics) {
  try {
    read_line(std::string(line.text), metrics);
  } catch (const std::exception& error) {
    throw std::runtime_error(path.string() + ", line " + std::to_string(line.number) + ": " + error.what());
  }
}

constexpr const char* kWayOut =
    "Put the record back as it was, or begin a run of its own from the checkpoint with --init";

[[noreturn]] void fail_shorter(const std::filesystem::path& path, uint64_t expected, size_t got) {
  throw std::runtime_error(path.string() + " is shorter than it was: expected at least " + std::to_string(expected) +
                           " bytes; got " + std::to_string(got) + ". " + kWayOut);
}

/// Whether each step stands once, and none is beyond the last: a line that is doubled may be as long as one that is not
/// there any more.
bool rises_to(const Metrics& records, int64_t last) {
  int64_t before = 0;
  for (const auto& record : records.steps) {
    if (record.step <= before || record.step > last) return false;
    before = record.step;
  }
  before = -1;
  for (const auto& record : records.validations) {
    if (record.step < before || record.step > last) return false;
    before = record.step;
  }
  return true;
}

/// A line that no kill and no power cut leaves, which are whole records, beginnings of one, and zeros.
void expect_record_to_cut(const std::filesystem::path& path, const Line& line, int64_t step) {
  if (line.text.front() == '{' || line.text.front() == '\0') return;
  throw std::runtime_error(path.string() + ", line " + std::to_string(line.number) +
                           ": expected a record that train wrote; got " + std::string(line.text.substr(0, 80)) +
                           ". What follows step " + std::to_string(step) +
                           " is recorded again: move the line to another file first");
}

}  // namespace

Metrics read_metrics(const std::filesystem::path& path, std::optional<uint64_t> bytes) {
  std::string text = text_of_record(path);
  if (bytes && text.size() < *bytes) fail_shorter(path, *bytes, text.size());
  if (bytes) text.resize(*bytes);
  Metrics metrics;
  Lines lines(text);
  for (auto line = lines.next(); line && line->ended; line = lines.next()) read_named_line(path, *line, metrics);
  return metrics;
}

int64_t last_recorded_step(const std::filesystem::path& path) {
  const std::string text = text_of_record(path);
  int64_t last = 0;
  Lines lines(text);
  while (const auto line = lines.next()) {
    try {
      const Json record = io::parse_json(line->text, "");
      const auto step = record.is_object() ? record.find("step") : record.end();
      if (step != record.end() && step->is_number_integer()) last = std::max(last, step->get<int64_t>());
    } catch (const io::JsonError&) {
      // Half a line, as a kill leaves it; or not a run's, which read_kept_record() names.
    }
  }
  return last;
}

KeptRecord read_kept_record(const std::filesystem::path& path, int64_t step, uint64_t bytes) {
  if (bytes > 0 && !std::filesystem::exists(path)) {
    throw std::runtime_error(path.string() + " is not there; the checkpoint of step " + std::to_string(step) +
                             " goes on after its first " + std::to_string(bytes) + " bytes. " + kWayOut);
  }
  const std::string text = text_of_record(path);
  KeptRecord kept;
  std::string plain;
  Lines lines(text);
  while (plain.size() < bytes) {
    const auto line = lines.next();
    const size_t end = plain.size() + (line ? line->text.size() + 1 : 0);
    if (!line || end > bytes || (!line->ended && end < bytes)) break;
    read_named_line(path, *line, kept.records);
    plain.append(line->text).append("\n");
  }
  const bool same = plain.size() == bytes && rises_to(kept.records, step);
  if (!same && text.size() < bytes) fail_shorter(path, bytes, text.size());
  if (!same) {
    throw std::runtime_error(path.string() + " was changed: its lines up to step " + std::to_string(step) + " had " +
                             std::to_string(bytes) +
                             " bytes when the checkpoint of that step was written, and are others now. " + kWayOut);
  }
  while (const auto line = lines.next()) expect_record_to_cut(path, *line, step);
  if (!std::string_view(text).starts_with(plain)) kept.restored = std::move(plain);
  return kept;
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
  file_.append(io::json_text(line) + "\n");
}

void MetricsFile::write(const ValidationRecord& record) {
  Json line{{"kind", "validation"},          {"step", record.step},
            {"tokens", record.tokens},       {"seconds", record.seconds},
            {"time", record.time},           {"stage", record.stage},
            {"stage_end", record.stage_end}, {"dense_loss", record.dense_loss}};
  if (record.lighthouse_loss) line["lighthouse_loss"] = *record.lighthouse_loss;
  file_.append(io::json_text(line) + "\n");
}

uint64_t MetricsFile::sync() {
  file_.sync();
  return file_.size();
}

}  // namespace lighthouse::train

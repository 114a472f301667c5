#include "train/metrics.h"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace lighthouse::train {

using Json = nlohmann::ordered_json;

MetricsFile::MetricsFile(const std::filesystem::path& path) : path_(path), file_(path, std::ios::trunc) {
  if (!file_) throw std::runtime_error("cannot create " + path_.string() + ": " + std::strerror(errno));
}

void MetricsFile::write_line(const std::string& line) {
  file_ << line << '\n' << std::flush;
  if (!file_) throw std::runtime_error("cannot write " + path_.string() + ": " + std::strerror(errno));
}

void MetricsFile::write(const StepRecord& record) {
  write_line(Json{{"kind", "step"},
                  {"step", record.step},
                  {"tokens", record.tokens},
                  {"seconds", record.seconds},
                  {"stage", record.stage},
                  {"attention", record.attention},
                  {"loss", record.loss},
                  {"learning_rate", record.learning_rate},
                  {"gradient_norm", record.gradient_norm},
                  {"tokens_per_second", record.tokens_per_second},
                  {"retained_fraction", record.retained_fraction}}
                 .dump());
}

void MetricsFile::write(const ValidationRecord& record) {
  Json line{{"kind", "validation"},           {"step", record.step},   {"tokens", record.tokens},
            {"seconds", record.seconds},      {"stage", record.stage}, {"stage_end", record.stage_end},
            {"dense_loss", record.dense_loss}};
  if (record.lighthouse_loss) line["lighthouse_loss"] = *record.lighthouse_loss;
  write_line(line.dump());
}

}  // namespace lighthouse::train

#include "cli/run_figures.h"

#include <algorithm>
#include <cmath>

#include "cli/number_text.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

using train::ValidationRecord;

template <typename Position>
std::optional<double> loss_where(const ReportedRun& run, double value, const Position& position) {
  const auto& validations = run.metrics.validations;
  for (size_t i = 0; i < validations.size(); ++i) {
    const auto& after = validations[i];
    if (position(after) == value) return after.dense_loss;
    if (i == 0 || position(after) < value || position(validations[i - 1]) > value) continue;
    const auto& before = validations[i - 1];
    const double part = (value - position(before)) / (position(after) - position(before));
    return before.dense_loss + part * (after.dense_loss - before.dense_loss);
  }
  return std::nullopt;
}

int64_t tokens_of(const ReportedRun& run) { return run.metrics.steps.back().tokens; }

std::optional<double> last_loss(const ReportedRun& run) {
  const auto& validations = run.metrics.validations;
  if (validations.empty() || !std::isfinite(validations.back().dense_loss)) return std::nullopt;
  return validations.back().dense_loss;
}

std::string tokens_text(const ReportedRun& run) {
  return report::short_number(static_cast<double>(tokens_of(run))) + (tokens_of(run) == 1 ? " token" : " tokens");
}

/// "0.140 nats lower (better)"
std::string compared(double loss, double other) {
  const double difference = loss - other;
  constexpr double kShown = 0.0005;  // what three decimals show
  if (std::abs(difference) < kShown) return "the same";
  return number("%.3f", std::abs(difference)) + " nats " + (difference < 0 ? "lower (better)" : "higher (worse)");
}

/// "fast trained in 33% less time than dense (1:20 against 2:00, both on 492K tokens)". Of other counts of tokens,
/// times say nothing.
std::string time_beside_dense(const ReportedRun& run, const ReportedRun& dense) {
  const double seconds = training_seconds(run);
  const double of_dense = training_seconds(dense);
  const std::string trained = run.name + " trained ";
  if (tokens_of(run) != tokens_of(dense) || !(of_dense > 0))
    return trained + "on " + tokens_text(run) + " in " + text::clock_text(seconds);
  const double percent = std::round(100 * std::abs(1 - seconds / of_dense));
  const std::string difference =
      percent == 0 ? "in as much time as "
                   : "in " + number("%.0f%%", percent) + (seconds < of_dense ? " less" : " more") + " time than ";
  return trained + difference + dense.name + " (" + text::clock_text(seconds) + " against " +
         text::clock_text(of_dense) + ", both on " + tokens_text(run) + ")";
}

/// What one run did beside the dense one.
std::string beside_dense(const ReportedRun& run, const ReportedRun& dense) {
  const std::string text = time_beside_dense(run, dense);
  std::string parts;
  const auto add = [&](std::optional<double> loss, std::optional<double> other, const std::string& when) {
    if (!loss || !other || !std::isfinite(*loss) || !std::isfinite(*other)) return;
    parts += (parts.empty() ? "" : " and ") + compared(*loss, *other) + " " + when;
  };
  if (!run.metrics.validations.empty() && !dense.metrics.validations.empty()) {
    // Where the last that is known of both is.
    const auto& last = run.metrics.validations.back();
    const auto& of_dense = dense.metrics.validations.back();
    const double seconds = std::min(last.seconds, of_dense.seconds);
    const int64_t tokens = std::min(last.tokens, of_dense.tokens);
    add(loss_at_time(run, seconds), loss_at_time(dense, seconds), "after the same time");
    add(loss_at_tokens(run, tokens), loss_at_tokens(dense, tokens), "after the same tokens");
  }
  if (!parts.empty()) return text + ". Against " + dense.name + ", its validation loss is " + parts + ".";
  const auto loss = last_loss(run);
  return text + (loss ? ". Its validation loss is " + number("%.3f", *loss) + " nats per token." : ".");
}

std::string alone(const ReportedRun& run) {
  std::string text =
      run.name + " trained on " + tokens_text(run) + " in " + text::clock_text(training_seconds(run)) + ".";
  const auto loss = last_loss(run);
  if (!loss) return text;
  text += " Its validation loss is " + number("%.3f", *loss) + " nats per token";
  const double first = run.metrics.validations.front().dense_loss;
  if (run.metrics.validations.size() > 1 && std::isfinite(first))
    text += ", from " + number("%.3f", first) + " at first";
  return text + ".";
}

/// Which of runs without a dense one among them ended best.
std::string best_of(const std::vector<ReportedRun>& runs) {
  const ReportedRun* best = nullptr;
  for (const auto& run : runs) {
    if (last_loss(run) && (best == nullptr || *last_loss(run) < *last_loss(*best))) best = &run;
  }
  if (best == nullptr) return "None of the " + std::to_string(runs.size()) + " runs has a finite validation loss yet.";
  return best->name + " has the lowest validation loss at its end, " + number("%.3f", *last_loss(*best)) +
         " nats per token, after " + tokens_text(*best) + " and " + text::clock_text(training_seconds(*best)) +
         " of training.";
}

/// What is not as it should be with a run.
std::string reservation(const ReportedRun& run) {
  std::string text;
  const int64_t last = run.metrics.steps.back().step;
  if (last < run.config.total_steps())
    text = run.name + " is not done: step " + std::to_string(last) + " of " + std::to_string(run.config.total_steps()) +
           ".";
  if (!run.metrics.validations.empty() && !last_loss(run))
    text += (text.empty() ? "" : " ") + run.name + "'s last validation loss is not finite.";
  return text;
}

}  // namespace

double training_seconds(const ReportedRun& run) {
  return run.metrics.steps.empty() ? 0 : run.metrics.steps.back().seconds;
}

std::optional<train::StageResult> find_stage(const ReportedRun& run, const std::string& attention) {
  for (auto& stage : train::summarize_stages(run.metrics.steps)) {
    if (stage.attention == attention) return stage;
  }
  return std::nullopt;
}

std::optional<double> loss_at_time(const ReportedRun& run, double seconds) {
  return loss_where(run, seconds, [](const ValidationRecord& record) { return record.seconds; });
}

std::optional<double> loss_at_tokens(const ReportedRun& run, int64_t tokens) {
  return loss_where(run, static_cast<double>(tokens),
                    [](const ValidationRecord& record) { return static_cast<double>(record.tokens); });
}

const ReportedRun* find_dense_run(const std::vector<ReportedRun>& runs) {
  const auto found = std::find_if(runs.begin(), runs.end(), [](const ReportedRun& run) {
    return !run.metrics.steps.empty() && !find_stage(run, "lighthouse");
  });
  return found == runs.end() ? nullptr : &*found;
}

std::vector<std::string> result_sentences(const std::vector<ReportedRun>& runs) {
  std::vector<std::string> sentences;
  const ReportedRun* const dense = find_dense_run(runs);
  const bool others = runs.size() > 1;
  constexpr size_t kFew = 3;  // of more, one sentence says which is best
  if (others && (dense == nullptr || runs.size() > kFew)) sentences.push_back(best_of(runs));
  for (const auto& run : runs) {
    if (run.metrics.steps.empty()) continue;
    if (!others) sentences.push_back(alone(run));
    if (others && dense != nullptr && &run != dense) sentences.push_back(beside_dense(run, *dense));
  }
  for (const auto& run : runs) {
    if (run.metrics.steps.empty()) continue;
    const std::string text = reservation(run);
    if (!text.empty()) sentences.push_back(text);
  }
  return sentences;
}

}  // namespace lighthouse::cli

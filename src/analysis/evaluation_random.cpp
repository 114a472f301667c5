#include "analysis/evaluation_random.h"

namespace lighthouse::analysis {
EvaluationRandom::EvaluationRandom(uint64_t seed, uint64_t task, int64_t length, int64_t depth, int64_t trial) {
  std::seed_seq seeds{static_cast<uint32_t>(seed),   static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(task),
                      static_cast<uint32_t>(length), static_cast<uint32_t>(depth),      static_cast<uint32_t>(trial)};
  engine_.seed(seeds);
}

int64_t EvaluationRandom::below(int64_t bound) {
  const auto count = static_cast<uint64_t>(bound);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % count;
  uint64_t value = engine_();
  while (value >= limit) value = engine_();
  return static_cast<int64_t>(value % count);
}

std::string EvaluationRandom::text(int64_t length, std::string_view alphabet) {
  std::string text(static_cast<size_t>(length), '\0');
  for (char& c : text) c = alphabet[static_cast<size_t>(below(static_cast<int64_t>(alphabet.size())))];
  return text;
}

}  // namespace lighthouse::analysis

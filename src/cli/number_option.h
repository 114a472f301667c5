// What the value of an option must be, declared where the option is: option->transform(whole_number(1, 4096)).
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace lighthouse::cli {

/// Sizes and counts of things that fit no machine are slips of the keyboard, and their products must fit 64 bits.
inline constexpr int64_t kMostTokens = int64_t{1} << 40;
inline constexpr int64_t kMostOfAnything = 1'000'000'000;
inline constexpr int64_t kMostThreads = 4096;  // as training.num_threads

/// A decimal whole number within the bounds. CLI11 itself takes 010 for 8, -1 for 2^64 - 1 and what is too large for
/// the largest number.
CLI::Validator whole_number(int64_t least, int64_t most);

/// Any of 64 bits without a sign.
CLI::Validator seed_number();

/// A decimal number within the bounds, finite.
CLI::Validator real_number(double least, double most);

/// The same, with `above` itself left out.
CLI::Validator real_number_above(double above, double most);

/// The same or 0, which means something else.
CLI::Validator zero_or_number(double least, double most);

/// One of a few words.
CLI::Validator one_of(const std::vector<std::string>& words);

}  // namespace lighthouse::cli

// Numbers, counts, sizes and times as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace lighthouse::text {

/// By a pattern of printf's for one floating-point number, as "%.1f".
std::string format(const char* pattern, double value);

/// The shortest decimal that reads back to the same number, with an exponent only where the number is large or small:
/// "0.003", "500000", "1e-08".
std::string shortest(double value);

/// "1 step", "3 steps". `many` is the plural where it takes more than an s.
std::string count_of(int64_t count, const std::string& one, const std::string& many = "");

/// Three figures with the unit's prefix, by powers of ten: 8.53e10 and "FLOP/s" give "85.3 GFLOP/s". "?" for what is
/// not finite.
std::string scaled(double value, const std::string& unit);

/// "512 B", "13.1 MB", "1.55 TB".
std::string bytes_text(double bytes);

/// "4:05", "1:23:45", hours beyond that; "?" for what is not finite.
std::string clock_text(double seconds);

}  // namespace lighthouse::text

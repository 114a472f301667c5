// A vector times the rows of a matrix: what a single token's products are. Bound by reading the matrix once.
#include "kernels/cpu/simd/isa.h"
#include "kernels/cpu/simd/kernels.h"
#include "kernels/cpu/simd/row_math.h"

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {
namespace {

template <typename T>
void multiply_rows(const RowProductParameters& p, int64_t begin, int64_t end) {
  const T* const weight = static_cast<const T*>(p.weight);
  for (int64_t row = begin; row < end; ++row) p.output[row] = dot<32>(weight + row * p.columns, p.input, p.columns);
}

}  // namespace

void row_product(const RowProductParameters& parameters, int64_t begin, int64_t end) {
  switch (parameters.scalar_type) {
    case ScalarType::kFloat32: return multiply_rows<float>(parameters, begin, end);
    case ScalarType::kBFloat16: return multiply_rows<BFloat16>(parameters, begin, end);
    case ScalarType::kFloat64:
    case ScalarType::kFloat16: return;  // ops/ passes neither
  }
}

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA

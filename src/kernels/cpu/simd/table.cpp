#include "kernels/cpu/simd/isa.h"
#include "kernels/cpu/simd/kernels.h"

#define LIGHTHOUSE_TEXT_OF(name) #name
#define LIGHTHOUSE_TEXT(name) LIGHTHOUSE_TEXT_OF(name)

namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA {

const VectorKernels kKernels = {
    LIGHTHOUSE_TEXT(LIGHTHOUSE_ISA), score, window_reduce, window_broadcast, token_attention, row_product};

}  // namespace lighthouse::kernels::cpu::LIGHTHOUSE_ISA

// Geometry -> the plain data that kernels take.
#pragma once

#include "kernels/parameters.h"
#include "lighthouse/geometry.h"

namespace lighthouse::kernels {

Pyramid to_pyramid(const Geometry& geometry);

}  // namespace lighthouse::kernels

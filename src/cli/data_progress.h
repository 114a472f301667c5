// Progress of reading all data, where that takes more than a moment.
#pragma once

#include "train/corpus.h"

namespace lighthouse::cli {

/// Shows how much of the data was read, and the time left, while its bytes are compared or their checksum is taken.
void watch_reading(train::Corpus& corpus);

}  // namespace lighthouse::cli

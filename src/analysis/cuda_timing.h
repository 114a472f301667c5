// Times and memory of work on the current CUDA device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "analysis/cuda_result.h"

namespace lighthouse::analysis {

using Work = std::function<void()>;

/// Times in turns, so that what the device's clocks do falls on all of the work alike.
///
/// A sample is the time between two events of the device. Short work is called several times in a row between them, so
/// often that a sample takes about 5 ms, and a large copy goes before the first event: the device has work while the
/// host queues, as in a training step. Medians.
class InterleavedTimer {
 public:
  InterleavedTimer();

  /// The place of its figure among the results.
  size_t add(std::string name, Work work);

  /// Work that runs out of memory, or fails otherwise, is left out from then on; the figure says why. `activity` is
  /// told what is about to run.
  void run(int64_t repeats, const std::function<void(const std::string&)>& activity);

  const Figure& ms(size_t index) const { return entries_[index].ms; }
  /// Bytes read and written a second, of the large copy in the same turns.
  Figure copy_bytes_per_second() const;

 private:
  struct Entry {
    std::string name;
    Work work;
    int64_t calls = 1;
    std::vector<double> samples;
    Figure ms;
    bool failed = false;
  };

  double sample_ms(const Entry& entry);
  void try_entry(Entry& entry, const Work& step);
  void calibrate(Entry& entry);

  at::Tensor copy_from_, copy_to_;
  std::vector<Entry> entries_;
};

/// The most bytes that `work` holds beyond what was there before, by the device allocator's counters.
Figure peak_bytes(const Work& work);

/// Empty where `work` went through; else "out of memory", or "failed: " and the first line of the error.
std::string attempt(const Work& work);

/// Gives cached blocks that no tensor uses back to the device.
void free_cached_memory();

}  // namespace lighthouse::analysis

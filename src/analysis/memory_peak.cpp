#include "analysis/memory_peak.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace lighthouse::analysis {
namespace {

/// torch's CPU allocator reports each block to the memory profiler of the thread. This one only adds up.
class PeakCounter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* block, int64_t change, size_t, size_t, c10::Device device) override {
    if (!device.is_cpu()) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (change > 0) {
      held_ += change;
      peak_ = std::max(peak_, held_);
      sizes_[block] = change;
    } else if (const auto found = sizes_.find(block); found != sizes_.end()) {
      // By our own table: torch's may still list a block of an earlier count that was freed, uncounted, in between.
      held_ -= found->second;
      sizes_.erase(found);
    }
  }

  bool memoryProfilingEnabled() const override { return true; }

  int64_t peak() const { return peak_; }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, int64_t> sizes_;
  int64_t held_ = 0;
  int64_t peak_ = 0;
};

}  // namespace

int64_t memory_peak(const std::function<void()>& run) {
  const auto counter = std::make_shared<PeakCounter>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
    run();
  }
  return counter->peak();
}

}  // namespace lighthouse::analysis

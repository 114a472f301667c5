#include "analysis/cuda_timing.h"
#include "analysis/median.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Event.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

namespace lighthouse::analysis {
namespace {

constexpr double kSampleMs = 5;
constexpr int64_t kMostCalls = 256;
/// Work of this length needs one warm-up only.
constexpr double kLongMs = 200;
/// Several times the largest cache of a GPU.
constexpr int64_t kCudaCopyBytes = int64_t{256} << 20;
constexpr size_t kCopy = 0;

std::string reason_of(const std::string& message) {
  for (const char* words : {"out of memory", "OUT_OF_MEMORY", "ALLOC_FAILED"}) {
    if (message.find(words) != std::string::npos) return "out of memory";
  }
  return "failed: " + message.substr(0, message.find('\n'));
}

}  // namespace

std::string attempt(const Work& work) {
  std::string reason;
  try {
    work();
  } catch (const c10::OutOfMemoryError&) {
    reason = "out of memory";
  } catch (const c10::Error& error) {
    reason = reason_of(error.what_without_backtrace());
  } catch (const std::runtime_error& error) {
    reason = reason_of(error.what());
  }
  // Outside the handlers: the exception may hold what it unwound.
  if (!reason.empty()) free_cached_memory();
  return reason;
}

void free_cached_memory() { at::getDeviceAllocator(at::kCUDA)->emptyCache(); }

InterleavedTimer::InterleavedTimer() {
  const auto bytes = at::TensorOptions(at::kCUDA).dtype(at::kByte);
  copy_from_ = at::ones({kCudaCopyBytes}, bytes);
  copy_to_ = at::ones({kCudaCopyBytes}, bytes);
  add("copy", [from = copy_from_, to = copy_to_] {
    const at::NoGradGuard no_gradients;
    to.copy_(from);
  });
}

size_t InterleavedTimer::add(std::string name, Work work) {
  entries_.push_back(
      {.name = std::move(name), .work = std::move(work), .calls = 1, .samples = {}, .ms = {}, .failed = false});
  return entries_.size() - 1;
}

double InterleavedTimer::sample_ms(const Entry& entry) {
  c10::Event begin(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
  c10::Event end(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
  const c10::Stream stream = at::accelerator::getCurrentStream(at::accelerator::getDeviceIndex());
  entries_[kCopy].work();
  begin.record(stream);
  for (int64_t i = 0; i < entry.calls; ++i) entry.work();
  end.record(stream);
  end.synchronize();
  return begin.elapsedTime(end) / static_cast<double>(entry.calls);
}

void InterleavedTimer::try_entry(Entry& entry, const Work& step) {
  if (entry.failed) return;
  const std::string reason = attempt(step);
  if (reason.empty()) return;
  entry.failed = true;
  entry.ms = Figure::none(reason);
}

void InterleavedTimer::calibrate(Entry& entry) {
  if (sample_ms(entry) >= kLongMs) return;
  const double once = sample_ms(entry);
  entry.calls = std::clamp(static_cast<int64_t>(std::ceil(kSampleMs / std::max(once, 1e-3))), int64_t{1}, kMostCalls);
  if (entry.calls > 1) sample_ms(entry);
}

void InterleavedTimer::run(int64_t repeats, const std::function<void(const std::string&)>& activity) {
  for (auto& entry : entries_) {
    activity("warming up: " + entry.name);
    try_entry(entry, [&] { calibrate(entry); });
  }
  for (int64_t i = 0; i < repeats; ++i) {
    for (auto& entry : entries_) {
      activity("turn " + std::to_string(i + 1) + " of " + std::to_string(repeats) + ": " + entry.name);
      try_entry(entry, [&] { entry.samples.push_back(sample_ms(entry)); });
    }
  }
  for (auto& entry : entries_) {
    if (!entry.failed && !entry.samples.empty()) entry.ms = Figure::of(median(entry.samples));
  }
}

Figure InterleavedTimer::copy_bytes_per_second() const {
  return ratio(Figure::of(1e3 * 2 * static_cast<double>(kCudaCopyBytes)), entries_[kCopy].ms);
}

Figure peak_bytes(const Work& work) {
  auto* const allocator = at::getDeviceAllocator(at::kCUDA);
  const c10::DeviceIndex device = at::accelerator::getDeviceIndex();
  const auto allocated = [&] {
    return allocator->getDeviceStats(device)
        .allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  };
  const std::string reason = attempt([&] {
    work();  // what is made once and kept is not this call's
    at::accelerator::synchronizeDevice(device);
  });
  if (!reason.empty()) return Figure::none(reason);
  allocator->resetPeakStats(device);
  const int64_t before = allocated().current;
  const std::string again = attempt(work);
  if (!again.empty()) return Figure::none(again);
  return Figure::of(static_cast<double>(allocated().peak - before));
}

}  // namespace lighthouse::analysis

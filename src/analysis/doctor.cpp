#include "analysis/doctor.h"

#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "analysis/cuda_device.h"
#include "analysis/machine.h"
#include "kernels/cpu/kernels.h"
#include "lighthouse/attention.h"
#include "text/number_text.h"
#include "train/environment.h"
#include "train/memory_estimate.h"

namespace lighthouse::analysis {
namespace {

using Findings = std::vector<Finding>;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The fastest of a few calls, in seconds.
double seconds_of(const std::function<void()>& call) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// Headers and libraries of torch come apart where one is replaced under a build of the other.
void examine_versions(Findings& findings) {
  findings.push_back({"lighthouse", train::environment().at("lighthouse"), Verdict::kFine, ""});
  const std::string built = TORCH_VERSION;
  const std::string config = at::show_config();
  const std::string key = "TORCH_VERSION=";
  const size_t at = config.find(key);
  const std::string loaded =
      at == std::string::npos ? "" : config.substr(at + key.size(), config.find_first_of(", \n", at) - at - key.size());
  Finding torch{"torch", built, Verdict::kFine, ""};
  if (!loaded.empty() && !built.starts_with(loaded) && !loaded.starts_with(built)) {
    torch.found = "built against " + built + ", running with " + loaded;
    torch.verdict = Verdict::kProblem;
    torch.advice = "Build again: rm -r build && ./run setup";
  }
  findings.push_back(torch);
}

void examine_processors(Findings& findings) {
  const int64_t processors = usable_processors();
  const int threads = at::get_num_threads();
  findings.push_back({"processor", cpu_model(), Verdict::kFine, ""});
  Finding finding{"threads", std::to_string(threads) + " of " + text::count_of(processors, "usable processor"),
                  Verdict::kFine, ""};
  const std::string omp = variable("OMP_NUM_THREADS");
  if (!omp.empty()) finding.found += " (OMP_NUM_THREADS=" + omp + ")";
  if (threads > processors) {
    finding.verdict = Verdict::kWarning;
    finding.advice =
        "More threads than processors wait for each other. Set OMP_NUM_THREADS=" + std::to_string(processors) +
        ", or training.num_threads in the configuration.";
  } else if (2 * threads < processors && omp.empty()) {
    // Without the variable torch takes one per core, which is half of the processors where each core has two.
    finding.verdict = Verdict::kWarning;
    finding.advice = "Fewer threads than half of the processors; training.num_threads or OMP_NUM_THREADS sets more.";
  } else if (threads < processors && !omp.empty()) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "OMP_NUM_THREADS leaves processors idle. torchrun sets it to 1: set it yourself before torchrun.";
  }
  findings.push_back(finding);
}

void examine_instruction_sets(Findings& findings) {
  Finding finding{"instruction sets",
                  "lighthouse " + std::string(kernels::cpu::instruction_set()) + ", torch " + at::get_cpu_capability(),
                  Verdict::kFine, ""};
  for (const char* name : {"LIGHTHOUSE_CPU_ISA", "ATEN_CPU_CAPABILITY"}) {
    if (variable(name).empty()) continue;
    finding.verdict = Verdict::kWarning;
    finding.advice = std::string(name) + "=" + variable(name) + " asks for a lesser one; unset it for speed.";
  }
  findings.push_back(finding);
}

void examine_memory(Findings& findings) {
  const double total = train::available_memory_bytes();
  findings.push_back({"memory", text::bytes_text(total) + ", " + text::bytes_text(free_memory_bytes()) + " of it free",
                      Verdict::kFine, ""});
  const std::string path = "/sys/kernel/mm/transparent_hugepage/enabled";
  Finding pages{"huge pages", chosen_setting(path), Verdict::kFine, ""};
  if (pages.found == "never") {
    pages.verdict = Verdict::kWarning;
    pages.advice = "Large tensors are slower to touch without them: echo madvise | sudo tee " + path;
  }
  if (!pages.found.empty()) findings.push_back(pages);
  std::error_code error;
  const auto space = std::filesystem::space(".", error);
  if (error) return;
  const auto free = static_cast<double>(space.available);
  Finding disk{"disk here", text::bytes_text(free) + " free", Verdict::kFine, ""};
  if (free < 1e9) {
    disk.verdict = Verdict::kWarning;
    disk.advice = "A checkpoint takes 12 bytes a parameter, and one more than checkpoint.keep of them exist at times.";
  }
  findings.push_back(disk);
}

void examine_libraries(Findings& findings) {
  std::string found = std::string(at::hasMKL() ? "MKL" : "no MKL") + (at::hasMKLDNN() ? ", oneDNN" : ", no oneDNN");
  findings.push_back({"CPU libraries", found, Verdict::kFine, ""});
  auto runtimes = loaded_libraries("libgomp");
  for (const char* prefix : {"libomp", "libiomp5"}) runtimes.merge(loaded_libraries(prefix));
  Finding openmp{"OpenMP", "", Verdict::kFine, ""};
  for (const auto& path : runtimes) openmp.found += (openmp.found.empty() ? "" : ", ") + path;
  if (runtimes.size() > 1) {
    openmp.verdict = Verdict::kWarning;
    openmp.advice =
        "Two runtimes keep a pool of threads each and get in each other's way; torch's own should be the "
        "only one (look at LD_PRELOAD and LD_LIBRARY_PATH).";
  }
  findings.push_back(openmp);
}

void examine_gpu(Findings& findings) {
  const std::string driver = first_line("/proc/driver/nvidia/version");
  const bool built = kernels::cuda::in_this_build();
  findings.push_back({"CUDA kernels", built ? "in this build" : "not in this build", Verdict::kFine, ""});
  Finding gpu{"GPU", driver.empty() ? "none" : driver, Verdict::kFine, ""};
  if (cuda_usable()) {
    const auto facts = kernels::cuda::device_facts(0);
    gpu.found = facts.name + ", compute capability " + std::to_string(facts.capability / 10) + "." +
                std::to_string(facts.capability % 10) + ", " + text::bytes_text(facts.memory_bytes) + " of memory, " +
                text::bytes_text(facts.free_bytes) + " of it free";
  } else if (!driver.empty()) {
    gpu.verdict = Verdict::kWarning;
    gpu.advice = "Not used: " + why_no_cuda() + ".";
  }
  findings.push_back(gpu);
}

/// Of the tensors that training has: bfloat16 on a GPU, where there is one to use.
void examine_attention(Findings& findings) {
  const bool cuda = cuda_usable();
  const auto query = torch::empty({1, 1, 2, 128}, cuda ? torch::dtype(torch::kBFloat16).device(torch::kCUDA)
                                                       : torch::dtype(torch::kFloat).device(torch::kCPU));
  const std::string named = variable("LIGHTHOUSE_INNER");
  Finding finding{"attention kernel", "", Verdict::kFine, ""};
  try {
    finding.found = std::string(name_of(chosen_inner_kernel(query))) +
                    (cuda ? " for bfloat16 on the GPU, D=128" : " on the CPU") +
                    (named.empty() ? "" : " (LIGHTHOUSE_INNER=" + named + ")");
  } catch (const c10::Error& error) {
    finding.found = "none (LIGHTHOUSE_INNER=" + named + ")";
    finding.verdict = Verdict::kProblem;
    finding.advice = error.what_without_backtrace();
  }
  findings.push_back(finding);
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) { return (a - b).abs().max().item<double>(); }

/// One level is dense attention; more levels must give the same bits under any number of threads.
void try_the_layer(Findings& findings) {
  const torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(1);
  const auto make = [&](int64_t heads) { return torch::randn({1, heads, 1024, 64}, generator); };
  const torch::Tensor query = make(4);
  const torch::Tensor key = make(2);
  const torch::Tensor value = make(2);
  AttentionOptions one_level;
  one_level.num_levels = 1;
  one_level.inner_kernel = InnerKernel::kFlash;  // whatever LIGHTHOUSE_INNER says: these tensors are the CPU's
  const torch::Tensor expected = torch::scaled_dot_product_attention(query, key, value, {}, 0.0, /*is_causal=*/true,
                                                                     std::nullopt, /*enable_gqa=*/true);
  const double error = largest_difference(attention(query, key, value, one_level), expected);
  Finding dense{"one level against torch's attention", text::format("largest difference %.1e", error), Verdict::kFine,
                ""};
  if (!(error < 1e-4)) {
    dense.verdict = Verdict::kProblem;
    dense.advice = "They should agree. Please report this table.";
  }
  findings.push_back(dense);

  AttentionOptions options;
  options.top_k = 64;
  options.inner_kernel = InnerKernel::kFlash;
  const int threads = at::get_num_threads();
  const torch::Tensor with_all = attention(query, key, value, options);
  at::set_num_threads(1);
  const torch::Tensor with_one = attention(query, key, value, options);
  at::set_num_threads(threads);
  const bool equal = torch::equal(with_all, with_one);
  findings.push_back({"three levels, 1 and " + text::count_of(threads, "thread"), equal ? "the same bits" : "differ",
                      equal ? Verdict::kFine : Verdict::kProblem, equal ? "" : "Please report this table."});
}

void measure(Findings& findings) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor bytes = torch::ones({16 << 20}, torch::kFloat);
  torch::Tensor copy = torch::empty_like(bytes);
  const double copy_seconds = seconds_of([&] { copy.copy_(bytes); });
  const torch::Tensor matrix = torch::rand({1024, 1024});
  const double product_seconds = seconds_of([&] { torch::mm(matrix, matrix); });
  findings.push_back({"speed",
                      "copies " + text::scaled(2.0 * static_cast<double>(bytes.nbytes()) / copy_seconds, "B/s") +
                          ", multiplies " + text::scaled(2 * 1024.0 * 1024 * 1024 / product_seconds, "FLOP/s"),
                      Verdict::kFine, ""});
}

}  // namespace

std::vector<Finding> examine() {
  Findings findings;
  examine_versions(findings);
  examine_processors(findings);
  examine_instruction_sets(findings);
  examine_memory(findings);
  examine_libraries(findings);
  examine_gpu(findings);
  examine_attention(findings);
  try_the_layer(findings);
  measure(findings);
  return findings;
}

}  // namespace lighthouse::analysis

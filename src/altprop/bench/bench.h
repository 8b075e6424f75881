// `altprop bench`: every rule on the same work, against the arithmetic limit of this machine,
// against backprop, and against eager PyTorch, all measured in turns in one run.
//
// A step is what training does for one batch (forward pass, credit, signals, update, running loss
// and accuracy), without the loader. A rule whose epoch has several passes over the data is charged
// one step of each. Everybody takes turns in rounds, the first of which is discarded. A figure is
// that of the best round, of contenders, kernels and eager PyTorch alike: other load on the machine
// only ever adds time.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace altprop::bench {

struct BenchSettings {
  std::vector<std::string> works;  ///< names; empty: all
  std::vector<std::string>
      rules;                    ///< as a user writes them; empty: all. Backprop is always measured
  int64_t batch = 0;            ///< samples; 0: the work's own
  double seconds = 1;           ///< spent on each contender, all rounds together
  int64_t rounds = 5;           ///< that count
  int64_t threads = 0;          ///< 0: libtorch's choice
  bool processor_time = false;  ///< measure processor time, with one thread; see timing.h
  std::string python;           ///< interpreter with torch for the eager peer; "": none
  bool compiled = false;        ///< also measure torch.compile
  bool limit = true;            ///< also measure the kernels that the arithmetic limit is made of
  int64_t peak_size = 1536;     ///< of the square product that the machine's peak is read from
};

/// Works by name.
std::vector<std::string> work_names();

struct Row {
  std::string work, rule, optimizer;
  int64_t batch = 0, rounds = 0;
  double samples_per_second = 0, step_ms = 0;
  std::optional<double> limit_ms;  ///< the step's products and convolutions, each in its fastest form
  double gflop = 0;     ///< of them, per step
  std::optional<double> fraction_of_limit;
  std::optional<double> fraction_of_peak;  ///< arithmetic per second over that of one large product
  double time_relative_to_backprop = 0;
  std::optional<double> speedup_over_pytorch_eager, speedup_over_pytorch_compile;
  int64_t peak_memory_bytes = 0;  ///< network, rule, optimizer and one step; without data
  std::optional<int64_t> eager_peak_memory_bytes;  ///< the same of eager PyTorch

  nlohmann::json json() const;
};

struct Result {
  std::vector<Row> rows;
  double peak_flops = 0;  ///< per second, of a large square product; 0: not measured
  /// Of every kernel: its fastest form and rate.
  struct KernelRow {
    std::string work, kernel, form;
    double rate;
  };
  std::vector<KernelRow> kernels;

  nlohmann::json json() const;  ///< a list of rows
  std::string table() const;
};

/// @param say progress, one line a call. @throws UsageError for unknown names and if nothing can be
/// measured
Result run(const BenchSettings& settings, const std::function<void(const std::string&)>& say);

/// Where a step's time goes, for each of the works and rules (empty: backprop) with the work's
/// first optimizer; see profile.h.
std::string run_profile(const BenchSettings& settings);

}  // namespace altprop::bench

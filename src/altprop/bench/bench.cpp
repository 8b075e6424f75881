#include "altprop/bench/bench.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/bench/contender.h"
#include "altprop/bench/eager.h"
#include "altprop/bench/limit.h"
#include "altprop/bench/profile.h"
#include "altprop/bench/timing.h"
#include "altprop/rules/registry.h"
#include "altprop/train/interrupt.h"

namespace altprop::bench {

namespace {

using Say = std::function<void(const std::string&)>;

constexpr double kKernelBudget = 1e-2;  ///< seconds for one kernel in a round

/// The best of the rounds that counted.
struct Best {
  double seconds = std::numeric_limits<double>::infinity();
  void add(double s) { seconds = std::min(seconds, s); }
  bool known() const { return std::isfinite(seconds); }
};

struct Entry {
  std::unique_ptr<Contender> contender;
  std::string label, optimizer;
  bool plain;        ///< without options
  double spent = 0;  ///< seconds; a slow contender takes part in fewer rounds
  int64_t rounds = 0;
  Best own, eager, compiled;
  /// What the eager peer is asked for: it knows some of the rules' options, too.
  std::string asked() const { return plain ? contender->rule() : label; }
};

Kernel square_product(int64_t size) {
  Kernel k;
  k.rows = k.inner = k.columns = size;
  return k;
}

/// The rules to measure: backprop first.
std::vector<std::string> rule_texts(const BenchSettings& settings, const Work& work) {
  std::vector<std::string> out = {"backprop"};
  auto add = [&](const std::string& text) {
    const RuleText rule = parse_rule(text);
    if (rule.name != "backprop" || !rule.values.empty())
      out.push_back(rule.values.empty() ? rule.name : rule.label);
  };
  const std::vector<std::string>& asked = settings.rules.empty() ? work.rules : settings.rules;
  for (const std::string& rule : asked) add(rule);
  if (asked.empty())
    for (const RuleEntry& entry : rule_entries()) add(entry.name);
  return out;
}

std::vector<Entry> contenders(const Work& work, const BenchSettings& settings,
                              const std::shared_ptr<const Material>& material, const Say& say) {
  std::vector<Entry> out;
  auto add = [&](const std::string& rule, const std::string& optimizer) {
    try {
      auto contender = std::make_unique<Contender>(work, rule, optimizer, material);
      out.push_back({std::move(contender), rule, optimizer, parse_rule(rule).values.empty()});
    } catch (const Refusal& refusal) {
      say(text::cat(work.name, ": ", rule, " does not take part: ", refusal.what()));
    }
  };
  const std::vector<std::string> rules = rule_texts(settings, work);
  for (const std::string& optimizer : work.optimizers) add(rules[0], optimizer);
  for (size_t i = 1; i < rules.size(); ++i) add(rules[i], work.optimizers[0]);
  return out;
}

/// One turn of everybody. @param counts false: the figures of this round are thrown away
void play_round(std::vector<Entry>& entries, const Work& work, int64_t batch,
                const BenchSettings& settings, EagerPeer* peer, bool counts) {
  const double budget = settings.seconds / static_cast<double>(settings.rounds);
  for (Entry& e : entries) {
    if (interrupt::requested()) return;
    if (e.rounds > 0 && e.spent > std::max(1.0, 3 * settings.seconds)) continue;
    const double begin = now();
    const double seconds = e.contender->measure(budget);
    e.spent += now() - begin;
    if (counts) {
      e.own.add(seconds);
      ++e.rounds;
    }
    for (const bool compiled : {false, true}) {
      if (!peer || (compiled && !settings.compiled)) continue;
      const auto theirs =
          peer->step_seconds(work.name, e.asked(), e.optimizer, batch, budget, compiled);
      if (theirs && counts) (compiled ? e.compiled : e.eager).add(*theirs);
    }
  }
}

/// @param backprop seconds with the same optimizer, @param limits null: not measured, @param peak
/// FLOP/s of one large product
Row row_of(const Entry& e, const Work& work, int64_t batch, const Limits* limits, double backprop,
           double peak) {
  const double flops = flops_of(e.contender->kernels()), seconds = e.own.seconds;
  Row row{work.name, e.label, e.optimizer, batch, e.rounds};
  row.samples_per_second = static_cast<double>(batch) / seconds;
  row.step_ms = seconds * 1e3;
  row.gflop = flops * 1e-9;
  if (limits && !e.contender->kernels().empty()) {
    const double limit = limits->seconds(e.contender->kernels());
    row.limit_ms = limit * 1e3;
    row.fraction_of_limit = limit / seconds;
    row.fraction_of_peak = flops / seconds / peak;
  }
  row.time_relative_to_backprop = seconds / backprop;
  if (e.eager.known()) row.speedup_over_pytorch_eager = e.eager.seconds / seconds;
  if (e.compiled.known()) row.speedup_over_pytorch_compile = e.compiled.seconds / seconds;
  row.peak_memory_bytes = e.contender->peak_memory();
  return row;
}

void measure(const Work& work, const BenchSettings& settings, EagerPeer* peer, const Say& say,
             Result& result) {
  const int64_t batch = settings.batch ? settings.batch : work.batch;
  const auto material = std::make_shared<const Material>(work, batch);
  std::vector<Entry> entries = contenders(work, settings, material, say);
  const std::vector<CountedKernel> peak = {{square_product(settings.peak_size), 1}};
  Limits limits;
  if (settings.limit) {
    limits.add(peak);
    for (const Entry& e : entries) limits.add(e.contender->kernels());
  }
  for (int64_t round = 0; round <= settings.rounds && !interrupt::requested(); ++round) {
    say(text::cat(work.name, ": ", entries.size(), " contenders, round ", round, " of ",
                  settings.rounds, round == 0 ? " (not counted)" : ""));
    if (settings.limit) limits.round(kKernelBudget);
    play_round(entries, work, batch, settings, peer, round > 0);
  }
  const double peak_rate = settings.limit ? flops_of(peak) / limits.seconds(peak) : 0;
  std::map<std::string, double> backprop;  // seconds by optimizer
  for (const Entry& e : entries) {
    if (e.rounds == 0) continue;
    if (e.plain && e.contender->rule() == "backprop") backprop[e.optimizer] = e.own.seconds;
    result.rows.push_back(row_of(e, work, batch, settings.limit ? &limits : nullptr,
                                 backprop.at(e.optimizer), peak_rate));
    if (peer)
      result.rows.back().eager_peak_memory_bytes =
          peer->peak_memory(work.name, e.asked(), e.optimizer, batch);
  }
  for (const Limits::Entry& kernel : limits.entries())
    result.kernels.push_back({work.name, kernel.kernel, kernel.form, kernel.rate});
  result.peak_flops = std::max(result.peak_flops, peak_rate);
}

const Work& work_of(const std::string& name) {
  for (const Work& work : works())
    if (work.name == name) return work;
  throw UsageError("there is no benchmark work '" + name + "'" +
                   text::suggestion(name, work_names()));
}

/// Sets threads and clock and finds the works.
std::vector<const Work*> prepare(const BenchSettings& settings) {
  std::vector<const Work*> chosen;
  for (const std::string& name : settings.works.empty() ? work_names() : settings.works)
    chosen.push_back(&work_of(name));
  if (settings.processor_time && settings.threads > 1)
    throw UsageError("processor time says little about several threads; use --threads 1");
  const int64_t threads = settings.processor_time ? 1 : settings.threads;
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
  clock_in_use = settings.processor_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
  return chosen;
}

}  // namespace

std::vector<std::string> work_names() {
  std::vector<std::string> names;
  for (const Work& work : works()) names.push_back(work.name);
  return names;
}

namespace {
/// Threads that wait for each other are slowed down manyfold by a single other busy program.
void warn_of_other_load(const BenchSettings& settings, const Say& say) {
  double load = 0;
  if (settings.processor_time || getloadavg(&load, 1) != 1 || load < 0.5) return;
  say(text::cat("the load average is ", load,
                ": what several threads measure beside other programs says little; "
                "--processor-time is less disturbed"));
}
}  // namespace

Result run(const BenchSettings& settings, const Say& say) {
  const std::vector<const Work*> chosen = prepare(settings);
  warn_of_other_load(settings, say);
  std::unique_ptr<EagerPeer> peer;
  if (!settings.python.empty()) {
    peer = EagerPeer::start(settings.python, at::get_num_threads(), settings.processor_time);
    if (!peer)
      say(settings.python + " does not start with torch: no comparison with eager PyTorch");
  }
  Result result;
  for (const Work* work : chosen)
    if (!interrupt::requested()) measure(*work, settings, peer.get(), say, result);
  return result;
}

std::string run_profile(const BenchSettings& settings) {
  std::string out;
  for (const Work* work : prepare(settings)) {
    const auto material =
        std::make_shared<const Material>(*work, settings.batch ? settings.batch : work->batch);
    for (const std::string& rule :
         settings.rules.empty() ? std::vector<std::string>{"backprop"} : settings.rules) {
      Contender contender(*work, rule, work->optimizers[0], material);
      out += text::cat(work->name, ", ", rule, ", ", work->optimizers[0], "\n",
                       profile([&] { contender.step(); }, settings.seconds), "\n");
    }
  }
  return out;
}

}  // namespace altprop::bench

#include "altprop/bench/profile.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include "altprop/base/text.h"
#include "altprop/bench/timing.h"
#include "altprop/tensor/row_blocks.h"

namespace altprop::bench {

namespace {

constexpr double kLeastShare = 0.003;  ///< of a line of its own

struct Profile {
  struct Line {
    double seconds = 0;
    int64_t calls = 0;
  };
  std::map<std::string, Line> lines;
  double inside = 0;                    ///< of the calls that no other call made
  std::vector<double> time_of_callees;  ///< one per call in progress
};

thread_local Profile* current = nullptr;

struct Call : at::ObserverContext {
  std::string name;
  double begin = 0;
};

std::unique_ptr<at::ObserverContext> on_call(const at::RecordFunction& f) {
  auto call = std::make_unique<Call>();
  call->name = f.name();
  for (const c10::IValue& input : f.inputs())
    if (input.isTensor() && input.toTensor().defined())
      call->name += " " + shape_text(input.toTensor().sizes());
  current->time_of_callees.push_back(0);
  call->begin = now();
  return call;
}

void on_return(const at::RecordFunction&, at::ObserverContext* context) {
  const auto* call = static_cast<const Call*>(context);
  const double seconds = now() - call->begin, callees = current->time_of_callees.back();
  current->time_of_callees.pop_back();
  Profile::Line& line = current->lines[call->name];
  line.seconds += seconds - callees;
  ++line.calls;
  (current->time_of_callees.empty() ? current->inside : current->time_of_callees.back()) += seconds;
}

}  // namespace

std::string profile(const std::function<void()>& step, double seconds) {
  Profile mine;
  int64_t steps = 0;
  double total = 0;
  current = &mine;
  const WholeBatches whole;
  const at::CallbackHandle handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(on_call, on_return)
                                     .needsInputs(true)
                                     .scopes({at::RecordScope::FUNCTION}));
  for (const double begin = now(); total < seconds; total = now() - begin, ++steps) step();
  at::removeCallback(handle);
  current = nullptr;

  std::vector<std::pair<std::string, Profile::Line>> lines(mine.lines.begin(), mine.lines.end());
  lines.emplace_back("(between calls)", Profile::Line{total - mine.inside, steps});
  std::sort(lines.begin(), lines.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  std::string out = "us/step  calls  share  operator and shapes of its operands\n";
  auto add = [&](const std::string& name, const Profile::Line& line) {
    char text[64];
    std::snprintf(
        text, sizeof text, "%7.1f %6.1f %5.1f%%  ", line.seconds * 1e6 / static_cast<double>(steps),
        static_cast<double>(line.calls) / static_cast<double>(steps), 100 * line.seconds / total);
    out += text + name + "\n";
  };
  Profile::Line rest;
  for (const auto& [name, line] : lines) {
    if (line.seconds >= kLeastShare * total) {
      add(name, line);
    } else {
      rest.seconds += line.seconds;
      rest.calls += line.calls;
    }
  }
  add("(all others)", rest);
  return out + text::cat(steps, " steps, ",
                         text::from_number(total * 1e3 / static_cast<double>(steps)), " ms each\n");
}

}  // namespace altprop::bench

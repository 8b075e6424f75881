// From the credits of the steps' ends to those of output times and of the end.
#include <algorithm>

#include "altprop/ode/record.h"

namespace altprop::ode {

namespace {

/// Steps from one output to the next, whose ends stay at the same fraction of the way.
class Interior {
 public:
  void add(double time, double credit) { ends_.push_back({time, credit}); }
  /// Shares them between the outputs at both ends.
  void close(double from, double to, double& at_from, double& at_to) {
    for (const auto& [time, credit] : ends_) {
      const double fraction = (time - from) / (to - from);
      at_to += fraction * credit;
      at_from += (1 - fraction) * credit;
    }
    ends_.clear();
  }

 private:
  struct End {
    double time, credit;
  };
  std::vector<End> ends_;
};

struct NodeOfTime {
  double time, credit;
  int output;
};

/// Begin and ends of the steps of every sample, in turn.
std::vector<std::vector<NodeOfTime>> nodes_of(const Record& record) {
  std::vector<std::vector<NodeOfTime>> out(static_cast<size_t>(record.begin.size(0)));
  for (size_t b = 0; b < out.size(); ++b) {
    const double begin = record.spans[record.spans.size() > 1 ? b : 0].begin;
    out[b].push_back({begin, record.of_begin.empty() ? 0 : record.of_begin[b], -1});
  }
  for (size_t n = 0; n < record.steps.size(); ++n) {
    const SampleSteps& each = *record.steps[n].each;
    for (size_t i = 0; i < each.size(); ++i) {
      std::vector<NodeOfTime>& nodes = out[static_cast<size_t>(each.rows[i])];
      nodes.back().credit += record.of_steps.at(n).begin[i];
      nodes.push_back({each.t[i] + each.h[i], record.of_steps[n].end[i], each.output[i]});
    }
  }
  return out;
}

}  // namespace

Tensor credits_of_sample_times(const Record& record) {
  const std::vector<std::vector<NodeOfTime>> all = nodes_of(record);
  int last = 0;
  for (const std::vector<NodeOfTime>& nodes : all)
    for (const NodeOfTime& node : nodes) last = std::max(last, node.output);
  const int first = record.reads_begin ? 0 : 1;  // of the outputs, behind the begin
  const Tensor out = at::zeros({record.begin.size(0), last + 1 + first}, at::kDouble);
  auto to = out.accessor<double, 2>();
  for (size_t b = 0; b < all.size(); ++b) {
    const auto row = static_cast<int64_t>(b);
    Interior interior;
    double from = all[b][0].time;
    int64_t place = 0;
    to[row][0] += all[b][0].credit;
    for (size_t n = 1; n < all[b].size(); ++n) {
      const NodeOfTime& node = all[b][n];
      if (node.output < 0) {
        interior.add(node.time, node.credit);
        continue;
      }
      const int64_t here = node.output + first;
      to[row][here] += node.credit;
      interior.close(from, node.time, to[row][place], to[row][here]);
      place = here;
      from = node.time;
    }
  }
  return out;
}

std::vector<double> credits_of_output_times(const Record& record) {
  if (record.method.kind == Gradient::Adjoint) return record.of_times;
  if (record.per_sample()) {
    const Tensor sum = credits_of_sample_times(record).sum(0);
    return {sum.const_data_ptr<double>(), sum.const_data_ptr<double>() + sum.numel()};
  }
  std::vector<double> out(1, 0);
  Interior interior;
  double from = record.spans.at(0).begin;
  for (size_t n = 0; n < record.steps.size(); ++n) {
    const TimeStep& step = record.steps[n];
    const double to = step.t + step.h, credit = record.of_times.at(n + 1);
    if (n == 0) out[0] += record.of_times.at(0);
    if (step.output < 0) {
      interior.add(to, credit);
      continue;
    }
    out.push_back(credit);
    interior.close(from, to, out[out.size() - 2], out.back());
    from = to;
  }
  return out;
}

double credit_of_end_time(const Record& record) {
  double out = 0;
  if (record.method.kind == Gradient::Adjoint) {
    size_t next = 1;
    for (const Stop& stop : record.spans.at(0).stops)
      if (stop.output >= 0) out += stop.time * record.of_times.at(next++);
    return out / record.end_time();
  }
  if (record.per_sample()) {
    for (const std::vector<NodeOfTime>& nodes : nodes_of(record))
      for (const NodeOfTime& node : nodes) out += node.time * node.credit;
    return out / record.end_time();
  }
  for (size_t n = 0; n < record.steps.size(); ++n)
    out += (record.steps[n].t + record.steps[n].h) * record.of_times.at(n + 1);
  return out / record.end_time();
}

}  // namespace altprop::ode

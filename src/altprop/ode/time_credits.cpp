// From the credits of the steps' ends to those of output times and of the end.
#include <algorithm>
#include <span>

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

/// Begin and ends of the steps of every sample, in turn; of all samples at once where they share
/// them.
std::vector<std::vector<NodeOfTime>> nodes_of(const Record& record) {
  std::vector<std::vector<NodeOfTime>> out(
      record.per_sample() ? static_cast<size_t>(record.begin.size(0)) : 1);
  for (size_t b = 0; b < out.size(); ++b) {
    const double begin = record.spans[record.spans.size() > 1 ? b : 0].begin;
    out[b].push_back({begin, record.of_begin.empty() ? 0 : record.of_begin[b], -1});
  }
  if (!record.per_sample()) out[0][0].credit = record.of_times.at(0);
  for (size_t n = 0; n < record.steps.size(); ++n) {
    const TimeStep& step = record.steps[n];
    if (!step.each) {
      out[0].push_back({step.t + step.h, record.of_times.at(n + 1), step.output});
      continue;
    }
    const SampleSteps& each = *step.each;
    for (size_t i = 0; i < each.size(); ++i) {
      std::vector<NodeOfTime>& nodes = out[static_cast<size_t>(each.rows[i])];
      nodes.back().credit += record.of_steps.at(n).begin[i];
      nodes.push_back({each.t[i] + each.h[i], record.of_steps[n].end[i], each.output[i]});
    }
  }
  return out;
}

/// Credits of output times of one sequence of steps, added to `to`, that of the begin first.
void add_credits(const std::vector<NodeOfTime>& nodes, int first, std::span<double> to) {
  Interior interior;
  double from = nodes[0].time;
  size_t place = 0;
  to[0] += nodes[0].credit;
  for (size_t n = 1; n < nodes.size(); ++n) {
    const NodeOfTime& node = nodes[n];
    if (node.output < 0) {
      interior.add(node.time, node.credit);
      continue;
    }
    const auto here = static_cast<size_t>(node.output + first);
    to[here] += node.credit;
    interior.close(from, node.time, to[place], to[here]);
    place = here;
    from = node.time;
  }
}

/// The time at which an output between the ends of steps is read, of a sample.
double time_of_read(const Record& record, int output, size_t sample) {
  for (const Stop& read : record.spans[record.spans.size() > 1 ? sample : 0].reads)
    if (read.output == output) return read.time;
  return 0;
}

}  // namespace

Tensor credits_of_sample_times(const Record& record) {
  const std::vector<std::vector<NodeOfTime>> all = nodes_of(record);
  const int first = record.reads_begin ? 0 : 1;  // of the outputs, behind the begin
  const auto columns = static_cast<size_t>(record.outputs_count() + first);
  const Tensor out =
      at::zeros({static_cast<int64_t>(all.size()), static_cast<int64_t>(columns)}, at::kDouble);
  for (size_t b = 0; b < all.size(); ++b) {
    double* const row = out.mutable_data_ptr<double>() + b * columns;
    add_credits(all[b], first, {row, columns});
    for (const auto& [output, credits] : record.of_reads)
      row[output + first] += credits[credits.size() > 1 ? b : 0];
  }
  return out;
}

std::vector<double> credits_of_output_times(const Record& record) {
  if (record.method.kind == Gradient::Adjoint) return record.of_times;
  const Tensor sum = credits_of_sample_times(record).sum(0);
  return {sum.const_data_ptr<double>(), sum.const_data_ptr<double>() + sum.numel()};
}

double credit_of_end_time(const Record& record) {
  double out = 0;
  if (record.method.kind == Gradient::Adjoint) {
    size_t next = 1;
    std::vector<double> times;
    for (const std::vector<Stop>* some : {&record.spans.at(0).stops, &record.spans[0].reads})
      for (const Stop& stop : *some)
        if (stop.output >= 0) times.push_back(stop.time);
    std::sort(times.begin(), times.end());
    for (const double time : times) out += time * record.of_times.at(next++);
    return out / record.end_time();
  }
  for (const std::vector<NodeOfTime>& nodes : nodes_of(record))
    for (const NodeOfTime& node : nodes) out += node.time * node.credit;
  for (const auto& [output, credits] : record.of_reads)
    for (size_t b = 0; b < credits.size(); ++b) out += time_of_read(record, output, b) * credits[b];
  return out / record.end_time();
}

}  // namespace altprop::ode

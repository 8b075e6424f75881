// Tangents along the steps of a record.
#include <algorithm>

#include "altprop/ode/dense.h"
#include "altprop/ode/record.h"

namespace altprop::ode {

namespace {

class TangentPass {
 public:
  TangentPass(const Scheme& method, const Graph& f, const Record& record, const TangentFrom& from)
      : method_(method),
        f_(f),
        record_(record),
        from_(from),
        field_(field_of(f, record.pass, true, record.constants)),
        per_time_(from.end_time == 0 ? 0 : from.end_time / record.end_time()) {}

  std::vector<Tensor> run() {
    const Tensor zero = from_.begin.defined() ? from_.begin : zero_tangent();
    const int dim = method_.rows_dim();
    Evaluations first, first_tangent;
    if (method_.carries_slope())
      evaluate(record_.begin_time(), record_.begin, zero, first, first_tangent);
    WholeBatch y(method_.carry(record_.begin, first.empty() ? Tensor() : first[0].slope), dim),
        moved(method_.carry(zero, first.empty() ? Tensor() : first_tangent[0].slope), dim);
    std::vector<Tensor> outputs;
    if (record_.reads_begin) outputs.push_back(zero);
    for (const TimeStep& step : record_.steps) {
      const Tensor from = y.of(step);
      Tensor end = from, end_tangent = moved.of(step);
      cross(step, end, end_tangent, zero, outputs);
      if (step.each) {
        read_rows(step, end_tangent, zero, outputs);
      } else if (step.output >= 0) {
        outputs.resize(std::max(outputs.size(), static_cast<size_t>(step.output) + 1));
        outputs[static_cast<size_t>(step.output)] = method_.state(end_tangent);
      }
      y.put(step, std::move(end));
      moved.put(step, std::move(end_tangent));
    }
    return outputs;
  }

 private:
  /// As many rows as the tangents that there are.
  Tensor zero_tangent() const {
    for (size_t j = 0; j < from_.constants.size(); ++j) {
      const Tensor& one = from_.constants[j];
      if (!one.defined()) continue;
      const bool own = f_.node(f_.input_nodes()[j + 2]).spec.batched;
      std::vector<int64_t> shape = record_.begin.sizes().vec();
      shape[0] = own ? one.size(0) : one.size(0) * shape[0];
      return at::zeros(shape, record_.begin.options());
    }
    return at::zeros_like(record_.begin);
  }

  /// Of a constant, of the rows that take part.
  Tensor tangent_of_constant(size_t j, const Moment& at) const {
    const Tensor& one = from_.constants[j];
    if (!one.defined() || !at.rows.defined() || !f_.node(f_.input_nodes()[j + 2]).spec.batched)
      return one;
    const int64_t batch = record_.begin.size(0);
    std::vector<Tensor> rows;
    for (int64_t k = 0; k < one.size(0) / batch; ++k) rows.push_back(at.rows + k * batch);
    return one.index_select(0, at::cat(rows));
  }

  /// Of f's time, which moves in proportion to T.
  Tensor tangent_of_time(const Moment& at, const Tensor& x, const Tensor& moved) const {
    if (!f_.node(f_.input_nodes()[1]).spec.batched)
      return at::full({1, 1}, per_time_ * double(at), x.options());
    const int64_t blocks = moved.size(0) / x.size(0);
    if (!at.each.defined()) return at::full({moved.size(0), 1}, per_time_ * at.t, x.options());
    return (at.each * per_time_).to(x.options()).repeat({blocks}).unsqueeze(1);
  }

  /// Evaluates f and pushes a tangent through it.
  void evaluate(const Moment& at, const Tensor& x, const Tensor& moved, Evaluations& k,
                Evaluations& tangents) const {
    k.push_back(field_(at, x));
    Push push{.inputs = {moved}, .params = from_.params};
    if (f_.input_nodes().size() > 1)
      push.inputs.push_back(per_time_ != 0 ? tangent_of_time(at, x, moved) : Tensor());
    for (size_t j = 0; j < from_.constants.size(); ++j)
      push.inputs.push_back(tangent_of_constant(j, at));
    const Tensor out = f_.push(*k.back().activity, push);
    tangents.push_back({out.defined() ? out : at::zeros_like(moved)});
    k.back().activity.reset();
  }

  /// Replaces begin and its tangent by the end and its tangent.
  void cross(const TimeStep& step, Tensor& y, Tensor& moved, const Tensor& zero,
             std::vector<Tensor>& outputs) const {
    const Length h = step.length();
    const int s = method_.stages();
    Evaluations k, tangents;
    const auto with_length = [&](int i, Tensor linear) {
      if (per_time_ == 0) return linear;
      const Tensor by = method_.by_length(y, h, k, i);
      // All times are in proportion to T, and so is h.
      return by.defined() ? linear + h.times(by, per_time_) : linear;
    };
    for (int i = 0; i < s; ++i)
      evaluate(stage_time(method_, step, i, y), method_.stage_state(y, h, k, i),
               with_length(i, method_.stage_state(moved, h, tangents, i)), k, tangents);
    Tensor end = method_.end(y, h, k), end_moved = with_length(s, method_.end(moved, h, tangents));
    if (step.reads) {
      evaluate(end_time(step, y), method_.state(end), method_.state(end_moved), k, tangents);
      read_between(step, moved, k, tangents, zero, outputs);
    }
    moved = std::move(end_moved);
    y = std::move(end);
  }

  static std::vector<Tensor> slopes_with_end(const Evaluations& k) {
    return slopes_of({k.begin(), k.end() - 1}, k.back().slope);
  }

  /// All times are in proportion to T, so that theta is the same.
  void read_between(const TimeStep& step, const Tensor& moved, const Evaluations& k,
                    const Evaluations& tangents, const Tensor& zero,
                    std::vector<Tensor>& outputs) const {
    const int64_t blocks = record_.begin.size(0) > 0 ? zero.size(0) / record_.begin.size(0) : 1;
    const Length h = step.length();
    for (const Between& between : reads_of(method_, step)) {
      Tensor tangent = between.states(moved, slopes_with_end(tangents));
      if (per_time_ != 0)
        tangent =
            tangent + between.lengths(h).times(between.by_length(slopes_with_end(k)), per_time_);
      between.put(
          tangent,
          [&](int output) -> Tensor& {
            while (static_cast<int>(outputs.size()) <= output)
              outputs.push_back(at::zeros_like(zero));
            return outputs[static_cast<size_t>(output)];
          },
          blocks);
    }
  }

  void read_rows(const TimeStep& step, const Tensor& moved, const Tensor& like,
                 std::vector<Tensor>& outputs) const {
    const SampleSteps& each = *step.each;
    const Tensor state = method_.state(moved);
    const auto taking = static_cast<int64_t>(each.size());
    for (size_t i = 0; i < each.size(); ++i) {
      if (each.output[i] < 0) continue;
      const auto to = static_cast<size_t>(each.output[i]);
      while (outputs.size() <= to) outputs.push_back(at::zeros_like(like));
      for (int64_t k = 0; k < state.size(0) / taking; ++k)
        outputs[to]
            .select(0, k * each.batch + each.rows[i])
            .copy_(state.select(0, k * taking + static_cast<int64_t>(i)));
    }
  }

  const Scheme& method_;
  const Graph& f_;
  const Record& record_;
  const TangentFrom& from_;
  Field field_;
  double per_time_;
};

}  // namespace

std::vector<Tensor> push_along(const Scheme& method, const Graph& f, const Record& record,
                               const TangentFrom& from) {
  return TangentPass(method, f, record, from).run();
}

}  // namespace altprop::ode

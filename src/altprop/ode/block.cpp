#include "altprop/ode/block.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/leapfrog.h"
#include "altprop/ode/reversible.h"

namespace altprop::ode {

namespace {

Record& record_in(const Saved& saved) {
  return *std::any_cast<const std::shared_ptr<Record>&>(saved.extra);
}

void refuse_for_block(const Tensor* substitute) {
  if (substitute)
    throw Refusal("ode", "an ODE block has no single weight to substitute",
                  "substitute those of its parts");
}

/// Where steps have to end, outputs and jumps in the order of their times, and what is read between.
Span span_of(const Problem& problem) {
  Span span;
  std::vector<Stop>& out = span.stops;
  int number = 0;
  for (const double time : problem.outputs) {
    const bool between = problem.interpolate && time != problem.end_time;
    if (time > 0) (between ? span.reads : out).push_back({time, number});
    ++number;
  }
  if (problem.outputs.empty()) out.push_back({problem.end_time, 0});
  for (const double time : problem.jumps) {
    const auto at = std::find_if(out.begin(), out.end(),
                                 [&](const Stop& stop) { return stop.time >= time; });
    if (at != out.end() && at->time == time) {
      at->jump = true;
    } else {
      out.insert(at, {time, -1, true});
    }
  }
  return span;
}

std::shared_ptr<const Scheme> solver_of(const Problem& problem) {
  auto out = scheme(problem.solver);
  if (problem.coupling != 0) {
    const auto table = std::dynamic_pointer_cast<const Tableau>(out);
    if (!table || problem.eta != 1)
      throw UsageError("ode: coupling makes a Runge-Kutta method reversible, and solver '" +
                       problem.solver + "' is none or is so by itself; leave coupling out");
    return std::make_shared<Reversible>(table, problem.coupling);
  }
  if (problem.eta == 1) return out;
  if (!out->inverts())
    throw UsageError("ode: eta is the damping of solver 'alf' and has no effect with solver '" +
                     problem.solver + "'; leave it out");
  return std::make_shared<Leapfrog>(problem.eta);
}

}  // namespace

Spec time_spec() { return {.shape = {1}, .batched = false}; }
Spec sample_time_spec() { return {.shape = {1}}; }

Block::Block(std::shared_ptr<Graph> f, Problem problem)
    : f_(std::move(f)), problem_(std::move(problem)), scheme_(solver_of(problem_)) {
  expect_inputs();
  expect_times();
  span_ = span_of(problem_);
  if (problem_.interpolate && scheme_->between(0.5).empty())
    throw UsageError("ode: interpolate reads outputs between the ends of steps, of which solver '" +
                     problem_.solver +
                     "' knows nothing (so do reversible ones); use dopri5, or leave interpolate out");
  const StepSizes& sizes = problem_.sizes;
  if (sizes.steps > 0 && sizes.step != 0)
    throw UsageError(
        "ode: steps is how many equal steps there are and step how long they are; leave one out");
  if (!(sizes.step >= 0) || std::isinf(sizes.step))
    throw UsageError(
        text::cat("ode: step is the length of equal steps, above 0, but is ", sizes.step));
  if (sizes.step > 0 && problem_.learnt_time != LearntTime::No)
    throw UsageError(
        "ode: with a learnt T times move in proportion, but step is a fixed length; say how many "
        "steps there are, as in steps=8");
  if (sizes.is_adaptive() && !scheme_->estimates_error())
    throw UsageError("ode: solver '" + problem_.solver +
                     "' has no estimate of its error; say how many steps it takes, as in steps=8, "
                     "or use dopri5");
  if (sizes.steps < 0 || sizes.max_steps < 1 || !(sizes.rtol >= 0) || !(sizes.atol >= 0) ||
      !(sizes.rtol + sizes.atol > 0) || !(sizes.first_step >= 0))
    throw UsageError(
        "ode: steps, tolerances and the first step are not negative, max-steps is at least 1, and "
        "rtol and atol are not both 0");
  if (!(sizes.min_step >= 0) || !(sizes.max_step >= 0) ||
      (sizes.max_step > 0 && sizes.max_step < sizes.min_step))
    throw UsageError("ode: min-step and max-step are not negative, and max-step is the longer one");
  if (!sizes.is_adaptive()) equal_steps();  // refuses a step that is too short
  if (sizes.per_sample && !sizes.is_adaptive())
    throw UsageError(
        "ode: with steps= and step= all steps are equal, so that those of each sample are those of "
        "the batch; leave them or steps-of=sample out");
  if (sizes.return_early && (span_.stops.size() > 1 || !span_.reads.empty()))
    throw UsageError(
        "ode: on-max-steps=return is for one output and no jumps, because the later ones would not "
        "be reached; use on-max-steps=stop");
  if (problem_.learnt_time != LearntTime::No) {
    const double t = problem_.end_time;
    learnt_time_ = std::make_shared<Param>(
        "T", at::full({1}, problem_.learnt_time == LearntTime::Square ? std::sqrt(t) : t));
    learnt_time_->decay = false;
  }
}

size_t Block::constants() const {
  const size_t inputs = f_->input_nodes().size();
  return inputs > 2 ? inputs - 2 : 0;
}

const Spec& Block::spec_of(int input) const {
  return f_->node(f_->input_nodes().at(static_cast<size_t>(input == 0 ? 0 : input + 1))).spec;
}

Takes Block::takes(int input) const {
  if (input == 0) return {};
  const Spec& spec = spec_of(input);
  return {.kinds = {spec.kind}, .dtypes = {spec.dtype}, .unbatched = !spec.batched};
}

int64_t Block::equal_steps() const {
  return problem_.sizes.is_adaptive() ? 0 : steps_of(span_, problem_.sizes);
}

std::string Block::objection_to(const GradientMethod& method) const {
  if (method.adjoint != AdjointSteps() && !problem_.sizes.is_adaptive())
    return "ode.adjoint-rtol, ode.adjoint-atol and ode.adjoint-seminorm are of adaptive steps, but "
           "here all steps are equal (steps or step); leave them out";
  if (method.kind == Gradient::Adjoint && problem_.sizes.per_sample)
    return "ode.gradient=adjoint integrates all samples backwards with the same steps, but here they "
           "have their own (steps-of=sample); take symplectic, which is exact, or steps-of=batch";
  return objection(method, *scheme_);
}

double Block::end_time() const {
  if (!learnt_time_) return problem_.end_time;
  const double value = learnt_time_->value.item<double>();
  const double end = problem_.learnt_time == LearntTime::Square ? value * value : value;
  if (!(end > 0) || !std::isfinite(end))
    throw Diverged(text::cat("ode: the learnt end of the integration has become T=",
                             text::from_number(end),
                             ", but it lies behind the begin at 0; lower the learning rate, of T "
                             "alone by lr-of, or learn its root with learn-T=sqrt"));
  return end;
}

std::vector<ParamPtr> Block::params() const {
  std::vector<ParamPtr> out = f_->params();
  if (learnt_time_) out.push_back(learnt_time_);
  return out;
}

Spec Block::infer(std::span<const Spec> inputs) const {
  const Spec& state = f_->node(f_->input_nodes()[0]).spec;
  const Spec& slope = f_->node(f_->output_node()).spec;
  if (inputs[0] != state)
    throw Refusal("ode", text::cat("its f is of states of shape ", shape_text(state.shape),
                                   ", but the input has ", shape_text(inputs[0].shape)));
  for (size_t i = 1; i < inputs.size(); ++i)
    if (const Spec& own = spec_of(static_cast<int>(i)); inputs[i] != own)
      throw Refusal("ode", text::cat("its f takes as constant ", i, " values of shape ",
                                     shape_text(own.shape), unusual_text(own), ", but is given ",
                                     shape_text(inputs[i].shape), unusual_text(inputs[i])));
  if (slope.shape != state.shape || !slope.batched)
    throw Refusal(
        "ode",
        text::cat("f makes values of shape ", shape_text(slope.shape), " of a state of shape ",
                  shape_text(state.shape), ", but is the state's rate of change"),
        "let the last operation inside have the shape of the state");
  if (!stacks()) return state;
  Spec out = state;
  out.shape.insert(out.shape.begin(), static_cast<int64_t>(problem_.outputs.size()));
  return out;
}

bool takes_statistics(const Graph& f) {
  for (const Node& node : f.nodes()) {
    if (!node.op) continue;
    const Traits traits = node.op->traits();
    if (!traits.couples_samples) continue;
    const Graph* inside = node.op->parts();
    const bool unknown = inside ? inside->traits().couples_samples && !takes_statistics(*inside)
                                : traits.draws_for_batch && node.op->buffers().empty();
    if (!unknown) return true;
  }
  return false;
}

void Block::build(std::span<const Spec>) {
  if (takes_statistics(*f_))
    throw Refusal("ode",
                  "an operation in f takes statistics of the batch (batch normalisation), which "
                  "would be others at every evaluation and be counted at each of them",
                  "use layer-norm inside, or put the batch-norm in front of the block");
}

Traits Block::traits() const {
  Traits out = f_->traits();
  const int64_t steps = equal_steps();
  out.reuses |= steps == 0 || steps * scheme_->stages() > 1 || scheme_->carries_slope();
  // They share the steps, and the norm of the error.
  out.couples_samples |= steps == 0 && !problem_.sizes.per_sample;
  return out;
}

int64_t Block::multiply_adds(std::span<const Spec> inputs) const {
  // Adaptive: of one step to each stop.
  const int64_t evaluations =
      scheme_->stages() * (problem_.sizes.is_adaptive() ? stretches() : equal_steps());
  return f_->multiply_adds(inputs) * (evaluations + (scheme_->carries_slope() ? 1 : 0));
}

void Block::expect_repeatable(const Tensor& x, const Record& record) const {
  if (!f_->traits().draws_for_batch || record.pass.mode != Mode::Train) return;
  const Field f = field_of(*f_, record.pass, false, record.constants);
  const Tensor slope = f(record.begin_time(), x).slope;
  if (!at::equal(slope, f(record.begin_time(), x).slope))
    throw Refusal("ode",
                  "f gives other values when it is evaluated again at the same place, and gradient "
                  "methods evaluate it again",
                  "leave random numbers and statistics out of f");
  if (!problem_.sizes.per_sample || x.size(0) == 0) return;
  // The last samples without the first, or a single one twice.
  const int64_t batch = x.size(0), from = batch / 2;
  std::vector<int64_t> rows = {0, 0};
  if (batch > 1) {
    rows.clear();
    for (int64_t b = from; b < batch; ++b) rows.push_back(b);
  }
  const Tensor index = at::tensor(rows, at::kLong).to(x.device());
  const Tensor part =
      f({at::zeros({static_cast<int64_t>(rows.size())}, at::kDouble), index}, x.index_select(0, index))
          .slope;
  constexpr double kRounding = 1e-4;
  if (!at::allclose(part, slope.index_select(0, index), kRounding, kRounding, /*equal_nan=*/true))
    throw Refusal("ode",
                  "f gives a sample other values when other samples are evaluated beside it, but with "
                  "steps of their own they come and go",
                  "leave statistics of the batch and draws for all of it out of f, or let samples "
                  "share the steps (steps-of=batch)");
}

Tensor Block::joined(const std::vector<Tensor>& outputs) const {
  return stacks() ? at::stack(outputs, 1) : outputs.at(0);
}

std::vector<Tensor> Block::parted(const Tensor& cot) const {
  if (!stacks()) return {cot};
  return cot.unbind(1);
}

void Block::set_gradient(const GradientMethod& gradient) {
  if (const std::string why = objection_to(gradient); !why.empty())
    throw UsageError("ode: " + why);
  gradient_ = gradient;
}

Tensor Block::forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const {
  const bool replay = pass.mode == Mode::Replay && saved.extra.has_value();
  if (!replay) {
    auto fresh = std::make_shared<Record>();
    fresh->pass = pass.inside();
    if (pass.mode == Mode::Replay) fresh->pass.mode = Mode::Eval;
    Span span = span_;
    if (const double end = end_time(); end != problem_.end_time)
      for (std::vector<Stop>* times : {&span.stops, &span.reads})
        for (Stop& stop : *times) stop.time *= end / problem_.end_time;
    fresh->dense = !span.reads.empty();
    fresh->spans = {std::move(span)};
    fresh->reads_begin = stacks() && problem_.outputs.front() == 0;
    saved.extra = fresh;
  }
  // A replay takes the steps and draws of the pass that it repeats.
  Record& record = record_in(saved);
  record.method = gradient_;
  record.times = learnt_time_ || time_credits_;
  record.watch_noise = tally_ && tally_->watch_noise;
  record.constants.assign(inputs.begin() + 1, inputs.end());
  if (!replay) expect_repeatable(inputs[0], record);
  const std::vector<Tensor> outputs =
      record_forward(*scheme_, *f_, inputs[0], problem_.sizes, record);
  if (tally_) {
    ++tally_->passes;
    tally_->forward.add(record.forward);
  }
  return joined(outputs);
}

const Record& Block::record(const Saved& saved) { return record_in(saved); }

Credits Block::back(const Saved& saved, const Tensor& cot, Sweep& sweep) const {
  Record& record = record_in(saved);
  Credits out = {record_back(*scheme_, *f_, problem_.sizes, record, parted(cot), sweep)};
  for (const Tensor& one : record.of_constants) out.push_back(one);
  if (tally_) tally_->backward.add(record.backward);
  if (learnt_time_ && sweep.sink) {
    double of_time = credit_of_end_time(record);
    if (problem_.learnt_time == LearntTime::Square)
      of_time *= 2 * learnt_time_->value.item<double>();
    sweep.sink->take(ParamSignal{learnt_time_.get(), at::full_like(learnt_time_->value, of_time),
                                 sweep.scale});
  }
  return out;
}

Credits Block::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                      const Tensor* substitute, Sweep& sweep) const {
  refuse_for_block(substitute);
  // Its parts may learn where nobody wants the credit of its inputs.
  Credits out = back(saved, cot, sweep);
  for (size_t i = 0; i < wanted.size() && i < out.size(); ++i)
    if (!wanted[i]) out[i] = Tensor();
  return out;
}

Tensor Block::vjp(const Saved& saved, const Tensor& cot, int input,
                  const Tensor* substitute) const {
  const Tensor out = Composite::vjp(saved, cot, input, substitute);
  if (out.defined()) return out;
  // A constant that f does not depend on.
  const Record& record = record_in(saved);
  const Tensor& like = record.constants.at(static_cast<size_t>(input - 1));
  std::vector<int64_t> shape = like.sizes().vec();
  const int64_t batch = record.begin.size(0), blocks = batch > 0 ? cot.size(0) / batch : 1;
  if (spec_of(input).batched) {
    shape[0] *= blocks;
  } else {
    shape.insert(shape.begin(), blocks);
  }
  return at::zeros(shape, cot.options());
}

Tensor Block::jvp(const Saved& saved, const Tensor& tangent, int input) const {
  TangentFrom from;
  if (input == 0) {
    from.begin = tangent;
  } else {
    from.constants.resize(constants());
    from.constants.at(static_cast<size_t>(input - 1)) = tangent;
  }
  return joined(push_along(*scheme_, *f_, record_in(saved), from));
}

Tensor Block::jvp_params(const Saved& saved, const ParamTangents& of) const {
  bool any = false;
  for (const ParamPtr& param : f_->params()) any |= of(*param).defined();
  TangentFrom from{.params = any ? of : ParamTangents()};
  if (const Tensor of_time = learnt_time_ ? of(*learnt_time_) : Tensor(); of_time.defined()) {
    any = true;
    from.end_time = of_time.item<double>();
    if (problem_.learnt_time == LearntTime::Square)
      from.end_time *= 2 * learnt_time_->value.item<double>();
  }
  return any ? joined(push_along(*scheme_, *f_, record_in(saved), from)) : Tensor();
}

OpPtr block(std::shared_ptr<Graph> f, Problem problem) {
  return std::make_shared<Block>(std::move(f), std::move(problem));
}

}  // namespace altprop::ode

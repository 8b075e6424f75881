#include "altprop/ode/cost.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/short_number.h"
#include "altprop/base/text.h"
#include "altprop/network/gradients.h"
#include "altprop/ode/revolve.h"
#include "altprop/tensor/memory.h"

namespace altprop::ode {

bool Profile::has(const GradientMethod& method) const {
  if (method.kind == Gradient::Mali) return inverts;
  if (method.kind == Gradient::Adjoint) return runge_kutta && !per_sample;
  return true;
}

namespace {

/// Blocks of a graph and of the graphs in it, but not those inside of other blocks.
void outermost(const Graph& net, const std::string& around,
               std::vector<std::pair<std::string, Block*>>& out) {
  for (const Node& node : net.nodes()) {
    if (!node.op || !node.op->parts()) continue;
    if (auto* block = dynamic_cast<Block*>(node.op.get())) {
      out.emplace_back(around + node.name, block);
    } else {
      outermost(*node.op->parts(), around + node.name + ".", out);
    }
  }
}

/// Zeros for what f takes beside state and time.
std::vector<Tensor> constants_at_zero(const Graph& f, const Tensor& x) {
  std::vector<Tensor> out;
  for (size_t i = 2; i < f.input_nodes().size(); ++i) {
    const Spec& spec = f.node(f.input_nodes()[i]).spec;
    std::vector<int64_t> shape = spec.shape;
    if (spec.batched) shape.insert(shape.begin(), x.size(0));
    out.push_back(at::zeros(shape, spec.dtype == Dtype::Float   ? x.options()
                                   : spec.dtype == Dtype::Int64 ? x.options().dtype(at::kLong)
                                                                : x.options().dtype(at::kBool)));
  }
  return out;
}

/// Bytes that an evaluation keeps, the state among them where f keeps it, and that its reverse pass
/// takes beside them.
void measure(const Graph& f, const Tensor& like, Profile& out) {
  const at::Device device = like.device();
  const Field keeping = field_of(f, {Mode::Train}, true, constants_at_zero(f, like));
  Feedback exact;
  Gradients sink;
  std::vector<char> wanted(f.input_nodes().size(), 0);
  wanted[0] = 1;
  for (int warm = 0; warm < 2; ++warm) {  // the first reverse pass makes the gradients' tensors
    sink.restart();
    const int64_t before = memory::alive(device);
    Tensor x = at::zeros_like(like);
    Evaluation one = keeping(0, x);
    x.reset();
    Tensor cot = at::zeros_like(one.slope);
    one.slope.reset();
    const int64_t kept = memory::alive(device);
    out.kept_bytes = std::max<int64_t>(0, kept - before - static_cast<int64_t>(cot.nbytes()));
    memory::reset_peak(device);
    Sweep sweep{exact, &sink};
    sweep.release = true;
    f.sweep(*one.activity, {{f.output_node(), std::move(cot)}}, sweep, wanted);
    out.sweep_bytes = std::max<int64_t>(0, memory::peak(device) - kept);
  }
}

}  // namespace

std::vector<Profile> profiles(const Graph& net, int64_t rows) {
  memory::install();
  std::vector<std::pair<std::string, Block*>> blocks;
  outermost(net, "", blocks);
  std::vector<Profile> out;
  for (const auto& [name, block] : blocks) {
    const Graph& f = *block->parts();
    const StepSizes& sizes = block->problem().sizes;
    const Scheme& solver = block->solver();
    Profile one{.name = name,
                .stages = solver.stages(),
                .steps = block->equal_steps(),
                .max_steps = sizes.is_adaptive() ? sizes.max_steps : 0,
                .carried = solver.carried(),
                .inverts = solver.inverts(),
                .runge_kutta = dynamic_cast<const Tableau*>(&solver) != nullptr,
                .carries_slope = solver.carries_slope(),
                .per_sample = sizes.per_sample,
                .growth_of_inverse = solver.growth_of_inverse()};
    std::vector<int64_t> shape = f.node(f.input_nodes()[0]).spec.shape;
    shape.insert(shape.begin(), rows);
    const Tensor x = at::zeros(shape, f.params().empty() ? net.options() : f.options());
    one.state_bytes = static_cast<int64_t>(x.nbytes());
    measure(f, x, one);
    out.push_back(std::move(one));
  }
  return out;
}

namespace {
/// Accepted steps of a sequence, rounded up.
int64_t mean_steps(const Costs& costs) {
  const int64_t n = std::max<int64_t>(1, costs.sequences);
  return (costs.accepted + n - 1) / n;
}
}  // namespace

Tally measure_steps(const Graph& net, const Tensor& inputs, std::span<Profile> profiles) {
  std::vector<std::pair<std::string, Block*>> blocks;
  outermost(net, "", blocks);
  std::vector<std::shared_ptr<Tally>> tallies;
  for (auto& [name, block] : blocks) {
    tallies.push_back(std::make_shared<Tally>());
    block->count_into(tallies.back());
  }
  Tally all;
  try {
    net.predict(inputs);
  } catch (const Diverged&) {
    // Training will say so, with weights that are its own.
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    blocks[i].second->count_into(nullptr);
    all.passes += tallies[i]->passes;
    all.forward.add(tallies[i]->forward);
    if (i < profiles.size() && profiles[i].is_adaptive())
      profiles[i].steps = mean_steps(tallies[i]->forward);
  }
  return all;
}

namespace {

/// What a forward pass leaves for the reverse pass.
int64_t record_bytes(const Profile& p, const GradientMethod& method, int64_t n) {
  const int64_t carried = p.carried * p.state_bytes;
  switch (method.kind) {
    case Gradient::Naive:
      return n * p.stages * p.kept_bytes;
    case Gradient::Aca:
    case Gradient::Symplectic:
      return n * carried;
    case Gradient::Binomial: {
      const int64_t c =
          method.checkpoints > 0 ? method.checkpoints : logarithmic_checkpoints(n);
      return std::min(c + 1, n) * carried;  // and where the last step began
    }
    case Gradient::Mali:
    case Gradient::OneCheckpoint:
    case Gradient::Adjoint:
      return carried;
  }
  return 0;
}

/// What the reverse pass takes beside the record.
int64_t pass_bytes(const Profile& p, const GradientMethod& method, int64_t n) {
  const int64_t x = p.state_bytes, slopes = p.stages * x;
  switch (method.kind) {
    case Gradient::Naive:
      return slopes + p.sweep_bytes;
    case Gradient::OneCheckpoint:
      return n * p.stages * p.kept_bytes + slopes + p.sweep_bytes;
    case Gradient::Adjoint:  // of state and credit; activities of adaptive steps stay
      return (p.is_adaptive() ? p.stages : 1) * p.kept_bytes + 2 * slopes + 4 * x + p.sweep_bytes;
    case Gradient::Mali:
      return p.kept_bytes + 3 * p.carried * x + (p.stages > 1 ? slopes : 0) + p.sweep_bytes;
    case Gradient::Aca:
    case Gradient::Symplectic:
    case Gradient::Binomial:
      return method.graphs(p.stages) * p.kept_bytes + slopes + p.sweep_bytes;
  }
  return 0;
}

/// Steps to reckon with: those that are known, else those that were measured and half as many more,
/// else the most.
int64_t expected_steps(const Profile& p) {
  if (!p.is_adaptive()) return p.steps;
  return p.steps > 0 ? std::min(p.max_steps, p.steps + p.steps / 2 + 1) : p.max_steps;
}

}  // namespace

int64_t bytes_of(const Profile& profile, const GradientMethod& method, int64_t steps) {
  return record_bytes(profile, method, steps) + pass_bytes(profile, method, steps);
}

int64_t bytes_of(std::span<const Profile> profiles, const GradientMethod& method) {
  int64_t records = 0, pass = 0;
  for (const Profile& p : profiles) {
    // Only checkpoints bound the memory of steps that are not known before.
    const bool bounded = method.kind == Gradient::Binomial && method.checkpoints > 0;
    const int64_t n = p.is_adaptive() && !bounded ? p.max_steps : expected_steps(p);
    records += bounded ? (method.checkpoints + 1) * p.carried * p.state_bytes
                       : record_bytes(p, method, n);
    pass = std::max(pass, pass_bytes(p, method, n));
  }
  return records + pass;
}

int64_t reverse_evaluations(const Profile& p, const GradientMethod& method, int64_t n) {
  const int64_t s = p.stages, begin = p.carries_slope ? 1 : 0;
  switch (method.kind) {
    case Gradient::Naive:
      return 0;
    case Gradient::OneCheckpoint:
    case Gradient::Adjoint:
      return n * s + begin;
    case Gradient::Mali:  // with several stages each is evaluated to go back, and again for its credit
      return n * s * (s > 1 ? 2 : 1) + begin;
    case Gradient::Aca:
    case Gradient::Symplectic:
      return n * (2 * s - method.graphs(p.stages)) + begin;
    case Gradient::Binomial: {
      const int64_t c =
          method.checkpoints > 0 ? method.checkpoints : logarithmic_checkpoints(n);
      return n * (2 * s - method.graphs(p.stages)) + s * repeated_steps(n, c) + begin;
    }
  }
  return 0;
}

namespace {

/// Evaluations and reverse passes in units of an evaluation, in forward and reverse pass.
int64_t work(std::span<const Profile> profiles, const GradientMethod& method) {
  int64_t out = 0;
  for (const Profile& p : profiles) {
    const int64_t n = expected_steps(p);
    out += 3 * n * p.stages + reverse_evaluations(p, method, n);
  }
  return out;
}

/// The most checkpoints that fit beside everything else; 0 if there is no room for one.
int64_t checkpoints_within(std::span<const Profile> profiles, int64_t graphs, int64_t budget) {
  int64_t each = 0, most = 0;
  for (const Profile& p : profiles) {
    each += p.carried * p.state_bytes;
    most = std::max(most, p.is_adaptive() ? p.max_steps : p.steps);
  }
  const int64_t without = bytes_of(profiles, {Gradient::Binomial, 1, graphs}) - each;
  return std::min(most, each > 0 ? (budget - without) / each : most);
}

std::vector<GradientMethod> candidates(std::span<const Profile> profiles, int64_t budget) {
  std::vector<GradientMethod> out = {Gradient::Naive};
  int64_t stages = 1;
  for (const Profile& p : profiles) stages = std::max<int64_t>(stages, p.stages);
  for (int64_t g = stages; g >= 1; --g) {
    out.push_back(g == stages ? GradientMethod(Gradient::Aca)
                              : GradientMethod(Gradient::Symplectic, 0, g));
    if (const int64_t c = checkpoints_within(profiles, g, budget); c > 0)
      out.emplace_back(Gradient::Binomial, c, g);
  }
  out.emplace_back(Gradient::Mali);
  out.emplace_back(Gradient::Binomial, 1, 1);
  std::erase_if(out, [&](const GradientMethod& method) {
    return std::any_of(profiles.begin(), profiles.end(), [&](const Profile& p) {
      return !p.has(method) || (method.kind == Gradient::Mali && p.growth_of_inverse > 1);
    });
  });
  return out;
}

}  // namespace

Choice fastest_within(std::span<const Profile> profiles, int64_t budget) {
  const std::vector<GradientMethod> all = candidates(profiles, budget);
  const GradientMethod* best = nullptr;
  const GradientMethod* smallest = &all[0];
  for (const GradientMethod& method : all) {
    if (bytes_of(profiles, method) < bytes_of(profiles, *smallest)) smallest = &method;
    if (bytes_of(profiles, method) <= budget &&
        (!best || work(profiles, method) < work(profiles, *best)))
      best = &method;
  }
  if (!best)
    throw UsageError(text::cat(
        "option 'ode.memory': ", altprop::text::short_bytes(budget), " are too few for the network's ODE blocks; the "
        "smallest exact method, ", smallest->text(), ", takes ",
        altprop::text::short_bytes(bytes_of(profiles, *smallest)), " at this batch; give that much, or lower --batch"));
  Choice out{*best, bytes_of(profiles, *best), ""};
  const int64_t fastest = work(profiles, Gradient::Naive);
  char times[32];
  std::snprintf(times, sizeof times, "%.2f",
                static_cast<double>(work(profiles, *best)) / static_cast<double>(fastest));
  out.sentence = text::cat("ode.memory=", altprop::text::short_bytes(budget), ": gradients of ODE blocks by ",
                           best->text(), ", ", altprop::text::short_bytes(out.bytes), " and ", times,
                           " times the arithmetic of naive, which takes ",
                           altprop::text::short_bytes(bytes_of(profiles, Gradient::Naive)));
  for (const Profile& p : profiles)
    if (p.is_adaptive() && p.steps > 0)
      out.sentence += text::cat(" (block '", p.name, "' took ", p.steps,
                                " steps on the first batch)");
  return out;
}

int64_t bytes_of_text(const std::string& written) {
  const std::string text = altprop::text::trim(written);
  if (text.empty()) return 0;
  static const std::vector<std::pair<std::string, double>> units = {
      {"kib", 1024.0}, {"mib", 1048576.0}, {"gib", 1073741824.0}, {"tib", 1099511627776.0},
      {"kb", 1e3},     {"mb", 1e6},        {"gb", 1e9},           {"tb", 1e12},
      {"b", 1}};
  std::string number = altprop::text::lower(text);
  double factor = 1;
  for (const auto& [unit, bytes] : units)
    if (number.ends_with(unit)) {
      factor = bytes;
      number = altprop::text::trim(number.substr(0, number.size() - unit.size()));
      break;
    }
  const auto value = altprop::text::to_number(number);
  if (!value || !(*value > 0) || !(*value * factor < 9e18))
    throw UsageError("a positive number of bytes, as in 2GB, 500MB or 64KiB");
  return std::max<int64_t>(1, std::llround(*value * factor));
}

std::vector<std::string> warnings_of(std::span<const Profile> profiles, const Graph& net,
                                     const GradientMethod& method, const Tally* seen) {
  std::vector<std::string> out;
  const bool single = net.options().dtype() == at::kFloat;
  const double eps = single ? 6e-8 : 1.1e-16;
  constexpr double kDigitsGone = 1e-4;
  for (const Profile& p : profiles) {
    if (method.kind != Gradient::Mali || p.growth_of_inverse <= 1 || p.steps == 0) continue;
    const double grown = std::pow(p.growth_of_inverse, static_cast<double>(p.steps)) * eps;
    if (grown > kDigitsGone)
      out.push_back(text::cat("block '", p.name, "' goes back ", p.steps,
                              " steps with the damping eta, by which rounding errors grow to ",
                              grown > 1 ? std::string("more than the state itself")
                                        : text::from_number(grown),
                              ": the gradient of mali will be wrong; take eta=1, fewer steps, or "
                              "ode.gradient=symplectic"));
  }
  if (seen && seen->forward.noise > 1)
    out.push_back(text::cat("the rounding errors of ", single ? "float32" : "float64",
                            " in an ODE block's error estimate are ", std::round(seen->forward.noise * 10) / 10,
                            " times its tolerance, so that steps are shortened without use; raise "
                            "rtol or atol, take a solver of lower order, or --dtype float64"));
  if (seen && seen->forward.stiff > 0)
    out.push_back(text::cat(
        "an ODE block's equation is stiff: in ", seen->forward.stiff, " of ",
        seen->forward.sequences,
        " integrations the stability of the explicit solver and not accuracy keeps steps short. An "
        "implicit solver would not mind, but altprop has none: make f milder (weight decay, a smaller "
        "init), lower T, or give samples steps of their own (steps-of=sample) where only some are "
        "stiff"));
  return out;
}

}  // namespace altprop::ode

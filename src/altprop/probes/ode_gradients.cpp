#include "altprop/probes/ode_gradients.h"

#include <chrono>
#include <cmath>
#include <cstdio>

#include "altprop/base/error.h"
#include "altprop/base/short_number.h"
#include "altprop/base/text.h"
#include "altprop/network/buffer_guard.h"
#include "altprop/network/gradients.h"
#include "altprop/ode/cost.h"
#include "altprop/tensor/memory.h"

namespace altprop {

namespace {

constexpr double kOdeTimingBudget = 0.3;  ///< seconds for the repetitions of one method
constexpr int kOdeRepetitions = 5;

/// What one pass gives.
struct OdePass {
  std::vector<Tensor> gradients;
  Tensor of_input;  ///< undefined: it has none
};

struct OdeBatch {
  Graph& net;
  const std::vector<Tensor>& inputs;
  const Objective& objective;
  const Pass& in;

  /// @param with_input also the credit of the network's input
  OdePass pass(Gradients& sink, bool with_input) const {
    BufferGuard buffers(net);
    sink.restart();
    Activity activity;
    std::vector<Tensor> to_inputs;
    const Tensor out = net.run(inputs, activity, in);
    Feedback exact;
    net.sweep(
        activity, {{net.output_node(), objective.gradient(out)}}, exact, &sink,
        {.scale = objective.scale(), .release = true, .input_credits = with_input ? &to_inputs : nullptr});
    return {{}, to_inputs.empty() ? Tensor() : to_inputs[0]};
  }
};

double distance_to(const std::vector<Tensor>& found, const std::vector<Tensor>& exact) {
  double off = 0, size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    if (!exact[i].defined()) continue;
    const Tensor seen = found[i].defined() ? found[i] : at::zeros_like(exact[i]);
    off += (seen - exact[i]).square().sum().item<double>();
    size += exact[i].square().sum().item<double>();
  }
  return size > 0 ? std::sqrt(off / size) : std::nan("");
}

double ode_clock() {
  using std::chrono::steady_clock;
  return std::chrono::duration<double>(steady_clock::now().time_since_epoch()).count();
}

/// Measures one method. @returns its gradients, of one pass
OdePass measure_method(const OdeBatch& batch, OdeGradientRow& row) {
  const std::vector<ParamPtr> params = batch.net.params();
  const at::Device device = batch.inputs.at(0).device();
  Gradients sink;
  OdePass found;
  {
    ode::Counting counting(batch.net);
    found = batch.pass(sink, true);
    row.forward = counting.tally().forward;
    row.backward = counting.tally().backward;
  }
  for (const Tensor& gradient : sink.of_params(params))
    found.gradients.push_back(gradient.defined() ? gradient.clone() : gradient);
  const double end = ode_clock() + kOdeTimingBudget;
  row.seconds = INFINITY;
  for (int i = 0; i < kOdeRepetitions && (i == 0 || ode_clock() < end); ++i) {
    memory::reset_peak(device);
    const int64_t before = memory::alive(device);
    const double begin = ode_clock();
    batch.pass(sink, false);
    row.seconds = std::min(row.seconds, ode_clock() - begin);
    row.peak_bytes = memory::peak(device) - before;
  }
  return found;
}

std::vector<ode::GradientMethod> methods_of(const std::vector<ode::Block*>& blocks,
                                            int64_t checkpoints, int64_t graph_stages,
                                            const ode::AdjointSteps& adjoint) {
  using ode::Gradient;
  std::vector<ode::GradientMethod> out = {Gradient::Naive, Gradient::OneCheckpoint, Gradient::Aca};
  int64_t stages = 1;
  for (const ode::Block* block : blocks)
    stages = std::max<int64_t>(stages, block->solver().stages());
  if (graph_stages == 0 && stages > 2) out.emplace_back(Gradient::Symplectic, 0, (stages + 1) / 2);
  out.emplace_back(Gradient::Symplectic, 0, graph_stages);
  out.emplace_back(Gradient::Binomial, checkpoints, graph_stages);
  out.emplace_back(Gradient::Mali);
  out.emplace_back(Gradient::Adjoint, 0, 0, adjoint);
  return out;
}

}  // namespace

std::vector<OdeGradientRow> compare_ode_gradients(Graph& net, const std::vector<Tensor>& inputs,
                                                  const Objective& objective, const Pass& in,
                                                  int64_t checkpoints, int64_t graph_stages,
                                                  const ode::AdjointSteps& adjoint) {
  memory::install();
  const std::vector<ode::Block*> blocks = ode::blocks_of(net);
  if (blocks.empty())
    throw UsageError(
        "the network has no ODE block, whose gradient methods could be compared; write one, as in "
        "chain: linear 16, ode{linear 16, tanh}, linear *");
  std::vector<ode::GradientMethod> before;
  for (const ode::Block* block : blocks) before.push_back(block->gradient());
  const auto restore = [&] {
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i]->set_gradient(before[i]);
  };
  std::vector<OdeGradientRow> rows;
  OdePass exact;
  try {
    for (const ode::GradientMethod& method :
         methods_of(blocks, checkpoints, graph_stages, adjoint)) {
      OdeGradientRow row{.method = method.text()};
      for (const ode::Block* block : blocks)
        if (row.refused.empty()) row.refused = block->objection_to(method);
      if (!row.refused.empty()) {
        rows.push_back(std::move(row));
        continue;
      }
      ode::set_gradient(net, method);
      try {
        const OdePass found = measure_method({net, inputs, objective, in}, row);
        if (method.kind == ode::Gradient::Naive) exact = found;
        row.gradient_error = distance_to(found.gradients, exact.gradients);
        row.input_error = found.of_input.defined() && exact.of_input.defined()
                              ? distance_to({found.of_input}, {exact.of_input})
                              : std::nan("");
      } catch (const Diverged& error) {
        if (method.kind == ode::Gradient::Naive) throw;
        row.refused = error.what();  // steps backwards that end elsewhere: a result, too
      }
      rows.push_back(std::move(row));
    }
  } catch (...) {
    restore();
    throw;
  }
  restore();
  return rows;
}

std::string ode_gradient_table(const std::vector<OdeGradientRow>& rows) {
  size_t width = 6;
  for (const OdeGradientRow& row : rows) width = std::max(width, row.method.size());
  const int w = static_cast<int>(width);
  char line[400];
  std::snprintf(line, sizeof line, "%-*s %14s %14s %10s %9s %9s %9s %9s %9s %9s\n", w, "method",
                "gradient error", "input error", "memory", "ms", "evals", "reverse", "accepted",
                "rejected", "repeated");
  std::string out = line, refused;
  const auto error = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, std::isnan(value) ? "-" : "%.2e", value);
    return std::string(text);
  };
  for (const OdeGradientRow& row : rows) {
    if (!row.refused.empty()) {
      refused += row.method + ": " + row.refused + "\n";
      continue;
    }
    std::snprintf(line, sizeof line, "%-*s %14s %14s %10s %9.3g %9ld %9ld %9ld %9ld %9ld\n", w,
                  row.method.c_str(), error(row.gradient_error).c_str(),
                  error(row.input_error).c_str(), text::short_bytes(row.peak_bytes).c_str(),
                  row.seconds * 1e3, static_cast<long>(row.forward.evaluations),
                  static_cast<long>(row.backward.evaluations),
                  static_cast<long>(row.forward.accepted), static_cast<long>(row.forward.rejected),
                  static_cast<long>(row.backward.repeated));
    out += line;
  }
  return out + (refused.empty() ? "" : "\n" + refused);
}

nlohmann::json ode_gradient_json(const std::vector<OdeGradientRow>& rows) {
  const auto finite = [](double value) {
    return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
  };
  nlohmann::json out = nlohmann::json::array();
  for (const OdeGradientRow& row : rows) {
    nlohmann::json one{{"method", row.method}};
    if (row.refused.empty()) {
      one.update({{"gradient_error", finite(row.gradient_error)},
                  {"input_error", finite(row.input_error)},
                  {"peak_bytes", row.peak_bytes},
                  {"seconds", finite(row.seconds)},
                  {"forward_evaluations", row.forward.evaluations},
                  {"reverse_evaluations", row.backward.evaluations},
                  {"accepted_steps", row.forward.accepted},
                  {"rejected_steps", row.forward.rejected},
                  {"repeated_steps", row.backward.repeated}});
    } else {
      one["refused"] = row.refused;
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace altprop

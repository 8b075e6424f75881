#include "altprop/weight_flow/ode_to_ode.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/check.h"

namespace altprop::weight_flow {

namespace {

/// All steps of the state, or of a tangent of it. @param slope of a value at a matrix, by its
/// number
template <class Slope>
Tensor stepped(const Grid& grid, Tensor x, const Slope& slope) {
  const double h = grid.h();
  for (int64_t i = 0; i < grid.reads(); ++i) {
    if (!grid.midpoint) {
      x = x.add(slope(x, i), h);
      continue;
    }
    const Tensor middle = x.add(slope(x, i), h / 2);
    x = x.add(slope(middle, ++i), h);
  }
  return x;
}

}  // namespace

OdeToOde::OdeToOde(Settings settings)
    : settings_(std::move(settings)),
      grid_{settings_.steps, settings_.end, settings_.solver == "midpoint"},
      flow_(make_flow(settings_)),
      activation_(settings_.activation) {
  if (settings_.solver != "midpoint" && settings_.solver != "euler")
    throw UsageError("ode-to-ode: there is no solver '" + settings_.solver +
                     "'; it is euler or midpoint");
}

OdeToOde::OdeToOde(const OdeToOde& of)
    : settings_(of.settings_),
      grid_(of.grid_),
      width_(of.width_),
      flow_(of.flow_),
      activation_(of.activation_) {
  if (width_ == 0)
    throw UsageError(
        "ode-to-ode: the operation whose weights are to be shared has none yet; add it to a graph "
        "first");
}

Spec OdeToOde::infer(std::span<const Spec> inputs) const {
  const Spec& in = inputs[0];
  expect_real(type(), in);
  if (in.shape.size() != 1)
    throw Refusal(
        type(),
        "its weights are square matrices of one vector's length, but the input has shape " +
            shape_text(in.shape),
        "put a flatten and a linear layer in front of it");
  if (width_ > 0 && in.shape[0] != width_)
    throw Refusal(type(), text::cat("its weights are for ", width_, " values, but the input has ",
                                    in.shape[0]));
  return in;
}

void OdeToOde::build(std::span<const Spec> inputs) {
  if (width_ > 0) return;
  width_ = inputs[0].shape[0];
  flow_->build(width_, grid_);
}

std::vector<ParamPtr> OdeToOde::params() const {
  return width_ > 0 ? flow_->params() : std::vector<ParamPtr>{};
}

std::shared_ptr<const Trajectory> OdeToOde::current() const {
  const std::vector<ParamPtr> all = params();
  const auto is_same = [&](size_t i) {
    const Tensor &now = all[i]->value, &then = latest_of_[i];
    return now.scalar_type() == then.scalar_type() && now.device() == then.device() &&
           at::equal(now, then);
  };
  const std::lock_guard lock(mutex_);
  bool changed = !latest_;
  for (size_t i = 0; i < all.size() && !changed; ++i) changed = !is_same(i);
  if (changed) {
    latest_ = std::make_shared<const Trajectory>(flow_->run(grid_));
    latest_of_.clear();
    for (const ParamPtr& param : all) latest_of_.push_back(param->value.clone());
  }
  return latest_;
}

const Trajectory& OdeToOde::trajectory(const Saved& saved) {
  return *std::any_cast<const std::shared_ptr<const Trajectory>&>(saved.extra);
}

Tensor OdeToOde::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const std::shared_ptr<const Trajectory> flow = current();
  saved.clear();
  saved.extra = flow;
  const auto slope = [&](const Tensor& x, size_t read) {
    Saved inner;
    const Tensor u = at::mm(x, flow->read[read].t());
    Tensor out = activation_.forward(std::span(&u, 1), inner, {.overwrite = true});
    saved.t.push_back(x);
    saved.t.push_back(inner.t[0]);
    return out;
  };
  return stepped(grid_, inputs[0], slope);
}

// With g the credit of x_{i+1}, D = f'(u) of the matrix that is met:
//   Euler:     dU = h D g,              credit of x_i = g + dU W
//   midpoint:  dU' = h D' g, m = dU' W', dU = h/2 D m,   credit of x_i = g + m + dU W
Tensor OdeToOde::pull(const Saved& saved, const Tensor& cot, std::vector<Tensor>* read) const {
  const Trajectory& flow = trajectory(saved);
  if (read) read->assign(flow.read.size(), {});
  const auto back = [&](const Tensor& g, size_t i, double h) {
    Saved inner;
    inner.t = {saved.t[2 * i + 1]};
    Tensor du = activation_.vjp(inner, g, 0, nullptr);
    du = du.is_same(g) ? du * h : du.mul_(h);
    if (read) (*read)[i] = at::mm(du.t(), match_rows(saved.t[2 * i], g));
    return du;
  };
  const auto by = [&](size_t i) { return flow.read[i]; };
  Tensor g = cot;
  const double h = grid_.h();
  for (size_t i = flow.read.size(); i-- > 0;) {
    if (!grid_.midpoint) {
      g = at::addmm(g, back(g, i, h), by(i));
      continue;
    }
    const Tensor middle = at::mm(back(g, i, h), by(i));
    --i;
    g = at::addmm(g + middle, back(middle, i, h / 2), by(i));
  }
  return g;
}

Tensor OdeToOde::push(const Saved& saved, const Tensor& tangent,
                      std::span<const Tensor> matrices) const {
  const Trajectory& flow = trajectory(saved);
  const auto along = [&](const Tensor& dx, size_t i) {
    Saved inner;
    inner.t = {saved.t[2 * i + 1]};
    Tensor du = at::mm(dx, flow.read[i].t());
    if (!matrices.empty()) du.add_(at::mm(match_rows(saved.t[2 * i], dx), matrices[i].t()));
    return activation_.jvp(inner, du, 0);
  };
  return stepped(grid_, tangent, along);
}

namespace {
void refuse(const Tensor* substitute) {
  if (substitute)
    throw Refusal("ode-to-ode",
                  "its weights are made anew along the way, so none can be substituted",
                  "use backprop, or a network of the library's layers");
}
}  // namespace

Credits OdeToOde::credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                         const Tensor* substitute, Sweep& sweep) const {
  refuse(substitute);
  if (!wanted[0]) return {Tensor()};
  if (!sweep.sink || !sweep.shared) return {pull(saved, cot, nullptr)};
  Shared shared{cot, {}};
  Tensor out = pull(saved, cot, &shared.t);
  *sweep.shared = std::move(shared);
  return {out};
}

Tensor OdeToOde::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  refuse(substitute);
  return pull(saved, cot, nullptr);
}

Tensor OdeToOde::jvp(const Saved& saved, const Tensor& tangent, int) const {
  return push(saved, tangent, {});
}

Tensor OdeToOde::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const auto all = params();
  if (std::ranges::none_of(all, [&](const ParamPtr& p) { return of(*p).defined(); })) return {};
  const std::vector<Tensor> matrices = flow_->push(trajectory(saved), grid_, of);
  return push(saved, at::zeros_like(saved.t[0]), matrices);
}

void OdeToOde::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                          const Tensor*, const Shared* shared) const {
  const std::vector<ParamPtr> all = params();
  if (std::ranges::none_of(all, [&](const ParamPtr& p) { return store.of(*p) != nullptr; })) return;
  std::vector<Tensor> read;
  if (shared && shared->is_for(cot)) {
    read = shared->t;
  } else {
    pull(saved, cot, &read);
  }
  const std::vector<Tensor> gradients = flow_->pull(trajectory(saved), grid_, read);
  for (size_t i = 0; i < all.size(); ++i)
    if (Slot* slot = store.of(*all[i])) slot->add(gradients[i], scale);
}

int64_t OdeToOde::multiply_adds(std::span<const Spec> inputs) const {
  const int64_t d = inputs[0].shape[0];
  return grid_.reads() * d * d;
}

std::vector<std::string> OdeToOde::notices() const {
  std::vector<std::string> out;
  if (grid_.h() > 1)
    out.push_back(text::cat("its steps have length T/steps = ", text::from_number(grid_.h()),
                            ": beyond 1 they are no flow, and values and credit may explode; take "
                            "more steps or a smaller T"));
  const std::lock_guard lock(mutex_);
  if (std::string found = latest_ ? flow_->notice(*latest_) : ""; !found.empty())
    out.push_back(std::move(found));
  return out;
}

std::optional<CreditBounds> OdeToOde::bounds() const {
  if (!flow_->orthogonal()) return std::nullopt;
  return credit_bounds(activation_.steepest(), grid_.h(), grid_.steps, grid_.midpoint);
}

CreditBounds credit_bounds(double slope, double h, int64_t steps, bool midpoint) {
  const double n = static_cast<double>(steps), euler = slope * h;
  const double a = midpoint ? euler + euler * euler / 2 : euler;
  return {a < 1 ? std::pow(1 - a, n) : 0, std::pow(1 + a, n)};
}

}  // namespace altprop::weight_flow

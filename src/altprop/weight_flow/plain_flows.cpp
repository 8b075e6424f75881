#include "altprop/weight_flow/plain_flows.h"

#include <cmath>
#include <numbers>

#include "altprop/base/text.h"
#include "altprop/weight_flow/perceptrons.h"

namespace altprop::weight_flow {

namespace {

ParamPtr square_matrix(const std::string& name, int64_t d, double gain) {
  auto out = std::make_shared<Param>(name, at::zeros({d, d}));
  out->init = "normal:" + text::from_number(gain / std::sqrt(static_cast<double>(d)));
  return out;
}

class ConstantFlow : public WeightFlow {
 public:
  explicit ConstantFlow(const Settings& settings) : gain_(settings.gain) {}
  void build(int64_t d, const Grid&) override { w_ = square_matrix("weight", d, gain_); }
  std::vector<ParamPtr> params() const override { return {w_}; }
  Trajectory run(const Grid& grid) const override {
    return {std::vector<Tensor>(static_cast<size_t>(grid.reads()), w_->value), {}};
  }
  std::vector<Tensor> pull(const Trajectory&, const Grid&,
                           std::span<const Tensor> read) const override {
    Tensor sum = read[0].clone();
    for (const Tensor& one : read.subspan(1)) sum.add_(one);
    return {sum};
  }
  std::vector<Tensor> push(const Trajectory&, const Grid& grid,
                           const ParamTangents& of) const override {
    const Tensor d = of(*w_);
    return {static_cast<size_t>(grid.reads()), d.defined() ? d : at::zeros_like(w_->value)};
  }
  int64_t multiply_adds(const Grid&) const override { return 0; }

 private:
  ParamPtr w_;
  double gain_;
};

class BasisFlow : public WeightFlow {
 public:
  explicit BasisFlow(const Settings& settings) : basis_(settings.basis), terms_(settings.terms) {}
  void build(int64_t d, const Grid&) override {
    c_ = std::make_shared<Param>("terms", at::zeros({terms_, d, d}));
    c_->init = "normal:" + text::from_number(1 / std::sqrt(static_cast<double>(d * terms_)));
  }
  std::vector<ParamPtr> params() const override { return {c_}; }
  Trajectory run(const Grid& grid) const override { return {matrices(grid, c_->value), {}}; }
  std::vector<Tensor> pull(const Trajectory&, const Grid& grid,
                           std::span<const Tensor> read) const override {
    const Tensor all = at::stack(at::TensorList(read.data(), read.size())).flatten(1);
    return {at::mm(functions(grid).t(), all).view(c_->value.sizes())};
  }
  std::vector<Tensor> push(const Trajectory&, const Grid& grid,
                           const ParamTangents& of) const override {
    const Tensor d = of(*c_);
    return matrices(grid, d.defined() ? d : at::zeros_like(c_->value));
  }
  int64_t multiply_adds(const Grid& grid) const override {
    return grid.reads() * c_->value.numel();
  }

 private:
  /// [reads, terms]
  Tensor functions(const Grid& grid) const {
    Tensor out = at::empty({grid.reads(), terms_}, at::kDouble);
    auto at = out.accessor<double, 2>();
    for (int64_t i = 0; i < grid.reads(); ++i)
      for (int64_t k = 0; k < terms_; ++k) at[i][k] = function(k, grid.time(i) / grid.end);
    return out.to(c_->value.options());
  }
  /// @param s in [0, 1)
  double function(int64_t k, double s) const {
    if (basis_ == "chebyshev") return std::cos(static_cast<double>(k) * std::acos(2 * s - 1));
    if (basis_ == "piecewise")
      return static_cast<int64_t>(s * static_cast<double>(terms_)) == k ? 1 : 0;
    const double turns = std::numbers::pi * 2 * static_cast<double>((k + 1) / 2) * s;
    return k % 2 == 0 ? std::cos(turns) : std::sin(turns);
  }
  std::vector<Tensor> matrices(const Grid& grid, const Tensor& terms) const {
    return at::mm(functions(grid), terms.flatten(1))
        .view({-1, terms.size(1), terms.size(2)})
        .unbind(0);
  }

  ParamPtr c_;
  std::string basis_;
  int64_t terms_;
};

class FreeFlow : public WeightFlow {
 public:
  explicit FreeFlow(const Settings& settings) : perceptrons_(settings) {}
  void build(int64_t d, const Grid&) override {
    w_ = square_matrix("start", d, 1);
    perceptrons_.build(d, d * d);
  }
  std::vector<ParamPtr> params() const override {
    std::vector<ParamPtr> out = perceptrons_.params();
    out.push_back(w_);
    return out;
  }
  Trajectory run(const Grid& grid) const override {
    auto kept = std::make_shared<Steps>();
    Trajectory out{{w_->value}, {}};
    for (int64_t i = 1; i < grid.reads(); ++i) {
      const Tensor& w = out.read.back();
      kept->emplace_back();
      const Tensor slope = perceptrons_.run(grid.time(i - 1), w, kept->back());
      out.read.push_back(w.add(slope.view(w.sizes()), step(grid, i)));
    }
    out.kept = std::move(kept);
    return out;
  }
  std::vector<Tensor> pull(const Trajectory& trajectory, const Grid& grid,
                           std::span<const Tensor> read) const override {
    const Steps& kept = *std::any_cast<const std::shared_ptr<Steps>&>(trajectory.kept);
    Perceptrons::Pull perceptrons(perceptrons_);
    Tensor of_w = read.back().clone();
    for (int64_t i = grid.reads() - 1; i > 0; --i) {
      const Tensor slope = (of_w * step(grid, i)).view(-1);
      of_w = of_w + read[static_cast<size_t>(i - 1)];
      perceptrons.through(kept[static_cast<size_t>(i - 1)], slope, of_w);
    }
    std::vector<Tensor> gradients = perceptrons.gradients();
    gradients.push_back(of_w);
    return gradients;
  }
  std::vector<Tensor> push(const Trajectory& trajectory, const Grid& grid,
                           const ParamTangents& of) const override {
    const Steps& kept = *std::any_cast<const std::shared_ptr<Steps>&>(trajectory.kept);
    const Tensor d = of(*w_);
    std::vector<Tensor> out{d.defined() ? d : at::zeros_like(w_->value)};
    for (int64_t i = 1; i < grid.reads(); ++i)
      out.push_back(
          out.back().add(perceptrons_.push(kept[static_cast<size_t>(i - 1)], out.back(), of)
                             .view(w_->value.sizes()),
                         step(grid, i)));
    return out;
  }
  int64_t multiply_adds(const Grid& grid) const override {
    return (grid.reads() - 1) * perceptrons_.multiply_adds();
  }

 private:
  using Steps = std::vector<Perceptrons::Kept>;
  static double step(const Grid& grid, int64_t to) { return grid.time(to) - grid.time(to - 1); }

  Perceptrons perceptrons_;
  ParamPtr w_;
};

}  // namespace

std::shared_ptr<WeightFlow> constant_flow(const Settings& settings) {
  return std::make_shared<ConstantFlow>(settings);
}
std::shared_ptr<WeightFlow> basis_flow(const Settings& settings) {
  return std::make_shared<BasisFlow>(settings);
}
std::shared_ptr<WeightFlow> free_flow(const Settings& settings) {
  return std::make_shared<FreeFlow>(settings);
}

}  // namespace altprop::weight_flow

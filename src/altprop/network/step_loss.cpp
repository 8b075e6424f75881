#include "altprop/network/step_loss.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

bool has_steps(const Tensor& output, const Tensor& target) {
  return output.dim() == 3 && target.dim() == (target.is_floating_point() ? 3 : 2);
}

Tensor step_weights(const Tensor& target, at::TensorOptions options) {
  if (target.is_floating_point())
    return at::full({target.size(0), target.size(1)}, 1.0 / static_cast<double>(target.size(1)),
                    options);
  const Tensor there = target.ge(0);
  return there.to(options) / there.sum(1, true).clamp_min(1);
}

namespace {

/// Every step as a row, with class 0 where there is no target: such rows get the weight 0.
struct StepRows {
  Tensor output, target, weight;
  StepRows(const Tensor& out, const Tensor& steps) {
    const bool values = steps.is_floating_point();
    if (values ? out.sizes() != steps.sizes()
               : out.size(0) != steps.size(0) || out.size(1) != steps.size(1))
      throw UsageError(
          text::cat(values ? "targets" : "class numbers", " of shape ", shape_text(steps.sizes()),
                    " do not fit a network output of shape ", shape_text(out.sizes())));
    output = out.reshape({-1, out.size(2)});
    target = values ? steps.reshape(output.sizes()) : steps.clamp_min(0).view(-1);
    weight = step_weights(steps, out.options()).view(-1);
  }
};

class OverSteps : public Loss {
 public:
  explicit OverSteps(std::unique_ptr<Loss> rows) : rows_(std::move(rows)) {}
  std::string name() const override { return rows_->name(); }
  std::string help() const override { return rows_->help(); }
  bool takes(Kind kind) const override { return rows_->takes(kind); }
  void admit(const std::vector<int64_t>& output, const Tensor& targets) const override {
    rows_->admit(output, targets);
  }

  Tensor value(const Tensor& output, const Tensor& target) const override {
    if (!has_steps(output, target)) return rows_->value(output, target);
    const StepRows rows(output, target);
    return rows_->value(rows.output, rows.target)
        .mul(rows.weight)
        .view({output.size(0), output.size(1)})
        .sum(1);
  }
  Tensor gradient(const Tensor& output, const Tensor& target) const override {
    if (!has_steps(output, target)) return rows_->gradient(output, target);
    const StepRows rows(output, target);
    return rows_->gradient(rows.output, rows.target)
        .mul_(rows.weight.unsqueeze(1))
        .view(output.sizes());
  }
  Tensor curvature(const Tensor& output, const Tensor& target,
                   const Tensor& direction) const override {
    if (!has_steps(output, target)) return rows_->curvature(output, target, direction);
    const StepRows rows(output, target);
    return rows_->curvature(rows.output, rows.target, direction.reshape(rows.output.sizes()))
        .mul_(rows.weight.unsqueeze(1))
        .view(output.sizes());
  }
  bool squared() const override { return rows_->squared(); }
  bool is_surprise() const override { return rows_->is_surprise(); }
  bool analytic() const override { return rows_->analytic(); }
  Tensor complex_gradient(const Tensor& planar, const Tensor& target) const override {
    return rows_->complex_gradient(planar, target);
  }
  Tensor right(const Tensor& output, const Tensor& target) const override {
    return rows_->right(output, target);
  }
  Tensor link(const Tensor& output) const override {
    if (output.dim() != 3) return rows_->link(output);
    return rows_->link(output.reshape({-1, output.size(2)})).view(output.sizes());
  }

 private:
  std::unique_ptr<Loss> rows_;
};

}  // namespace

std::unique_ptr<Loss> over_steps(std::unique_ptr<Loss> rows) {
  return std::make_unique<OverSteps>(std::move(rows));
}

}  // namespace altprop

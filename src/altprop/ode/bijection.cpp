#include "altprop/ode/bijection.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

Spec Bijection::infer(std::span<const Spec> inputs) const {
  const std::vector<int64_t>& shape = inputs[0].shape;
  if (shape.size() != 1 || shape[0] < 2)
    throw Refusal(type(),
                  "it is for the state of a flow, values and one more for their log density, but "
                  "the input has shape " +
                      shape_text(shape),
                  "flatten in front, and write zero-channels for the log density");
  return Spec{{made_of(shape[0] - 1) + 1}};
}

void Bijection::build(std::span<const Spec> inputs) { width_ = inputs[0].shape[0] - 1; }

namespace {

/// NaN and infinity go on: who looks for them names the layer where they begin.
void expect_unit_interval(const std::string& type, const Tensor& x) {
  if (x.numel() == 0) return;
  const auto [least, most] = at::aminmax(x);
  const double low = least.item<double>(), high = most.item<double>();
  if (!std::isfinite(low) || !std::isfinite(high) || (low >= 0 && high <= 1)) return;
  throw Refusal(type,
                text::cat("its values are those of an image in [0, 1], but there are some from ",
                          text::from_number(low), " to ", text::from_number(high)),
                "deliver the data with --normalise unit");
}

/// Values [B, d], the change of log density [B, 1].
std::pair<Tensor, Tensor> values_and_density(const Tensor& x) {
  return {x.narrow(1, 0, x.size(1) - 1), x.narrow(1, x.size(1) - 1, 1)};
}

class Logit : public Bijection {
 public:
  explicit Logit(double alpha) : alpha_(alpha) {
    if (!(alpha > 0 && alpha < 0.5))
      throw UsageError(text::cat("logit: alpha lies between 0 and 0.5, but is ",
                                 text::from_number(alpha)));
  }
  std::string type() const override { return "logit"; }
  std::string settings() const override { return "alpha=" + text::from_number(alpha_); }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const auto [z, l] = values_and_density(inputs[0]);
    expect_unit_interval(type(), z);
    // y and 1 - y each by itself: near 1 the difference of the first would lose all digits.
    const Tensor y = z * slope() + alpha_, rest = (1 - z) * slope() + alpha_;
    saved.t = {y, rest};
    const Tensor log_y = y.log(), log_rest = rest.log();
    const Tensor change = (log_y + log_rest).sum(1, true) -
                          static_cast<double>(z.size(1)) * std::log(slope());
    return at::cat({log_y - log_rest, l + change}, 1);
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    const auto [of_z, of_l] = values_and_density(cot);
    const Tensor y = match_rows(saved.t[0], cot), rest = match_rows(saved.t[1], cot);
    return at::cat({(of_z / (y * rest) + of_l * (1 / y - 1 / rest)) * slope(), of_l}, 1);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    const auto [of_z, of_l] = values_and_density(tangent);
    const Tensor y = match_rows(saved.t[0], tangent), rest = match_rows(saved.t[1], tangent);
    const Tensor moved = of_z * slope();
    return at::cat({moved / (y * rest), of_l + (moved * (1 / y - 1 / rest)).sum(1, true)}, 1);
  }
  Tensor inverse(const Tensor& made, const Stream&, int64_t) const override {
    return ((made.sigmoid() - alpha_) / slope()).clamp(0, 1);
  }

 private:
  double slope() const { return 1 - 2 * alpha_; }
  double alpha_;
};

class Squeeze : public Bijection {
 public:
  explicit Squeeze(std::vector<int64_t> image) : image_(std::move(image)) {
    if (image_.size() != 3 || image_[0] < 1 || image_[1] < 2 || image_[2] < 2 || image_[1] % 2 ||
        image_[2] % 2)
      throw UsageError("squeeze: it halves the height and the width of an image, which are even, as "
                       "in squeeze 1x28x28, but this one has shape " +
                       shape_text(image_));
  }
  std::string type() const override { return "squeeze"; }
  std::string settings() const override {
    return text::cat(image_[0], "x", image_[1], "x", image_[2]);
  }
  void build(std::span<const Spec> inputs) override {
    Bijection::build(inputs);
    const int64_t c = image_[0], h = image_[1] / 2, w = image_[2] / 2, n = width();
    order_ = at::cat({at::arange(n, at::kLong).view({c, h, 2, w, 2}).permute({0, 2, 4, 1, 3}).flatten(),
                      at::tensor({n}, at::kLong)});
    back_ = order_.argsort();
  }
  Tensor forward(std::span<const Tensor> inputs, Saved&, const Pass&) const override {
    return moved(inputs[0], order_);
  }
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor*) const override {
    return moved(cot, back_);
  }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override {
    return moved(tangent, order_);
  }
  Tensor inverse(const Tensor& made, const Stream&, int64_t) const override {
    return moved(made, back_.narrow(0, 0, width()));
  }
  Traits traits() const override { return {.response = Response::Linear, .rearranges = true}; }

 protected:
  int64_t made_of(int64_t values) const override {
    const int64_t n = image_[0] * image_[1] * image_[2];
    if (values != n)
      throw Refusal(type(), text::cat("an image of shape ", shape_text(image_), " has ", n,
                                      " values, but the state has ", values));
    return values;
  }

 private:
  static Tensor moved(const Tensor& x, const Tensor& order) {
    return x.index_select(1, order.to(x.device()));
  }
  std::vector<int64_t> image_;
  Tensor order_, back_;
};

class FactorOut : public Bijection {
 public:
  explicit FactorOut(int64_t keep) : keep_(keep) {
    if (keep < 1)
      throw UsageError(text::cat("factor-out: at least 1 value goes on, but keep is ", keep));
  }
  std::string type() const override { return "factor_out"; }
  std::string settings() const override { return text::cat("keep=", keep_); }

  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const override {
    const Tensor& x = inputs[0];
    const auto [z, l] = values_and_density(x);
    const Tensor left = z.narrow(1, keep_, z.size(1) - keep_);
    saved.t = {left};
    const double constant =
        0.5 * static_cast<double>(left.size(1)) * std::log(2 * std::numbers::pi);
    return at::cat({z.narrow(1, 0, keep_), l + left.square().sum(1, true) * 0.5 + constant}, 1);
  }
  Tensor vjp(const Saved& saved, const Tensor& cot, int, const Tensor*) const override {
    const auto [of_z, of_l] = values_and_density(cot);
    return at::cat({of_z, of_l * match_rows(saved.t[0], cot), of_l}, 1);
  }
  Tensor jvp(const Saved& saved, const Tensor& tangent, int) const override {
    const auto [of_z, of_l] = values_and_density(tangent);
    const Tensor of_left = of_z.narrow(1, keep_, of_z.size(1) - keep_);
    const Tensor change = (of_left * match_rows(saved.t[0], tangent)).sum(1, true);
    return at::cat({of_z.narrow(1, 0, keep_), of_l + change}, 1);
  }
  Tensor inverse(const Tensor& made, const Stream& draws, int64_t first_row) const override {
    const Tensor left = draws.normal_rows({.first_row = first_row},
                                          {made.size(0), width() - keep_}, made.options());
    return at::cat({made, left}, 1);
  }

 protected:
  int64_t made_of(int64_t values) const override {
    if (keep_ >= values)
      throw Refusal(type(), text::cat("of ", values, " values ", keep_,
                                      " are to go on, so that none leaves the flow"));
    return keep_;
  }

 private:
  int64_t keep_;
};

class Dequantise : public Op {
 public:
  explicit Dequantise(int64_t levels) : levels_(levels) {
    if (levels < 2)
      throw UsageError(text::cat("dequantise: values have at least 2 levels, but levels is ", levels));
  }
  std::string type() const override { return "dequantise"; }
  std::string settings() const override { return text::cat("levels=", levels_); }
  Spec infer(std::span<const Spec> inputs) const override { return inputs[0]; }
  Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const override {
    const Tensor& x = inputs[0];
    if (pass.mode != Mode::Replay || saved.t.empty()) {
      expect_unit_interval(type(), x);
      saved.t = {pass.draws.at("dequantise").uniform_rows(pass.rows(), x.sizes(), x.options())};
    }
    return (x * static_cast<double>(levels_ - 1) + saved.t[0]) / static_cast<double>(levels_);
  }
  Tensor vjp(const Saved&, const Tensor& cot, int, const Tensor*) const override {
    return cot * slope();
  }
  Tensor jvp(const Saved&, const Tensor& tangent, int) const override { return tangent * slope(); }
  Traits traits() const override { return {.draws = true, .response = Response::Linear}; }
  int64_t levels() const { return levels_; }

 private:
  double slope() const { return static_cast<double>(levels_ - 1) / static_cast<double>(levels_); }
  int64_t levels_;
};

}  // namespace

OpPtr logit(double alpha) { return std::make_shared<Logit>(alpha); }
OpPtr squeeze(std::vector<int64_t> image) { return std::make_shared<Squeeze>(std::move(image)); }
OpPtr factor_out(int64_t keep) { return std::make_shared<FactorOut>(keep); }
OpPtr dequantise(int64_t levels) { return std::make_shared<Dequantise>(levels); }

int64_t levels_of(const Op& op) {
  const auto* noise = dynamic_cast<const Dequantise*>(&op);
  return noise ? noise->levels() : 0;
}

Tensor quantised(const Tensor& y, int64_t levels) {
  const auto top = static_cast<double>(levels - 1);
  return (y * static_cast<double>(levels)).floor().clamp(0, top) / top;
}

}  // namespace altprop::ode

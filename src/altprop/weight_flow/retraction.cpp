#include "altprop/weight_flow/retraction.h"

#include <numbers>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::weight_flow {

namespace {

struct Exponential : Retraction {
  std::string name() const override { return "exp"; }
  Turned apply(const Tensor& a, Digits digits) const override {
    Rotation found = skew_exp(a, digits);
    return {a, found.matrix, {}, found.angle};
  }
  Tensor push(const Turned& step, const Tensor& direction) const override {
    return exp_push(step.a, step.angle, direction);
  }
  Tensor pull(const Turned& step, const Tensor& covector) const override {
    return exp_pull(step.a, step.angle, covector);
  }
};

// With P = (I - a/2)^{-1}:  R = P (I + a/2) = 2 P - I,  dR = P da P,  and R^T P = P^T.
struct Cayley : Retraction {
  std::string name() const override { return "cayley"; }
  Turned apply(const Tensor& a, Digits) const override {
    Tensor matrix = a * -0.5;
    matrix.diagonal().add_(1);
    const Tensor inverse = at::linalg_inv(matrix);
    Tensor rotation = inverse * 2;
    rotation.diagonal().sub_(1);
    return {a, rotation, inverse, a.norm().item<double>() / std::numbers::sqrt2};
  }
  Tensor push(const Turned& step, const Tensor& direction) const override {
    return at::mm(at::mm(step.inverse.t(), direction), step.inverse);
  }
  Tensor pull(const Turned& step, const Tensor& covector) const override {
    return at::mm(at::mm(step.inverse, covector), step.inverse.t());
  }
};

const std::vector<const Retraction*>& all_retractions() {
  static const Exponential exponential;
  static const Cayley cayley;
  static const std::vector<const Retraction*> all{&exponential, &cayley};
  return all;
}

}  // namespace

Turned Turned::to(at::ScalarType type) const {
  return {a.to(type), rotation.to(type), inverse.defined() ? inverse.to(type) : inverse, angle};
}

std::vector<std::string> retraction_names() {
  std::vector<std::string> out;
  for (const Retraction* one : all_retractions()) out.push_back(one->name());
  return out;
}

const Retraction& retraction(const std::string& name) {
  for (const Retraction* one : all_retractions())
    if (one->name() == name) return *one;
  throw UsageError("there is no retraction '" + name + "'" +
                   text::suggestion(name, retraction_names()));
}

}  // namespace altprop::weight_flow

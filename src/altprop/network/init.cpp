#include "altprop/network/init.h"

#include <cmath>
#include <optional>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {
const std::vector<std::string>& plain_schemes() {
  static const std::vector<std::string> names = {"xavier", "xavier-normal", "kaiming",    "he",
                                                 "lecun",  "akrout",        "orthogonal", "zero"};
  return names;
}
}  // namespace

std::string Initialiser::grammar() {
  return text::join(plain_schemes(), "|") + "|uniform:x|normal:x[:mean]";
}

Initialiser::Initialiser(const std::string& scheme) : scheme_(scheme) {
  const size_t colon = scheme.find(':');
  kind_ = scheme.substr(0, colon);
  if (colon == std::string::npos) {
    for (const std::string& name : plain_schemes())
      if (name == kind_) return;
  } else if (kind_ == "uniform" || kind_ == "normal") {
    const size_t second = scheme.find(':', colon + 1);
    const auto value = text::to_number(scheme.substr(colon + 1, second - colon - 1));
    const auto mean = second == std::string::npos || kind_ == "uniform"
                          ? std::optional<double>(0)
                          : text::to_number(scheme.substr(second + 1));
    const bool extra = second != std::string::npos && kind_ == "uniform";
    if (!extra && value && mean && *value >= 0 && std::isfinite(*value) && std::isfinite(*mean)) {
      value_ = *value;
      mean_ = *mean;
      return;
    }
  }
  throw UsageError("one of " + grammar() + " with x a number of at least 0 and a finite mean");
}

Fans fans_of(IntArrayRef shape) {
  if (shape.size() < 2) return {1, 1};
  double field = 1;
  for (size_t i = 2; i < shape.size(); ++i) field *= static_cast<double>(shape[i]);
  return {static_cast<double>(shape[1]) * field, static_cast<double>(shape[0]) * field};
}

double Initialiser::deviation(IntArrayRef shape) const {
  const Fans fan = fans_of(shape);
  if (kind_ == "xavier" || kind_ == "xavier-normal") return std::sqrt(2 / (fan.in + fan.out));
  if (kind_ == "kaiming") return std::sqrt(1 / (3 * fan.in));
  if (kind_ == "he") return std::sqrt(2 / fan.in);
  if (kind_ == "lecun") return std::sqrt(1 / fan.in);
  if (kind_ == "akrout") return std::sqrt(1 / (fan.in + fan.out));
  if (kind_ == "orthogonal") return std::sqrt(1 / std::max(fan.in, static_cast<double>(shape[0])));
  if (kind_ == "uniform") return value_ / std::sqrt(3.0);
  if (kind_ == "normal") return value_;
  return 0;
}

Tensor Initialiser::draw(IntArrayRef shape, const Stream& stream, at::TensorOptions options) const {
  if (kind_ == "zero") return at::zeros(shape, options);
  if (kind_ == "orthogonal") {
    int64_t columns = 1;
    for (size_t i = 1; i < shape.size(); ++i) columns *= shape[i];
    return draw_orthogonal(shape[0], columns, stream, options).view(shape);
  }
  if (kind_ == "xavier" || kind_ == "kaiming" || kind_ == "uniform") {
    const double bound = deviation(shape) * std::sqrt(3.0);
    return stream.uniform(-bound, bound, shape, options);
  }
  Tensor out = stream.normal(shape, options).mul_(deviation(shape));
  return mean_ == 0 ? out : out.add_(mean_);
}

void Initialiser::draw_magnitudes_into(Tensor& out, const Stream& stream) const {
  if (kind_ == "xavier" || kind_ == "kaiming" || kind_ == "uniform") {
    stream.uniform_into(out, 0, deviation(out.sizes()) * std::sqrt(3.0));
  } else if (kind_ != "zero" && kind_ != "orthogonal" && mean_ == 0 && out.is_contiguous() &&
             out.scalar_type() == at::kFloat && out.device().is_cpu()) {
    stream.normal_into(out);
    out.abs_().mul_(deviation(out.sizes()));
  } else {
    out.copy_(draw(out.sizes(), stream, out.options()).abs_());
  }
}

Tensor Initialiser::draw_bias(IntArrayRef shape, IntArrayRef weight_shape, const Stream& stream,
                              at::TensorOptions options) const {
  if (kind_ == "kaiming") {
    const double bound = 1 / std::sqrt(fans_of(weight_shape).in);
    return stream.uniform(-bound, bound, shape, options);
  }
  if (kind_ == "akrout") return stream.normal(shape, options).mul_(deviation(weight_shape));
  return at::zeros(shape, options);
}

namespace {
void initialise(const Graph& graph, const Initialiser& scheme, const Stream& stream,
                std::set<const Param*>& done) {
  for (const Node& node : graph.nodes()) {
    if (!node.op) continue;
    if (const Graph* nested = node.op->parts()) {
      initialise(*nested, scheme, stream, done);
      continue;
    }
    const ParamPtr weight = node.op->weight();
    for (const ParamPtr& param : node.op->params()) {
      if (param->init == kNetworkInitTransposed && done.insert(param.get()).second)
        param->value.copy_(scheme
                               .draw({param->value.size(1), param->value.size(0)},
                                     stream.at(param->name), param->value.options())
                               .t());
      if (param->init == kUnitInterval && done.insert(param.get()).second)
        param->value.copy_(
            stream.at(param->name).uniform(param->value.sizes(), param->value.options()));
      if (!param->init.empty() && done.insert(param.get()).second)
        param->value.copy_(
            Initialiser(param->init)
                .draw(param->value.sizes(), stream.at(param->name), param->value.options()));
      if (!weight || !done.insert(param.get()).second) continue;
      const Tensor drawn =
          param == weight
              ? scheme.draw(param->value.sizes(), stream.at(param->name), param->value.options())
              : scheme.draw_bias(param->value.sizes(), weight->value.sizes(),
                                 stream.at(param->name), param->value.options());
      param->value.copy_(drawn);
    }
  }
}
}  // namespace

void initialise(Graph& graph, const Initialiser& scheme, const Stream& stream) {
  std::set<const Param*> done;
  initialise(graph, scheme, stream, done);
}

Tensor draw_orthogonal(int64_t rows, int64_t columns, const Stream& stream,
                       at::TensorOptions options) {
  const bool tall = rows >= columns;
  Tensor gaussian = stream.normal({tall ? rows : columns, tall ? columns : rows}, at::kDouble);
  auto [q, r] = at::linalg_qr(gaussian);
  q = q * r.diagonal().sign();
  return (tall ? q : q.t()).contiguous().to(options.device(), options.dtype().toScalarType());
}

}  // namespace altprop

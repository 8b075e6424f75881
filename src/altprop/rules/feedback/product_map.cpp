#include "altprop/rules/feedback/product_map.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/init.h"
#include "altprop/tensor/linear.h"

namespace altprop {

namespace {

/// Block-wise a t for a [groups, rows, columns] and t of groups * columns rows.
Tensor blocks_times(const Tensor& a, const Tensor& t) {
  std::vector<int64_t> shape(t.sizes().begin(), t.sizes().end());
  shape[0] = a.size(0) * a.size(1);
  if (a.size(0) == 1) return gemm(a[0], t.reshape({t.size(0), -1})).view(shape);
  return at::bmm(a, t.reshape({a.size(0), a.size(2), -1})).view(shape);
}

}  // namespace

Channels channels_of(const Node& node) {
  if (const std::optional<Channels> channels = node.op->channels()) return *channels;
  throw Refusal("node '" + node.name + "'",
                "its weight has no leading output-channel axis that a feedback population could "
                "expand",
                "list it in pfa.skip to give it exact credit");
}

Expansion Expansion::parse(const std::string& written) {
  if (written == "ortho") return {Kind::Orthogonal, 1};
  if (written == "identity") return {Kind::Identity, 1};
  constexpr int64_t kMost = 10'000;
  const auto factor = text::to_integer(written);
  if (!factor || *factor < 1 || *factor > kMost)
    throw UsageError(
        text::cat("a whole number of at least 1 and at most ", kMost, ", or ortho, or identity"));
  return {Kind::Random, *factor};
}

ProductMap::ProductMap(const Channels& channels, const Expansion& expansion, double density,
                       double gain, const Stream& stream, at::TensorOptions options)
    : last_(channels.last),
      groups_(channels.groups),
      height_(channels.outputs / channels.groups),
      width_(height_ * expansion.factor),
      orthogonal_(expansion.kind != Expansion::Kind::Random && density == 1 && gain == 1) {
  if (expansion.kind == Expansion::Kind::Identity && gain == 1) return;
  const at::TensorOptions exact = options.dtype(at::kDouble);
  const std::vector<int64_t> shape{groups_, height_, width_};
  if (expansion.kind == Expansion::Kind::Random) {
    // Xavier-uniform for B's own shape times sqrt((1 + 1/k) / 2): variance 1 / (k N).
    const double bound = std::sqrt(3.0 / static_cast<double>(width_));
    b_ = stream.at("entries").uniform(-bound, bound, shape, exact);
  } else {
    b_ = at::zeros(shape, exact);
    for (int64_t g = 0; g < groups_; ++g)
      b_[g].copy_(expansion.kind == Expansion::Kind::Identity
                      ? at::eye(height_, exact)
                      : draw_orthogonal(height_, width_, stream.at("entries").at(g), exact));
  }
  // The identity is one synapse per unit: it is scaled but not thinned out.
  if (density < 1 && expansion.kind != Expansion::Kind::Identity)
    b_.mul_(stream.at("mask").bernoulli(density, shape, exact)).div_(std::sqrt(density));
  b_ = b_.mul_(gain).to(options);
}

ProductMap::ProductMap(const Channels& channels, const Tensor& b)
    : last_(channels.last),
      groups_(b.size(0)),
      height_(b.size(1)),
      width_(b.size(2)),
      orthogonal_(false),
      b_(b) {}

int64_t ProductMap::silent_channel() const {
  if (!b_.defined()) return -1;
  const Tensor silent = b_.abs().sum(2).eq(0).reshape({-1});
  return silent.any().item<bool>() ? silent.to(at::kByte).argmax().item<int64_t>() : -1;
}

Tensor ProductMap::expand(const Tensor& t) const {
  return b_.defined() ? blocks_times(b_.transpose(1, 2), t) : t;
}

Tensor ProductMap::contract(const Tensor& t) const {
  return b_.defined() ? blocks_times(b_, t) : t;
}

Tensor ProductMap::spread(const Tensor& credit) const {
  if (!b_.defined()) return credit;
  std::vector<int64_t> shape(credit.sizes().begin(), credit.sizes().end());
  if (last_) {
    shape.back() = units();
    return gemm(credit.reshape({-1, credit.size(-1)}), b_[0]).view(shape);
  }
  shape[1] = units();
  return at::matmul(b_.transpose(1, 2), credit.reshape({shape[0], groups_, height_, -1}))
      .view(shape);
}

Tensor ProductMap::gram() const {
  if (!b_.defined() || orthogonal_) return {};
  const Tensor b = b_.to(at::kDouble);
  return at::bmm(b, b.transpose(1, 2)).to(b_.scalar_type());
}

Tensor ProductMap::mix(const Tensor& s, const Tensor& t) {
  return s.defined() ? blocks_times(s, t) : t;
}

}  // namespace altprop

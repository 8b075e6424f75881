#include "altprop/cores/probabilities.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::cores {

Spec Probabilities::infer(std::span<const Spec> inputs) const {
  Spec out = inputs[0];
  out.kind = Kind::Probability;
  return out;
}

Tensor Probabilities::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  const Tensor& x = inputs[0];
  saved.t.clear();
  if (x.numel() == 0) return x;
  const auto [low, high] = at::aminmax(x);
  const double least = low.item<double>(), most = high.item<double>();
  if (!(least >= 0 && most <= 1))
    throw UsageError(text::cat("cores: the inputs go from ", least, " to ", most,
                               "; scale the data to [0, 1], as --data.normalise unit does: inputs "
                               "are spike probabilities"));
  return x;
}

}  // namespace altprop::cores

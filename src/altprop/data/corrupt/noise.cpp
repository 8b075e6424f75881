// Corruptions that change each pixel by itself.
#include "altprop/data/corrupt/corruption.h"

namespace altprop::data {

namespace {

/// Poisson numbers of mean `mean`, from one uniform draw each, by their distribution function.
Tensor poisson(const Tensor& mean, const Tensor& uniform) {
  Tensor count = at::zeros_like(mean), probability = mean.neg().exp_(), below = probability.clone();
  // No draw of 24 bits lies above the distribution function of mean 60 at 120.
  for (int k = 1; k <= 120; ++k) {
    const Tensor above = uniform.ge(below);
    if (!above.any().item<bool>()) break;
    count.add_(above);
    probability.mul_(mean).div_(k);
    below.add_(probability);
  }
  return count;
}

Tensor shot_noise(const Tensor& x, const Stream& draws, const RowIds& rows) {
  constexpr double kPhotons = 60;  // of a white pixel
  return poisson(x * kPhotons, draws.uniform_rows(rows, x.sizes())).div_(kPhotons);
}

Tensor impulse_noise(const Tensor& x, const Stream& draws, const RowIds& rows) {
  constexpr double kShare = 0.1;
  std::vector<int64_t> pixels = x.sizes().vec();
  pixels[1] = 1;  // all channels of a pixel
  const Tensor u = draws.uniform_rows(rows, pixels);
  return at::where(u.lt(kShare / 2), 0.0, at::where(u.ge(1 - kShare / 2), 1.0, x));
}

Tensor brightness(const Tensor& x, const Stream&, const RowIds&) { return x + 0.4; }

const RegisterCorruption registered_shot_noise{
    {"shot-noise", "Poisson noise of 60 photons in a white pixel", shot_noise, 0}};
const RegisterCorruption registered_impulse_noise{
    {"impulse-noise", "a tenth of the pixels black or white", impulse_noise, 1}};
const RegisterCorruption registered_brightness{
    {"brightness", "0.4 brighter, of white", brightness, 2}};

}  // namespace

}  // namespace altprop::data

// Corruptions that draw over the image.
#include <ATen/ops/max_pool2d.h>

#include <cmath>

#include "altprop/data/corrupt/corruption.h"

namespace altprop::data {

namespace {

/// A band of a quarter of the width in the middle, inverted.
Tensor stripe(const Tensor& x, const Stream&, const RowIds&) {
  const int64_t width = std::max<int64_t>(1, x.size(3) / 4);
  Tensor out = x.clone();
  const Tensor band = out.narrow(3, (x.size(3) - width) / 2, width);
  band.copy_(1 - band);
  return out;
}

/// White dots on straight lines between points, [N, points, 2] from 0 to 1 (down, right): where a
/// pixel is at most half a pixel away from a dot. Dots are every second pixel.
Tensor with_dots(const Tensor& x, const Tensor& points) {
  const int64_t n = x.size(0), height = x.size(2), width = x.size(3);
  Tensor mark = at::zeros({n, height * width}, at::kFloat);
  const int64_t dots = std::max<int64_t>(1, std::max(height, width) / 2);
  for (int64_t line = 0; line + 1 < points.size(1); ++line)
    for (int64_t i = 0; i <= dots; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(dots);
      const Tensor at =
          points.select(1, line) * (1 - share) + points.select(1, line + 1) * share;  // [N, 2]
      const Tensor row = (at.select(1, 0) * static_cast<double>(height - 1)).round(),
                   column = (at.select(1, 1) * static_cast<double>(width - 1)).round();
      mark.scatter_(1, (row * static_cast<double>(width) + column).to(at::kLong).unsqueeze(1), 1.0);
    }
  return at::maximum(x, mark.view({n, 1, height, width}));
}

/// From a point of the left side to one of the right side.
Tensor dotted_line(const Tensor& x, const Stream& draws, const RowIds& rows) {
  const int64_t n = x.size(0);
  const Tensor down = draws.uniform_rows(rows, {n, 2, 1});
  const Tensor right = at::arange(2, at::kFloat).view({1, 2, 1}).expand({n, 2, 1});
  return with_dots(x, at::cat({down, right}, 2));
}

/// The same with three turns between.
Tensor zigzag(const Tensor& x, const Stream& draws, const RowIds& rows) {
  const int64_t n = x.size(0);
  const Tensor middle = draws.uniform_rows(rows, {n, 1, 1}) * 0.6 + 0.2;
  const Tensor turn = at::arange(5, at::kFloat).view({1, 5, 1});
  const Tensor down = middle + (turn.remainder(2) - 0.5) * 0.3;
  return with_dots(x, at::cat({down, (turn / 4).expand({n, 5, 1})}, 2).clamp(0, 1));
}

/// Drops of three pixels, on about a twelfth of the image.
Tensor spatter(const Tensor& x, const Stream& draws, const RowIds& rows) {
  const Tensor drop = draws.bernoulli_rows(0.01, rows, {x.size(0), 1, x.size(2), x.size(3)});
  return at::maximum(x, at::max_pool2d(drop, {3, 3}, {1, 1}, {1, 1}) * 0.8);
}

const RegisterCorruption registered_stripe{
    {"stripe", "a vertical band of a quarter of the width inverted", stripe, 20}};
const RegisterCorruption registered_dotted_line{
    {"dotted-line", "a line of white dots from the left to the right", dotted_line, 21}};
const RegisterCorruption registered_zigzag{{"zigzag", "the same with three turns", zigzag, 22}};
const RegisterCorruption registered_spatter{
    {"spatter", "bright drops of three pixels on a twelfth of the image", spatter, 23}};

}  // namespace

}  // namespace altprop::data

// Corruptions that move pixels: turned, sheared, shrunk and shifted images, and those seen through
// frosted glass or from a moving camera.
#include <ATen/ops/conv2d.h>
#include <ATen/ops/grid_sampler_2d.h>

#include <cmath>

#include "altprop/data/corrupt/corruption.h"

namespace altprop::data {

namespace {

/// Places of all pixels, [1, H W, 3]: (x, y, 1).
Tensor places(int64_t height, int64_t width) {
  const auto line = [](int64_t n) {
    return (at::arange(n, at::kFloat) * 2 + 1) / static_cast<double>(n) - 1;
  };
  const Tensor x = line(width).expand({height, width}),
               y = line(height).unsqueeze(1).expand({height, width});
  return at::stack({x, y, at::ones_like(x)}, 2).view({1, height * width, 3});
}

/// -1 or 1 for each sample.
Tensor signs(const Stream& draws, const RowIds& rows, int64_t n) {
  return draws.bernoulli_rows(0.5, rows, {n}) * 2 - 1;
}

/// [N, 2, 3] of six numbers, each for all or one for each sample.
Tensor affine(int64_t n, const std::vector<Tensor>& numbers) {
  std::vector<Tensor> all;
  for (const Tensor& one : numbers) all.push_back(one.expand({n}));
  return at::stack(all, 1).view({n, 2, 3});
}

Tensor number(double value) { return at::full({1}, value, at::kFloat); }

/// To one side or the other. An angle is one of the picture, whose sides may differ.
Tensor rotate(const Tensor& x, const Stream& draws, const RowIds& rows) {
  constexpr double kAngle = 30 * M_PI / 180;
  const double sides = static_cast<double>(x.size(2)) / static_cast<double>(x.size(3));
  const Tensor sine = signs(draws, rows, x.size(0)) * std::sin(kAngle);
  const Tensor cosine = number(std::cos(kAngle)), none = number(0);
  return moved_by(x, affine(x.size(0), {cosine, sine * sides, none, -sine / sides, cosine, none}));
}

Tensor shear(const Tensor& x, const Stream& draws, const RowIds& rows) {
  const Tensor lean = signs(draws, rows, x.size(0)) * 0.4, one = number(1), none = number(0);
  return moved_by(x, affine(x.size(0), {one, lean, none, none, one, none}));
}

Tensor scale(const Tensor& x, const Stream&, const RowIds&) {
  const Tensor by = number(1 / 0.6), none = number(0);
  return moved_by(x, affine(x.size(0), {by, none, none, none, by, none}));
}

Tensor translate(const Tensor& x, const Stream& draws, const RowIds& rows) {
  constexpr double kShare = 4.0 / 28;  // of the image, whose length is 2
  const Tensor right = signs(draws.at("right"), rows, x.size(0)) * (2 * kShare),
               down = signs(draws.at("down"), rows, x.size(0)) * (2 * kShare);
  const Tensor one = number(1), none = number(0);
  return moved_by(x, affine(x.size(0), {one, none, right, none, one, down}));
}

/// The images with the pixels at the given rows and columns, [N, H, W] of whole numbers.
Tensor pixels_at(const Tensor& x, const Tensor& row, const Tensor& column) {
  const int64_t n = x.size(0), c = x.size(1), pixels = x.size(2) * x.size(3);
  const Tensor index = (row * x.size(3) + column).view({n, 1, pixels}).expand({n, c, pixels});
  return x.reshape({n, c, pixels}).gather(2, index).view(x.sizes());
}

/// A kernel [rows, columns] over every channel by itself; the outside is 0.
Tensor smoothed(const Tensor& x, const Tensor& kernel) {
  const Tensor flat = x.reshape({x.size(0) * x.size(1), 1, x.size(2), x.size(3)});
  return at::conv2d(flat, kernel.unsqueeze(0).unsqueeze(0), {}, {1, 1},
                    {kernel.size(0) / 2, kernel.size(1) / 2})
      .view(x.sizes());
}

Tensor gaussian(double deviation) {
  const auto reach = static_cast<int64_t>(std::ceil(3 * deviation));
  const Tensor at = at::arange(-reach, reach + 1, at::kFloat) / deviation;
  const Tensor line = (-0.5 * at.square()).exp();
  const Tensor out = at::outer(line, line);
  return out / out.sum();
}

/// Each pixel is taken from at most one row and one column away, twice, between two blurs.
Tensor glass_blur(const Tensor& x, const Stream& draws, const RowIds& rows) {
  const int64_t n = x.size(0), height = x.size(2), width = x.size(3);
  const Tensor kernel = gaussian(0.7);
  Tensor out = smoothed(x, kernel);
  for (int64_t turn = 0; turn < 2; ++turn) {
    const auto step = [&](const char* way) {
      return draws.at(way)
          .at(turn)
          .uniform_rows(rows, {n, height, width})
          .mul_(3)
          .floor_()
          .sub_(1)
          .to(at::kLong);
    };
    const Tensor row = (at::arange(height, at::kLong).view({1, height, 1}) + step("down"))
                           .clamp_(0, height - 1),
                 column = (at::arange(width, at::kLong).view({1, 1, width}) + step("right"))
                              .clamp_(0, width - 1);
    out = pixels_at(out, row, column);
  }
  return smoothed(out, kernel);
}

/// The mean of shifted images, along a line of a quarter of the width at up to 45 degrees.
Tensor motion_blur(const Tensor& x, const Stream& draws, const RowIds& rows) {
  const int64_t n = x.size(0), steps = std::max<int64_t>(2, x.size(3) / 4);
  const double sides = static_cast<double>(x.size(3)) / static_cast<double>(x.size(2));
  const Tensor angle = (draws.uniform_rows(rows, {n}) - 0.5) * (M_PI / 2);
  const Tensor one = number(1), none = number(0);
  Tensor sum = at::zeros_like(x);
  for (int64_t i = 0; i < steps; ++i) {
    const double way = (static_cast<double>(i) - static_cast<double>(steps - 1) / 2) * 2 /
                       static_cast<double>(x.size(3));
    sum.add_(moved_by(
        x, affine(n, {one, none, angle.cos() * way, none, one, angle.sin() * (way * sides)})));
  }
  return sum.div_(static_cast<double>(steps));
}

const RegisterCorruption registered_rotate{
    {"rotate", "turned by 30 degrees to one side or the other", rotate, 10}};
const RegisterCorruption registered_shear{
    {"shear", "leaning by 0.4 of the height to one side or the other", shear, 11}};
const RegisterCorruption registered_scale{{"scale", "shrunk to 0.6 of its size", scale, 12}};
const RegisterCorruption registered_translate{
    {"translate", "shifted by a seventh of the image in both directions (4 of 28 pixels)",
     translate, 13}};
const RegisterCorruption registered_glass_blur{
    {"glass-blur", "pixels shuffled among their neighbours, between two blurs of 0.7 pixels",
     glass_blur, 14}};
const RegisterCorruption registered_motion_blur{
    {"motion-blur", "smeared over a quarter of the width, at up to 45 degrees", motion_blur, 15}};

}  // namespace

Tensor moved_by(const Tensor& images, const Tensor& by) {
  const int64_t n = images.size(0), height = images.size(2), width = images.size(3);
  const Tensor grid = places(height, width).expand({n, height * width, 3}).bmm(by.transpose(1, 2));
  return at::grid_sampler_2d(images, grid.view({n, height, width, 2}), /*interpolation_mode=*/0,
                             /*padding_mode=*/0, /*align_corners=*/false);
}

}  // namespace altprop::data

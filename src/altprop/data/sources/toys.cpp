// Densities in the plane, drawn in the program: what flows are tried on first. As in the code of
// FFJORD (W. Grathwohl et al. 2019, arXiv 1810.01367; lib/toy_data.py), whose numbers these are.
#include <cmath>
#include <numbers>

#include "altprop/data/source.h"
#include "altprop/tensor/random.h"

namespace altprop::data {
namespace {

/// A point of the plane from four uniform and two normal numbers of its sample.
using ToyShape = void (*)(const double* uniform, const double* normal, double* point);

struct Toy : Reader {
  Toy(std::string name, ToyShape shape) : name(std::move(name)), shape(shape) {}

  std::string name;
  ToyShape shape;
  int64_t train = 10000, test = 10000, seed = 0;

  void declare(Options& o) override {
    o.integer("toy.train", train, {.min = 1, .max = 1e7}, {"training samples", "samples"});
    o.integer("toy.test", test, {.min = 0, .max = 1e7}, {"test samples", "samples"});
    o.integer("toy.seed", seed, {.min = 0}, {"seed of all samples"});
  }

  Splits read(const std::string&) const override {
    const Stream stream = Stream(static_cast<uint64_t>(seed)).at(name);
    return {part(train, stream.at("train")), {}, part(test, stream.at("test"))};
  }

  /// Sample i depends on (seed, part, i) alone.
  Dataset part(int64_t n, const Stream& stream) const {
    Dataset out;
    out.name = name;
    out.inputs = at::empty({n, 2}, at::kDouble);
    out.targets = no_targets(n);
    // As they are: likelihoods are then those of the density that was drawn from.
    out.mean = {0, 0};
    out.stddev = {1, 1};
    const Tensor uniform = stream.at("uniform").uniform_rows({}, {n, 4}, at::kDouble);
    const Tensor normal = stream.at("normal").normal_rows({}, {n, 2}, at::kDouble);
    const double *u = uniform.const_data_ptr<double>(), *e = normal.const_data_ptr<double>();
    double* point = out.inputs.data_ptr<double>();
    for (int64_t i = 0; i < n; ++i) shape(u + 4 * i, e + 2 * i, point + 2 * i);
    out.inputs = out.inputs.to(at::kFloat);
    return out;
  }
};

constexpr double kPi = std::numbers::pi;

/// Centres on a circle of radius 4, deviation 1/2, all divided by 1.414.
void eight_gaussians(const double* u, const double* e, double* out) {
  const double angle = std::floor(8 * u[0]) * kPi / 4;
  out[0] = (4 * std::cos(angle) + 0.5 * e[0]) / 1.414;
  out[1] = (4 * std::sin(angle) + 0.5 * e[1]) / 1.414;
}

void two_spirals(const double* u, const double* e, double* out) {
  const double turn = std::sqrt(u[0]) * 3 * kPi;
  const double arm = u[3] < 0.5 ? 1 : -1;
  out[0] = arm * (-std::cos(turn) * turn + 0.5 * u[1]) / 3 + 0.1 * e[0];
  out[1] = arm * (std::sin(turn) * turn + 0.5 * u[2]) / 3 + 0.1 * e[1];
}

/// Two half circles of scikit-learn with noise 0.1, times 2, moved by (-1, -0.2).
void two_moons(const double* u, const double* e, double* out) {
  const double angle = kPi * u[0];
  const bool outer = u[1] < 0.5;
  const double x = outer ? std::cos(angle) : 1 - std::cos(angle);
  const double y = outer ? std::sin(angle) : 0.5 - std::sin(angle);
  out[0] = 2 * (x + 0.1 * e[0]) - 1;
  out[1] = 2 * (y + 0.1 * e[1]) - 0.2;
}

/// Every second square of side 2 of [-4, 4]^2.
void checkerboard(const double* u, const double*, double* out) {
  const double x = 4 * u[0] - 2;
  const double row = u[1] - 2 * std::floor(2 * u[2]);
  out[0] = 2 * x;
  out[1] = 2 * (row + (static_cast<int64_t>(std::floor(x)) & 1));
}

/// Five arms, normal along (deviation 0.3) and across (0.1), bent by the distance.
void pinwheel(const double* u, const double* e, double* out) {
  const double along = 1 + 0.3 * e[0], across = 0.1 * e[1];
  const double angle = 2 * kPi * std::floor(5 * u[0]) / 5 + 0.25 * std::exp(along);
  out[0] = 2 * (along * std::cos(angle) + across * std::sin(angle));
  out[1] = 2 * (-along * std::sin(angle) + across * std::cos(angle));
}

template <ToyShape shape>
Source toy(const std::string& name, std::vector<std::string> aliases, const std::string& help) {
  return {name, std::move(aliases), help + ", samples without targets, no files",
          [name] { return std::make_unique<Toy>(name, shape); }};
}

const Register registered_eight_gaussians{
    toy<eight_gaussians>("8gaussians", {}, "eight normal densities on a circle in the plane")};
const Register registered_two_spirals{toy<two_spirals>("2spirals", {}, "two spirals in the plane")};
const Register registered_two_moons{toy<two_moons>("moons", {}, "two half circles in the plane")};
const Register registered_checkerboard{
    toy<checkerboard>("checkerboard", {}, "every second square of a board in the plane")};
const Register registered_pinwheel{toy<pinwheel>("pinwheel", {}, "five bent arms in the plane")};

}  // namespace
}  // namespace altprop::data

// Waves and separating mixtures, integrated in the program: a snapshot, and the one behind it as
// the target.
#include "altprop/data/periodic_pde.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct Snapshots : Reader {
  Snapshots(std::string name, const PeriodicPde& pde) : name(std::move(name)), pde(pde) {}

  std::string name;
  PeriodicPde pde;
  int64_t train = 90, test = 10, steps = 500, seed = 0;

  void declare(Options& o) override {
    o.integer("pde.train", train, {.min = 1, .max = 1e5}, {"trajectories to train on", "", ""});
    o.integer("pde.test", test, {.min = 0, .max = 1e5}, {"trajectories to test on"});
    o.integer("pde.steps", steps, {.min = 1, .max = 1e6}, {"steps of a trajectory", "steps"});
    o.integer("pde.points", pde.points, {.min = 4, .max = 4096}, {"points of the periodic line"});
    o.number("pde.dt", pde.dt, {.min = 0, .max = 1e3, .min_excluded = true},
             {"length of a step", "time", "Matsubara et al. 2020, arXiv 1905.08604"});
    o.integer("pde.seed", seed, {.min = 0}, {"seed of where trajectories begin"});
  }

  Splits read(const std::string&) const override {
    const Stream stream = Stream(static_cast<uint64_t>(seed)).at(name);
    return {part(train, stream.at("train")), {}, part(test, stream.at("test"))};
  }

  Dataset part(int64_t n, const Stream& stream) const {
    Dataset out;
    out.name = name;
    // Values of the equation, which would be another for others.
    out.mean = {0};
    out.stddev = {1};
    std::vector<Tensor> snapshots{pde.starts(n, stream)};
    for (int64_t i = 0; i < steps && n > 0; ++i) snapshots.push_back(pde.step(snapshots.back()));
    const Tensor all = at::stack(snapshots, 1);  // [n, steps + 1, points]
    const int64_t samples = n * (static_cast<int64_t>(snapshots.size()) - 1);
    if (samples == 0) return {};
    out.inputs = all.narrow(1, 0, steps).reshape({samples, 1, pde.points});
    out.targets = all.narrow(1, 1, steps).reshape({samples, pde.points});
    return out;
  }
};

const Register registered_kdv{
    {"kdv",
     {"korteweg-de-vries"},
     "two solitons on a periodic line, each snapshot with the next as its target, no files",
     [] {
       return std::make_unique<Snapshots>(
           "kdv", PeriodicPde{.kind = PeriodicPde::Kind::KortewegDeVries, .width = 10, .dt = 1e-3});
     }}};
const Register registered_cahn_hilliard{
    {"cahn-hilliard",
     {},
     "a mixture that separates on a periodic line, each snapshot with the next as its target, no "
     "files",
     [] {
       return std::make_unique<Snapshots>(
           "cahn-hilliard",
           PeriodicPde{.kind = PeriodicPde::Kind::CahnHilliard, .width = 1, .dt = 1e-4});
     }}};

}  // namespace
}  // namespace altprop::data

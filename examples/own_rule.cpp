// A learning rule of one's own in a dozen lines: credit returns through the forward weights, but
// each entry with a random error of 30 % that is drawn anew for every step. Registered, it would
// also be known to every command of the program; here it is compared with backprop.
#include <altprop/altprop.h>

#include <cstdio>

namespace {

struct NoisyTransport : altprop::Rule, altprop::Feedback {
  altprop::Stream noise;

  altprop::Credits emit(altprop::Trace& trace, const altprop::Objective& objective,
                        altprop::Wanted wanted, altprop::Sink& sink) override {
    noise = trace.look.draws.at("transport");
    return sweep_back(trace, objective, wanted, *this, sink);
  }
  altprop::Credits pull(const altprop::Site& site, const altprop::Saved& saved,
                        const altprop::Tensor& cot, altprop::Wanted wanted,
                        altprop::Sweep& sweep) override {
    const altprop::Op& op = *site.node.op;
    if (!op.weight()) return op.credit(saved, cot, wanted, nullptr, sweep);
    const altprop::Tensor w = op.weight()->value;
    const altprop::Tensor m = w * (1 + 0.3 * noise.at(site.name()).normal(w.sizes(), w.options()));
    return op.credit(saved, cot, wanted, &m, sweep);
  }
};

const altprop::RegisterRule registered{{.name = "noisy-transport",
                                        .summary = "transposed weights with 30 % noise",
                                        .assumes = "weight transport with errors",
                                        .example_net = "mlp:784-100-10:relu",
                                        .make = [] { return std::make_unique<NoisyTransport>(); }}};

}  // namespace

int main() try {
  using namespace altprop;
  const data::Splits glyphs = data::load("glyphs", {{"glyphs.train", "5000"}});
  for (const char* name : {"backprop", "noisy-transport"}) {
    Graph net = network("mlp:784-100-100-10:relu", {.input_shape = glyphs.train.sample_shape()});
    initialise(net, Initialiser("xavier"), Stream(1).at("init"));
    const auto rule = make_rule(name);
    const TrainResult result =
        train(net, *rule, glyphs, {.epochs = 3, .lr = 0.02, .progress = false});
    std::printf("%-16s test accuracy %.2f %%\n", name, *result.test.accuracy() * 100);
    for (const auto& row : result.epochs.back()["gradient"])
      std::printf("  %-12s %5.1f degrees from backprop, magnitude %.2f\n",
                  row["name"].get<std::string>().c_str(), row["angle_degrees"].get<double>(),
                  row["magnitude_ratio"].get<double>());
  }
} catch (const altprop::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

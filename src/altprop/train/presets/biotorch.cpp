// The benchmark of A. Sanfiz, M. Akrout, "Benchmarking the accuracy and robustness of feedback
// alignment algorithms", 2021, arXiv 2108.13446, with the settings of its code: test error of the
// checkpoint with the best validation loss, one seed. All images with mean 0 and deviation 1.
#include "altprop/base/text.h"
#include "altprop/train/presets.h"

namespace altprop::presets_of::biotorch {

namespace {

const std::string kMnist = R"(
data = "mnist"
net = "lenet-mnist"
optimizer = "momentum"
lr = 0.01
weight-decay = 1e-3
batch = 64
epochs = 100
schedule = "step"
milestones = ["50", "75"]
)";

const std::string kCifar = R"(
data = "cifar-10"
data-options.validation = 5000
weight-decay = 1e-4
batch = 128
epochs = 250
schedule = "step"
milestones = ["100", "150", "200"]
crop = 4
flip = true
)";

struct Row {
  const char *rule, *name;
  double error;  ///< in percent
  const char* lr;
};

/// One preset per rule of a column of the benchmark's table.
std::vector<Preset> column(const std::string& name, const std::string& summary,
                           const std::string& settings, const std::vector<Row>& rows,
                           const std::string& differs) {
  std::vector<Preset> out;
  for (const Row& row : rows)
    out.push_back({.name = "biotorch-" + name + "-" + row.name,
                   .summary = text::cat(row.rule, " with ", summary),
                   .source = "Sanfiz, Akrout 2021, arXiv 2108.13446 (code)",
                   .settings = text::cat("rule = \"", row.rule, "\"\n",
                                         *row.lr ? text::cat("lr = ", row.lr, "\n") : "", settings),
                   .published = text::cat(text::from_number(100 - row.error), " %"),
                   .measured = "",
                   .differs = differs});
  return out;
}

const RegisterPresets mnist(column(
    "lenet-mnist", "LeNet on MNIST", kMnist,
    {{"backprop", "bp", 0.91, ""},
     {"feedback-alignment", "fa", 1.7, ""},
     {"direct-feedback-alignment", "dfa", 1.61, ""},
     {"uniform-sign", "usf", 0.94, ""},
     {"batchwise-random-sign", "brsf", 0.91, ""},
     {"fixed-random-sign", "frsf", 0.97, ""}},
    "the learning rate is not known here, 0.01 is ours; published on images padded to 32x32 before "
    "the normalisation, with the test set for validation"));

const RegisterPresets lenet_sgd(column("lenet-cifar10", "LeNet on CIFAR-10, SGD with momentum",
                                       "net = \"lenet-cifar\"\noptimizer = \"momentum\"\n" + kCifar,
                                       {{"backprop", "bp", 14.23, "0.1"},
                                        {"feedback-alignment", "fa", 46.69, "1e-3"},
                                        {"direct-feedback-alignment", "dfa", 54.21, "1e-4"},
                                        {"uniform-sign", "usf", 16.22, "0.1"},
                                        {"batchwise-random-sign", "brsf", 16.02, "0.1"},
                                        {"fixed-random-sign", "frsf", 16.86, "0.1"}},
                                       ""));

const RegisterPresets lenet_adam(column("lenet-cifar10-adam", "LeNet on CIFAR-10, Adam",
                                        "net = \"lenet-cifar\"\noptimizer = \"adam\"\n" + kCifar,
                                        {{"backprop", "bp", 15.92, "1e-3"},
                                         {"feedback-alignment", "fa", 40.67, "1e-4"},
                                         {"direct-feedback-alignment", "dfa", 37.59, "1e-4"},
                                         {"uniform-sign", "usf", 16.34, "1e-3"},
                                         {"batchwise-random-sign", "brsf", 17.08, "1e-3"},
                                         {"fixed-random-sign", "frsf", 16.83, "1e-3"}},
                                        ""));

const RegisterPresets resnet_sgd(column("resnet20-cifar10",
                                        "ResNet-20 on CIFAR-10, SGD with momentum",
                                        "net = \"resnet-20\"\noptimizer = \"momentum\"\n" + kCifar,
                                        {{"backprop", "bp", 8.63, "0.1"},
                                         {"feedback-alignment", "fa", 32.16, "0.1"},
                                         {"direct-feedback-alignment", "dfa", 45.94, "1e-3"},
                                         {"uniform-sign", "usf", 10.05, "0.1"},
                                         {"batchwise-random-sign", "brsf", 11.02, "0.1"},
                                         {"fixed-random-sign", "frsf", 11.2, "0.1"}},
                                        ""));

}  // namespace

}  // namespace altprop::presets_of::biotorch

// CIFAR-10 (A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009): 50,000 +
// 10,000 photographs.
#include <filesystem>

#include "altprop/data/read/cifar.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct Cifar10 : Reader {
  Splits read(const std::string& folder) const override {
    const std::string own = (std::filesystem::path(folder) / "cifar-10-batches-bin").string();
    const auto names = names_in(own + "/batches.meta.txt", 10);
    auto part = [&](const std::vector<std::string>& files) {
      const CifarLayout layout;
      const auto n = static_cast<int64_t>(files.size());
      Dataset out;
      out.name = "cifar-10";
      out.classes = 10;
      out.scale = 1.0 / 255;
      out.class_names = names;
      out.inputs = at::empty({n * layout.records, 3, 32, 32}, at::kByte);
      out.targets = at::empty({n * layout.records}, at::kLong);
      for (int64_t i = 0; i < n; ++i)
        read_cifar(existing(own, files[static_cast<size_t>(i)], "cifar-10"), layout,
                   out.inputs.narrow(0, i * layout.records, layout.records),
                   out.targets.narrow(0, i * layout.records, layout.records));
      return out;
    };
    Splits out;
    out.test = part({"test_batch.bin"});
    out.train = part({"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                      "data_batch_4.bin", "data_batch_5.bin"});
    out.train.mean = {0.4914, 0.4822, 0.4465};
    out.train.stddev = {0.2470, 0.2435, 0.2616};
    return out;
  }
};

const Register cifar10{
    {"cifar-10",
     {"cifar10"},
     "photographs, 50,000 + 10,000 colour images of 32x32, 10 classes; binary version in "
     "cifar-10-batches-bin/",
     [] { return std::make_unique<Cifar10>(); }}};

}  // namespace
}  // namespace altprop::data

// CIFAR-100 (A. Krizhevsky 2009): as CIFAR-10, with 100 fine classes in 20 coarse ones.
#include <filesystem>

#include "altprop/data/read/cifar.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct Cifar100 : Reader {
  std::string labels = "fine";

  void declare(Options& o) override {
    o.choice("cifar-100.labels", labels, {"fine", "coarse"},
             {"100 fine classes or 20 coarse ones"});
  }

  Splits read(const std::string& folder) const override {
    const std::string own = (std::filesystem::path(folder) / "cifar-100-binary").string();
    const bool fine = labels == "fine";
    auto part = [&](const std::string& file, int64_t records) {
      const CifarLayout layout{2, fine ? 1 : 0, fine ? 100 : 20, records};
      Dataset out;
      out.name = "cifar-100";
      out.classes = layout.classes;
      out.scale = 1.0 / 255;
      out.class_names = names_in(own + "/" + labels + "_label_names.txt", layout.classes);
      out.inputs = at::empty({records, 3, 32, 32}, at::kByte);
      out.targets = at::empty({records}, at::kLong);
      read_cifar(existing(own, file, "cifar-100"), layout, out.inputs, out.targets);
      return out;
    };
    Splits out{part("train.bin", 50000), {}, part("test.bin", 10000)};
    out.train.mean = {0.5071, 0.4865, 0.4409};
    out.train.stddev = {0.2673, 0.2564, 0.2762};
    return out;
  }
};

const Register cifar100{
    {"cifar-100",
     {"cifar100"},
     "photographs, 50,000 + 10,000 colour images of 32x32, 100 or 20 classes; binary version in "
     "cifar-100-binary/",
     [] { return std::make_unique<Cifar100>(); }}};

}  // namespace
}  // namespace altprop::data

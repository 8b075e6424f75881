// Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf 2017, arXiv 1708.07747): Zalando's articles in the
// format of MNIST.
#include <filesystem>

#include "altprop/data/read/idx.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct FashionMnist : Reader {
  Splits read(const std::string& folder) const override {
    Splits out = read_idx_folder((std::filesystem::path(folder) / "fashion-mnist").string(),
                                 "fashion-mnist", 10);
    out.train.mean = {0.2860};
    out.train.stddev = {0.3530};
    for (Dataset* part : {&out.train, &out.test})
      part->class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                           "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
    return out;
  }
};

const Register fashion_mnist{
    {"fashion-mnist",
     {"fashion"},
     "clothes, 60,000 + 10,000 grey images of 28x28, 10 classes; four IDX files in fashion-mnist/",
     [] { return std::make_unique<FashionMnist>(); }}};

}  // namespace
}  // namespace altprop::data

// MNIST (Y. LeCun, C. Cortes, C. Burges): 60,000 + 10,000 handwritten digits, 28x28 grey.
#include <filesystem>

#include "altprop/data/read/idx.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct Mnist : Reader {
  Splits read(const std::string& folder) const override {
    Splits out = read_idx_folder((std::filesystem::path(folder) / "mnist").string(), "mnist", 10);
    out.train.mean = {0.1307};
    out.train.stddev = {0.3081};
    return out;
  }
};

const Register mnist{{"mnist",
                      {},
                      "handwritten digits, 60,000 + 10,000 grey images of 28x28, 10 classes; four "
                      "IDX files in mnist/",
                      [] { return std::make_unique<Mnist>(); }}};

}  // namespace
}  // namespace altprop::data

// The user's NumPy arrays.
#include <filesystem>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/read/npy.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct Npy : Reader {
  std::string train_x, train_y, test_x, test_y;
  int64_t classes = 0;

  void declare(Options& o) override {
    o.text("npy.train-x", train_x,
           {"file of the training inputs [N, ...]; relative to data-dir if not found as given"});
    o.text("npy.train-y", train_y,
           {"file of the training targets: integers [N] for classes, else floats [N] or [N, K]"});
    o.text("npy.test-x", test_x, {"file of the test inputs; empty: no test set"});
    o.text("npy.test-y", test_y, {"file of the test targets"});
    o.integer("npy.classes", classes, {.min = 0, .max = 1e6},
              {"number of classes; 0: one more than the largest id"});
  }

  Splits read(const std::string& folder) const override {
    if (train_x.empty() || train_y.empty())
      throw UsageError("data source 'npy' needs both options npy.train-x and npy.train-y");
    if (test_x.empty() != test_y.empty())
      throw UsageError(
          "data source 'npy' needs both options npy.test-x and npy.test-y, or neither");
    auto read = [&](const std::string& path) {
      std::error_code ignored;
      const bool here = std::filesystem::exists(path, ignored);
      return path.empty() ? Tensor()
                          : read_npy(here ? path : (std::filesystem::path(folder) / path).string());
    };
    auto targets = [&](const std::string& path) {
      Tensor y = read(path);
      if (y.defined() && y.dim() == 2 && y.size(1) == 1 && !y.is_floating_point()) y = y.squeeze(1);
      return y;
    };
    const std::string name =
        text::cat("npy (", train_x, ", ", train_y, test_x.empty() ? "" : ", " + test_x,
                  test_y.empty() ? "" : ", " + test_y, ")");
    return from_tensors(read(train_x), targets(train_y), read(test_x), targets(test_y), classes,
                        name);
  }
};

const Register npy{
    {"npy", {"numpy"}, "your own NumPy arrays, one file each for inputs and targets", [] {
       return std::make_unique<Npy>();
     }}};

}  // namespace
}  // namespace altprop::data

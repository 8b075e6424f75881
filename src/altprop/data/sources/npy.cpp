// The user's NumPy arrays.
#include "altprop/data/read/npy.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

// Floating targets that are this many whole numbers are probably labels.
constexpr int64_t kFewNumbers = 100;

struct Npy : Reader {
  std::string train_x, train_y, test_x, test_y, task = "auto", layout = "auto";
  int64_t classes = 0;

  void declare(Options& o) override {
    o.file("npy.train-x", train_x,
           {"file of the training inputs [N, ...]; relative to data-dir if not found as given"});
    o.file("npy.train-y", train_y,
           {"file of the training targets: integers [N] for classes, else floats [N] or [N, K]"});
    o.file("npy.test-x", test_x, {"file of the test inputs; empty: no test set"});
    o.file("npy.test-y", test_y, {"file of the test targets"});
    o.choice("npy.task", task, {"auto", "classification", "regression", "unlabelled"},
             {"whether targets are classes or numbers; auto: integers are classes; unlabelled: "
              "samples have none"});
    o.choice("npy.layout", layout, {"auto", "channels-first", "channels-last"},
             {"images as [N, C, H, W] or [N, H, W, C], which is rearranged; auto: [N, C, H, W], "
              "refused where it looks like the other"});
    o.integer("npy.classes", classes, {.min = 0, .max = 65536},
              {"number of classes; 0: as many as the training targets have labels"});
  }

  Splits read(const std::string& folder) const override {
    if (task == "unlabelled") return unlabelled(folder);
    if (train_x.empty() || train_y.empty())
      throw UsageError(
          "data source 'npy' needs both options npy.train-x and npy.train-y, or npy.task "
          "unlabelled");
    if (test_x.empty() != test_y.empty())
      throw UsageError(
          "data source 'npy' needs both options npy.test-x and npy.test-y, or neither");
    const std::string name =
        text::cat("npy (", train_x, ", ", train_y, test_x.empty() ? "" : ", " + test_x,
                  test_y.empty() ? "" : ", " + test_y, ")");
    return from_tensors(inputs(path_in(folder, train_x)), targets(path_in(folder, train_y)),
                        inputs(path_in(folder, test_x)), targets(path_in(folder, test_y)),
                        task == "regression" ? 0 : classes, name);
  }

  Splits unlabelled(const std::string& folder) const {
    if (train_x.empty())
      throw UsageError(
          "data source 'npy' needs option npy.train-x, the file of the training inputs");
    if (!train_y.empty() || !test_y.empty())
      throw UsageError(text::cat("option 'npy.", train_y.empty() ? "test-y" : "train-y",
                                 "' is a file of targets, but with npy.task unlabelled there are "
                                 "none; leave one of them out"));
    const Tensor x = inputs(path_in(folder, train_x)), later = inputs(path_in(folder, test_x));
    return from_tensors(x, no_targets(x.size(0)), later,
                        later.defined() ? no_targets(later.size(0)) : Tensor(), 0,
                        text::cat("npy (", train_x, test_x.empty() ? "" : ", " + test_x, ")"));
  }

  NewSamples read_new(const std::string&, const NewFiles& files,
                      const Dataset& train) const override {
    refuse_table_options(files);
    if (train.unlabelled()) {
      if (!files.targets.empty())
        throw UsageError("the network was trained on samples without targets; leave --targets out");
      const std::string name = "npy (" + files.inputs + ")";
      NewSamples out{new_dataset(name, inputs(files.inputs), {}, "", train), {}};
      out.data.targets = no_targets(out.data.size());
      return out;
    }
    Npy as_trained = *this;
    as_trained.task = train.classes > 0 ? "classification" : "regression";
    return {new_dataset("npy (" + files.inputs + ")", inputs(files.inputs),
                        as_trained.targets(files.targets), files.targets, train),
            {}};
  }

  Tensor inputs(const std::string& path) const {
    if (path.empty()) return {};
    const Tensor x = read_npy(path);
    if (x.dim() == 1) return x.unsqueeze(1);  // samples of one number
    if (x.dim() != 4) {
      if (layout == "channels-last")
        throw UsageError("option 'npy.layout' is for images of 4 dimensions, but '" + path +
                         "' has shape " + shape_text(x.sizes()));
      return x;
    }
    if (layout == "channels-last") return x.permute({0, 3, 1, 2}).contiguous();
    const int64_t last = x.size(3);
    constexpr int64_t kSmallestImage = 8;
    if (layout == "auto" && (last == 1 || last == 3 || last == 4) && x.size(1) >= kSmallestImage &&
        x.size(2) >= kSmallestImage)
      throw UsageError(
          text::cat("'", path, "' has shape ", shape_text(x.sizes()), ", which would be ",
                    x.size(1), " channels of ", x.size(2), "x", last,
                    " pixels but looks like images with their channels last; set "
                    "option npy.layout to channels-last, or to channels-first if it is "
                    "as it should be"));
    return x;
  }

  Tensor targets(const std::string& path) const {
    if (path.empty()) return {};
    Tensor y = read_npy(path);
    const auto fail = [&](const std::string& what) { throw Error("'" + path + "' " + what); };
    const bool floats = y.is_floating_point();
    if (y.dim() == 2 && y.size(1) == 1 && (!floats || task != "regression")) y = y.squeeze(1);
    if (task == "regression") return floats ? y : y.to(at::kDouble);
    if (is_one_hot(y) && (floats || task == "classification"))
      fail(text::cat("has one-hot targets ", shape_text(y.sizes()),
                     "; save class ids [N] instead, as y.argmax(axis=1)",
                     task == "auto" ? ", or set option npy.task to regression" : ""));
    if (!floats || y.dim() != 1 || y.numel() == 0) {
      if (floats && task == "classification")
        fail(text::cat("has floating targets ", shape_text(y.sizes()),
                       ", but classes are whole numbers [N]"));
      return y;
    }
    const bool whole = y.isfinite().all().item<bool>() && y.eq(y.floor()).all().item<bool>() &&
                       y.abs().max().item<double>() < 9007199254740992.0;
    if (task == "classification") {
      if (!whole)
        fail("has targets that are no whole numbers, but option npy.task asks for classes");
      return y.to(at::kLong);
    }
    if (whole && std::get<0>(at::_unique(y)).numel() <= kFewNumbers)
      fail(text::cat("has floating targets that are all whole numbers, from ",
                     text::from_number(y.min().item<double>()), " to ",
                     text::from_number(y.max().item<double>()),
                     "; if they are labels set option npy.task to classification, else to "
                     "regression"));
    return y;
  }
};

const Register npy{
    {"npy", {"numpy"}, "your own NumPy arrays, one file each for inputs and targets", [] {
       return std::make_unique<Npy>();
     }}};

}  // namespace
}  // namespace altprop::data

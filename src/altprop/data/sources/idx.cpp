// The user's files in the format of MNIST, with labels of any number: EMNIST (G. Cohen et al. 2017,
// arXiv 1702.05373) has 10 to 62 classes, numbered from 0 or, for letters, from 1.
#include "altprop/data/read/idx.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/labels.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct Idx : Reader {
  std::string train_images, train_labels, test_images, test_labels;
  int64_t classes = 0;

  void declare(Options& o) override {
    o.file("idx.train-images", train_images,
           {"file of the training images; relative to data-dir if not found as given"});
    o.file("idx.train-labels", train_labels, {"file of the training labels"});
    o.file("idx.test-images", test_images, {"file of the test images; empty: no test set"});
    o.file("idx.test-labels", test_labels, {"file of the test labels"});
    o.integer("idx.classes", classes, {.min = 0, .max = 256},
              {"number of classes; 0: as many as the training file has labels"});
  }

  Splits read(const std::string& folder) const override {
    if (train_images.empty() || train_labels.empty())
      throw UsageError(
          "data source 'idx' needs both options idx.train-images and idx.train-labels");
    if (test_images.empty() != test_labels.empty())
      throw UsageError(
          "data source 'idx' needs both options idx.test-images and idx.test-labels, or neither");
    Splits out;
    out.train = part(folder, train_images, train_labels);
    const auto complaint = [&](const std::string& file) {
      return [&, file](size_t i, const std::string& what) {
        const Dataset& of = file == train_labels ? out.train : out.test;
        throw Error(text::cat("'", path_in(folder, file), "' has label ",
                              of.targets[static_cast<int64_t>(i)].item<int64_t>(), " at sample ", i,
                              ", counted from 0, ", what));
      };
    };
    const auto labels = std::make_shared<const Labels>(
        Labels::of(out.train.targets, classes, "option idx.classes", complaint(train_labels)));
    finish(out.train, labels, complaint(train_labels));
    if (!test_images.empty()) {
      out.test = part(folder, test_images, test_labels);
      finish(out.test, labels, complaint(test_labels));
    }
    return out;
  }

  static Dataset part(const std::string& folder, const std::string& images,
                      const std::string& labels) {
    return read_idx_pair(path_in(folder, images), path_in(folder, labels), "idx (" + images + ")",
                         256);
  }

  static void finish(Dataset& part, const std::shared_ptr<const Labels>& labels,
                     const Labels::Fail& fail) {
    part.targets = labels->ids(part.targets, fail);
    part.classes = labels->classes();
    part.class_names = labels->names();
    part.labels = labels;
  }
};

const Register idx_source{
    {"idx", {}, "your own images in the format of MNIST (EMNIST and the like), any labels", [] {
       return std::make_unique<Idx>();
     }}};

}  // namespace
}  // namespace altprop::data

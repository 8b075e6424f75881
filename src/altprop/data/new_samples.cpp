#include "altprop/data/new_samples.h"

#include <array>
#include <cstring>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/labels.h"
#include "altprop/data/read/file.h"
#include "altprop/data/read/idx.h"
#include "altprop/data/read/npy.h"

namespace altprop::data {

namespace {

enum class ArrayFormat { Npy, IdxImages, IdxLabels };

ArrayFormat format_of(const std::string& path) {
  std::array<uint8_t, 6> start{};
  InputFile file(path);
  const size_t n = file.read_some(start.data(), start.size());
  const auto begins = [&](const char* with, size_t length) {
    return n >= length && std::memcmp(start.data(), with, length) == 0;
  };
  if (begins("\x93NUMPY", 6)) return ArrayFormat::Npy;
  if (begins("\0\0\x08\x03", 4)) return ArrayFormat::IdxImages;
  if (begins("\0\0\x08\x01", 4)) return ArrayFormat::IdxLabels;
  file.fail(n == 0 ? "is empty"
                   : "is neither an array of NumPy (numpy.save, one file each for inputs and "
                     "targets) nor an IDX file, as MNIST has them");
}

Tensor inputs_in(const std::string& path) {
  if (format_of(path) != ArrayFormat::Npy) return read_idx_images(path);
  const Tensor x = read_npy(path);
  return x.dim() == 1 ? x.unsqueeze(1) : x;  // samples of one number
}

Tensor targets_in(const std::string& path) {
  if (path.empty()) return {};
  if (format_of(path) == ArrayFormat::Npy) return read_npy(path);
  return read_idx_labels(path, 256);
}

/// Class numbers from labels [N] or [N, 1].
Tensor class_numbers(Tensor labels, const std::string& path, const Dataset& train) {
  const auto fail = [&](const std::string& what) { throw Error("'" + path + "' " + what); };
  if (labels.dim() == 2 && labels.size(1) == 1) labels = labels.squeeze(1);
  if (labels.dim() != 1 || labels.is_floating_point() || labels.is_complex())
    fail(text::cat("has targets of type ", labels.scalar_type(), " and shape ",
                   shape_text(labels.sizes()), ", but class labels are integers [N]"));
  labels = labels.to(at::kLong).contiguous();
  const auto complain = [&](size_t i, const std::string& what) {
    fail(text::cat("has label ", labels[static_cast<int64_t>(i)].item<int64_t>(), " at sample ", i,
                   ", counted from 0, ", what));
  };
  if (train.labels) return train.labels->ids(labels, complain);
  const Tensor outside = labels.lt(0).logical_or(labels.ge(train.classes));
  if (outside.any().item<bool>())
    complain(static_cast<size_t>(outside.to(at::kByte).argmax().item<int64_t>()),
             text::cat("but the network was trained on classes 0 to ", train.classes - 1));
  return labels;
}

Tensor target_values(Tensor values, const std::string& path, const Dataset& train) {
  const int64_t width = train.targets.size(1);
  if (!values.is_floating_point()) values = values.to(at::kDouble);
  if (values.dim() == 1) values = values.unsqueeze(1);
  if (values.dim() != 2 || values.size(1) != width)
    throw Error(text::cat("'", path, "' has targets of shape ", shape_text(values.sizes()),
                          ", but those of the training samples are ", width,
                          width == 1 ? " number" : " numbers"));
  return values.contiguous();
}

}  // namespace

void refuse_table_options(const NewFiles& files) {
  if (!files.id.empty() || !files.leave_out.empty())
    throw UsageError(text::cat("option '", files.id.empty() ? "leave-out" : "id",
                               "' is for columns of a table, which data of this kind are none of; "
                               "leave it out"));
}

Dataset new_dataset(const std::string& name, const Tensor& inputs, const Tensor& targets,
                    const std::string& path, const Dataset& train) {
  Dataset out;
  out.name = name;
  out.inputs = as_inputs(inputs, name);
  if (out.inputs.dim() < 1 || out.inputs.size(0) == 0)
    throw Error("data set '" + name + "' has no samples: its inputs are of shape " +
                shape_text(out.inputs.sizes()));
  if (targets.defined())
    out.targets = train.classes > 0 ? class_numbers(targets, path, train)
                                    : target_values(targets, path, train);
  out.classes = train.classes;
  out.labels = train.labels;
  return out;
}

NewSamples read_new_arrays(const NewFiles& files, const Dataset& train) {
  refuse_table_options(files);
  return {new_dataset(files.inputs, inputs_in(files.inputs), targets_in(files.targets),
                      files.targets, train),
          {}};
}

}  // namespace altprop::data

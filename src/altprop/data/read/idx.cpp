#include "altprop/data/read/idx.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

namespace {

std::vector<uint64_t> header(InputFile& file, uint64_t magic, size_t sizes, const char* what) {
  const std::vector<uint8_t> bytes = file.bytes(4 * (1 + sizes), "header");
  std::vector<uint64_t> out;
  for (size_t i = 0; i < bytes.size(); i += 4)
    out.push_back(uint64_t{bytes[i]} << 24 | uint64_t{bytes[i + 1]} << 16 |
                  uint64_t{bytes[i + 2]} << 8 | bytes[i + 3]);
  if (out[0] != magic)
    file.fail(text::cat("is no IDX file of ", what, ": it begins with the number ", out[0],
                        " instead of ", magic));
  for (size_t i = 1; i < out.size(); ++i)
    if (out[i] == 0) file.fail("announces no values at all in its header");
  return out;
}

}  // namespace

Tensor read_idx_images(const std::string& path) {
  InputFile file(path);
  const auto head = header(file, 2051, 3, "images");
  constexpr uint64_t kSide = 1 << 14;  // keeps the product below far from overflow
  if (head[2] > kSide || head[3] > kSide)
    file.fail(text::cat("announces images of ", head[2], "x", head[3], " pixels, more than ", kSide,
                        "x", kSide));
  auto pixels = file.bytes(head[1] * head[2] * head[3], "pixels");
  file.expect_end();
  return to_tensor(std::move(pixels),
                   {static_cast<int64_t>(head[1]), 1, static_cast<int64_t>(head[2]),
                    static_cast<int64_t>(head[3])});
}

Tensor read_idx_labels(const std::string& path, int64_t classes) {
  InputFile file(path);
  const auto head = header(file, 2049, 1, "labels");
  auto labels = file.bytes(head[1], "labels");
  file.expect_end();
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= classes)
      file.fail(text::cat("has label ", int{labels[i]}, " at sample ", i, ", but there are ",
                          classes,
                          " classes; data source 'idx' reads sets in this format with "
                          "other labels"));
  const auto count = static_cast<int64_t>(labels.size());
  return to_tensor(std::move(labels), {count}).to(at::kLong);
}

namespace {

Dataset read_named(const std::string& folder, const std::string& part, const std::string& name,
                   int64_t classes) {
  const std::string images = existing(folder, part + "-images-idx3-ubyte", name);
  return read_idx_pair(images, existing(folder, part + "-labels-idx1-ubyte", name), name, classes);
}

}  // namespace

Dataset read_idx_pair(const std::string& images, const std::string& labels, const std::string& name,
                      int64_t classes) {
  Dataset out;
  out.name = name;
  out.classes = classes;
  out.scale = 1.0 / 255;
  out.inputs = read_idx_images(images);
  out.targets = read_idx_labels(labels, classes);
  if (out.inputs.size(0) != out.targets.size(0))
    throw Error(text::cat("'", images, "' has ", out.inputs.size(0), " images, but '", labels,
                          "' has ", out.targets.size(0), " labels"));
  return out;
}

Splits read_idx_folder(const std::string& folder, const std::string& name, int64_t classes) {
  return {
      read_named(folder, "train", name, classes), {}, read_named(folder, "t10k", name, classes)};
}

}  // namespace altprop::data

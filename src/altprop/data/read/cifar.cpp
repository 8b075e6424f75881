#include "altprop/data/read/cifar.h"

#include <algorithm>

#include "altprop/base/text.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

void read_cifar(const std::string& path, const CifarLayout& layout, Tensor inputs, Tensor targets) {
  constexpr int64_t kPixels = 3 * 32 * 32;
  const int64_t record = layout.label_bytes + kPixels, total = layout.records * record;
  InputFile file(path);
  const std::vector<uint8_t> bytes = file.rest(static_cast<uint64_t>(total));
  if (static_cast<int64_t>(bytes.size()) != total)
    file.fail(text::cat("has ", bytes.size(), " bytes, but ", layout.records, " records of ",
                        record, " bytes are ", total, "; it is truncated or not of this format"));
  auto* pixels = inputs.data_ptr<uint8_t>();
  auto* labels = targets.data_ptr<int64_t>();
  for (int64_t i = 0; i < layout.records; ++i) {
    const uint8_t* at = bytes.data() + i * record;
    labels[i] = at[layout.label];
    if (labels[i] >= layout.classes)
      file.fail(text::cat("has label ", labels[i], " at record ", i, ", but there are ",
                          layout.classes, " classes"));
    std::copy_n(at + layout.label_bytes, kPixels, pixels + i * kPixels);
  }
}

}  // namespace altprop::data

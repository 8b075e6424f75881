// IDX, the format of MNIST and its likes (Y. LeCun, http://yann.lecun.com/exdb/mnist): big-endian
// 32-bit magic number 2051 (images) or 2049 (labels), count, for images rows and columns; then one
// byte a value.
#pragma once

#include <string>

#include "altprop/data/dataset.h"

namespace altprop::data {

/// @return uint8 [N, 1, rows, columns]. The file may be gzip-compressed. @throws Error naming the
/// file
Tensor read_idx_images(const std::string& path);

/// @return int64 [N], each in [0, classes). @throws Error naming the file
Tensor read_idx_labels(const std::string& path, int64_t classes);

/// A file of images and the one of their labels; bytes scaled to [0, 1]. @throws Error naming the
/// file
Dataset read_idx_pair(const std::string& images, const std::string& labels, const std::string& name,
                      int64_t classes);

/// The four files of an MNIST-like data set in `folder`, named as in the original distribution,
/// with a dash or a dot in front of "idx", plain or .gz; bytes scaled to [0, 1]. @throws Error
/// naming the file
Splits read_idx_folder(const std::string& folder, const std::string& name, int64_t classes);

}  // namespace altprop::data

// Shape checks that several operations share. Each throws a Refusal naming the operation.
#pragma once

#include <string>

#include "altprop/network/op.h"

namespace altprop {

/// Refuses anything but real numbers of the network's type.
void expect_real(const std::string& where, const Spec& spec);

/// Refuses to join values that mean something else or are stored otherwise.
void expect_alike(const std::string& where, const Spec& a, const Spec& b);

/// Refuses anything but real numbers of `rank` dimensions (without the batch), e.g. 3 for
/// `layout` "channels, height, width".
void expect_rank(const std::string& where, const Spec& spec, size_t rank,
                 const std::string& layout);

/// Number of positions of a sliding window (rounded down). Refuses a window that does not fit.
int64_t window_positions(const std::string& where, int64_t extent, int64_t kernel, int64_t stride,
                         int64_t padding, int64_t dilation = 1);

/// `shape` with its first extent replaced by `rows`.
std::vector<int64_t> with_rows(IntArrayRef shape, int64_t rows);

/// `t` with its images stored as those of `model` are: channels last or planes. Kernels are several
/// times slower where the layouts of their operands differ. @returns `t` itself if it fits
Tensor stored_like(const Tensor& t, const Tensor& model);

}  // namespace altprop

// The elementwise work of one step of a long short-term memory, each in one pass over its values
// where a library takes several. Rows of `gates` are (i, f, g, o), each as wide as the cell.
//
// float32 matrices on the CPU whose rows are contiguous, of equally many rows; for anything else
// the caller has at::.
#pragma once

#include "altprop/tensor/tensor.h"

namespace altprop {

/// True if these kernels take the tensors; undefined ones are left out.
bool lstm_kernels_fit(std::initializer_list<const Tensor*> tensors);

/// f * before + i * g; `before` may be undefined for 0. @returns [rows, width]
Tensor lstm_next_cell(const Tensor& gates, const Tensor& before);

/// Credit times the derivative of the gates' functions, taken from their values. [rows, 4 width]
Tensor lstm_pull_gates(const Tensor& credit, const Tensor& gates);

/// Credit of the gates from that of the cell; none for o. [rows, 4 width]
Tensor lstm_pull_cell(const Tensor& credit, const Tensor& gates, const Tensor& before);

/// Credit of the gates from that of the output, for o alone. @param squashed tanh(cell)
Tensor lstm_pull_output(const Tensor& credit, const Tensor& gates, const Tensor& squashed);

/// Credit of the cell from that of the output: credit * o * (1 - squashed^2). [rows, width]
Tensor lstm_pull_output_to_cell(const Tensor& credit, const Tensor& gates, const Tensor& squashed);

}  // namespace altprop

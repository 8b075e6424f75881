// The largest eigenvalue of a symmetric map on states, by Lanczos' method: C. Lanczos, "An iteration
// method for the solution of the eigenvalue problem of linear differential and integral operators",
// 1950.
#pragma once

#include <functional>

#include "altprop/rules/relaxation/relax.h"

namespace altprop {

/// An upper bound of the largest eigenvalue of `matrix`, up to its accuracy: the largest Ritz value
/// plus the norm of its residual, of whichever sample has the largest. (A Ritz value alone is a
/// bound from below, and a step size made from it one from above.)
/// @param start per state a random direction [B, ...]; undefined states do not move
/// @param apart samples do not depend on each other, so that each has eigenvalues of its own
/// @param matrix symmetric, positive semi-definite
/// @param accuracy stop when the residual is below this part of the value
double largest_eigenvalue(Field start, bool apart,
                          const std::function<Field(const Field&)>& matrix,
                          double accuracy = 0.01, int64_t most_products = 60);

}  // namespace altprop

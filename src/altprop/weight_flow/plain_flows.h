// The flows that those on the orthogonal group are compared with.
#pragma once

#include <memory>

#include "altprop/weight_flow/weight_flow.h"

namespace altprop::weight_flow {

/// One matrix for all times: a neural ODE (Chen et al. 2018, arXiv 1806.07366).
std::shared_ptr<WeightFlow> constant_flow(const Settings& settings);
/// W(t) = sum_k phi_k(t) C_k (Davis, Choromanski, Sindhwani, Varley, Lee, Slotine, Likhosherstov,
/// Weller 2020, arXiv 2005.01906).
std::shared_ptr<WeightFlow> basis_flow(const Settings& settings);
/// W' = sum of perceptrons of W and t, by Euler's method and without a constraint (Zhang et al.
/// 2019, ANODEV2, arXiv 1906.04596; "HyperNet" in Choromanski et al. 2020).
std::shared_ptr<WeightFlow> free_flow(const Settings& settings);

}  // namespace altprop::weight_flow

// The symplectic adjoint as its paper writes it: a second Runge-Kutta method for the adjoint
// equation, whose coefficients divide by b_i (T. Matsubara, Y. Miyatake, T. Yaguchi 2021, arXiv
// 2102.09750). For tests alone; the library has a form that divides by nothing.
//
//   b~_i = b_i, or h where b_i = 0;   l_j = -J_j^T Lambda_j
//   Lambda_i = lambda_{n+1} - h sum_j b~_j (a_ji / b_i) l_j   (b_i != 0)
//   Lambda_i = -sum_j b~_j a_ji l_j                           (b_i  = 0)
//   lambda_n = lambda_{n+1} - h sum_i b~_i l_i,   gradient += h sum_i b~_i J_theta^T Lambda_i
#pragma once

#include "altprop/network/gradients.h"
#include "altprop/ode/record.h"

namespace altprop::ode::testing {

struct Partitioned {
  Tensor of_begin;
  Gradients gradients;
};

inline Partitioned partitioned_adjoint(const Tableau& method, const Graph& f, const Record& record,
                                       const Tensor& cot) {
  Partitioned out;
  Tensor lambda = cot;
  const int s = method.stages();
  const Field field = field_of(f, record.pass, true);
  Feedback exact;
  std::vector<char> wanted(f.input_nodes().size(), 0);
  wanted[0] = 1;
  for (size_t n = record.steps.size(); n-- > 0;) {
    const double t = record.steps[n].t, h = record.steps[n].h;
    const std::vector<Evaluation> k =
        evaluate_stages(method, field, t, h, record.states[n], s, nullptr);
    const auto weight = [&](int i) { return method.b(i) == 0 ? h : method.b(i); };
    std::vector<Tensor> l(static_cast<size_t>(s));
    Tensor before = lambda;
    for (int i = s; i-- > 0;) {
      const double b = method.b(i);
      Tensor at_stage = b == 0 ? at::zeros_like(lambda) : lambda.clone();
      for (int j = i + 1; j < s; ++j)
        at_stage -= (b == 0 ? 1 : h / b) * weight(j) * method.a(j, i) * l[static_cast<size_t>(j)];
      Sweep sweep{exact, &out.gradients, h * weight(i)};
      l[static_cast<size_t>(i)] = -f.sweep(*k[static_cast<size_t>(i)].activity,
                                           {{f.output_node(), at_stage}}, sweep, wanted)[0];
      before = before - h * weight(i) * l[static_cast<size_t>(i)];
    }
    lambda = before;
  }
  out.of_begin = lambda;
  return out;
}

}  // namespace altprop::ode::testing

#include "altprop/network/composite.h"

#include "altprop/network/signal.h"

namespace altprop {

std::vector<char> Composite::only(int input) const {
  std::vector<char> wanted(static_cast<size_t>(arity()), 0);
  wanted.at(static_cast<size_t>(input)) = 1;
  return wanted;
}

Tensor Composite::vjp(const Saved& saved, const Tensor& cot, int input,
                      const Tensor* substitute) const {
  Feedback exact;
  Sweep sweep{exact};
  return credit(saved, cot, only(input), substitute, sweep)[static_cast<size_t>(input)];
}

void Composite::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                           const Tensor* substitute, const Shared*) const {
  Feedback exact;
  IntoStore sink(store);
  Sweep sweep{exact, &sink, scale};
  credit(saved, cot, {}, substitute, sweep);
}

Tensor Composite::jvp_vjp_by_sweep(const Saved& saved, std::span<const Tensor> tangents,
                                   const Tensor& cot, int input) const {
  Feedback exact;
  Sweep sweep{exact};
  return credit_of_tangent(saved, tangents, cot, only(input), {}, sweep)
      .of_values[static_cast<size_t>(input)];
}

void Composite::jvp_accumulate_by_sweep(const Saved& saved, std::span<const Tensor> tangents,
                                        const Tensor& cot, double scale, Store& store) const {
  Feedback exact;
  IntoStore sink(store);
  Sweep sweep{exact, &sink, scale};
  credit_of_tangent(saved, tangents, cot, {}, {}, sweep);
}

}  // namespace altprop

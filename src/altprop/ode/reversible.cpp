#include "altprop/ode/reversible.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/combine.h"

namespace altprop::ode {

namespace {
Tensor first_of(const Tensor& y) { return y.select(0, 0); }
Tensor second_of(const Tensor& y) { return y.select(0, 1); }
}  // namespace

Reversible::Reversible(std::shared_ptr<const Tableau> base, double coupling)
    : base_(std::move(base)), coupling_(coupling), s_(base_->stages()) {
  if (!(coupling > 0) || !(coupling <= 1))
    throw UsageError(
        text::cat("ode: coupling, by which two states make a solver reversible, is above "
                  "0 and at most 1, but is ",
                  coupling));
}

template <class Weight>
Tensor Reversible::moved(const Tensor& x, const Length& h, double sign, const Evaluations& k,
                         int from, int n, Weight weight) const {
  ScaledSum sum(h);
  for (int j = 0; j < n; ++j) sum.add(k[static_cast<size_t>(from + j)].slope, sign * weight(j));
  const Tensor part = sum.take();
  return part.defined() ? x + part : x;
}

Tensor Reversible::lift(const Tensor& credit) const {
  return at::stack({credit, at::zeros_like(credit)});
}

Tensor Reversible::end_of_first(const Tensor& y, const Length& h, const Evaluations& k) const {
  const Tensor both = first_of(y) * coupling_ + second_of(y) * (1 - coupling_);
  return moved(both, h, 1, k, 0, s_, [&](int j) { return base_->b(j); });
}

Tensor Reversible::stage_state(const Tensor& y, const Length& h, const Evaluations& k,
                               int i) const {
  if (i < s_) return moved(second_of(y), h, 1, k, 0, i, [&](int j) { return base_->a(i, j); });
  return moved(end_of_first(y, h, k), h, -1, k, s_, i - s_,
               [&](int j) { return base_->a(i - s_, j); });
}

Tensor Reversible::end(const Tensor& y, const Length& h, const Evaluations& k) const {
  const Tensor z = moved(second_of(y), h, 1, k, s_, s_, [&](int j) { return base_->b(j); });
  return at::stack({end_of_first(y, h, k), z});
}

Tensor Reversible::by_length(const Tensor& y, const Length&, const Evaluations& k, int i) const {
  const auto slope = [&](int from, int n, const auto& weight) {
    WeightedSum sum;
    for (int j = 0; j < n; ++j) sum.add(k[static_cast<size_t>(from + j)].slope, weight(j));
    const Tensor out = sum.take();
    return out.defined() ? out : at::zeros_like(first_of(y));
  };
  const auto b = [&](int j) { return base_->b(j); };
  if (i < s_) return slope(0, i, [&](int j) { return base_->a(i, j); });
  if (i < 2 * s_)
    return slope(0, s_, b) - slope(s_, i - s_, [&](int j) { return base_->a(i - s_, j); });
  return at::stack({slope(0, s_, b), slope(s_, s_, b)});
}

Tensor Reversible::error(const Tensor&, const Length& h, const Evaluations& k,
                         const Evaluation&) const {
  ScaledSum sum(h);
  for (int i = 0; i < base_->rows(); ++i)  // the one behind the method's stages is f at y'
    sum.add(k[static_cast<size_t>(i)].slope, base_->d(i));
  return sum.take();
}

Tensor Reversible::credit_of_middle(const Tensor& lambda, const std::vector<Tensor>& xi) const {
  WeightedSum sum;
  sum.add(first_of(lambda), 1);
  for (int j = s_; j < 2 * s_; ++j) sum.add(xi[static_cast<size_t>(j)], 1);
  return sum.take();
}

Tensor Reversible::credit_of_slope(int i, const Length& h, const Tensor& lambda,
                                   const std::vector<Tensor>& xi) const {
  ScaledSum sum(h);
  if (i >= s_) {
    const int own = i - s_;
    sum.add(second_of(lambda), base_->b(own));
    for (int j = own + 1; j < s_; ++j) sum.add(xi[static_cast<size_t>(s_ + j)], -base_->a(j, own));
  } else {
    sum.add(credit_of_middle(lambda, xi), base_->b(i));
    for (int j = i + 1; j < s_; ++j) sum.add(xi[static_cast<size_t>(j)], base_->a(j, i));
  }
  return sum.take();
}

Tensor Reversible::credit_of_begin(const Length&, const Tensor& lambda,
                                   const std::vector<Tensor>& xi) const {
  const Tensor middle = credit_of_middle(lambda, xi);
  WeightedSum of_z;
  of_z.add(second_of(lambda), 1);
  of_z.add(middle, 1 - coupling_);
  for (int j = 0; j < s_; ++j) of_z.add(xi[static_cast<size_t>(j)], 1);
  return at::stack({middle * coupling_, of_z.take()});
}

Scheme::Inverted Reversible::invert(const StageField& f, const Length& h, const Tensor& end) const {
  Inverted out;
  const size_t s = static_cast<size_t>(s_);
  out.k.resize(2 * s);
  const Tensor after = first_of(end);
  const auto b = [&](int j) { return base_->b(j); };
  const auto evaluate = [&](const Tensor& x, double sign, int from) {
    for (int i = 0; i < s_; ++i)
      out.k[static_cast<size_t>(from + i)] =
          f(from + i, moved(x, h, sign, out.k, from, i, [&](int j) { return base_->a(i, j); }));
  };
  evaluate(after, -1, s_);
  const Tensor z = moved(second_of(end), h, -1, out.k, s_, s_, b);
  evaluate(z, 1, 0);
  const Tensor both = moved(after - z * (1 - coupling_), h, -1, out.k, 0, s_, b);
  out.begin = at::stack({both / coupling_, z});
  return out;
}

}  // namespace altprop::ode

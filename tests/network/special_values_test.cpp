// NaN and infinity reach what depends on them, through every operation and in every direction:
// forwards, back as credit, along as tangents, and into the gradients of parameters. What is right
// is what autograd makes of the same function written in libtorch's operations.
#include "support/special_values.h"

#include <set>

#include "altprop/base/text.h"
#include "altprop/network/build/words.h"
#include "altprop/network/gradients.h"
#include "altprop/network/ops/autograd.h"
#include "altprop/tensor/linear.h"
#include "network/special_operations.h"

namespace altprop {
namespace {

using test::all_operations;
using test::expect_as_library;
using test::Special;
using test::with_special_values;
using test::with_zeros;

class SpecialValuesOfOperations
    : public ::testing::TestWithParam<std::tuple<Special, test::Switches>> {};

INSTANTIATE_TEST_SUITE_P(All, SpecialValuesOfOperations,
                         ::testing::Combine(::testing::ValuesIn(all_operations()),
                                            ::testing::ValuesIn(std::vector<test::Switches>{
                                                {"AllOn", {}}, {"AllOff", OwnKernels::all()}})),
                         [](const auto& info) {
                           std::string name =
                               std::get<0>(info.param).name + std::get<1>(info.param).name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// One comparison of an operation with its composition, of the numbers as they are now.
struct Compared {
  const Special& c;
  OpPtr op, library;
  std::vector<Tensor> inputs, params;
  Tensor cot;
  std::vector<Tensor> tangents;
  double tolerance;

  Spec spec_of(const Tensor& t, bool batched) const {
    return {.shape = (batched ? t.sizes().slice(1) : t.sizes()).vec(),
            .dtype = dtype_of(t),
            .batched = batched};
  }

  Compared(const Special& of, at::ScalarType type) : c(of), op(of.make()) {
    inputs = c.integers;
    uint64_t seed = 1;
    for (const auto& shape : c.shapes) {
      inputs.push_back(with_zeros(seed++, shape, type));
      if (c.unit_interval) inputs.back().sigmoid_();
    }
    std::vector<Spec> specs;
    for (const Tensor& x : inputs) specs.push_back(spec_of(x, true));
    const Spec out = op->infer(specs);
    op->build(specs);
    for (const ParamPtr& param : op->params()) {
      param->value = with_zeros(seed++, param->value.sizes(), type);
      params.push_back(param->value);
      specs.push_back(spec_of(param->value, false));
    }
    for (auto& [name, buffer] : op->buffers()) *buffer = buffer->to(type);
    library = autograd_op("library", c.library, static_cast<int>(specs.size()));
    library->build(specs);
    std::vector<int64_t> shape = out.shape;
    shape.insert(shape.begin(), inputs.back().size(0));
    cot = with_zeros(seed++, shape, type);
    for (const Tensor& x : inputs)
      tangents.push_back(x.is_floating_point() ? with_zeros(seed++, x.sizes(), type) : Tensor());
    tolerance = type == at::kFloat ? 2e-4 : 1e-9;
  }

  std::vector<Tensor> operands() const {
    std::vector<Tensor> out = {cot};
    for (const auto* some : {&inputs, &params, &tangents})
      for (const Tensor& t : *some)
        if (t.defined() && t.is_floating_point()) out.push_back(t);
    return out;
  }

  static bool is_finite(const std::vector<Tensor>& all) {
    return std::all_of(all.begin(), all.end(),
                       [](const Tensor& t) { return t.isfinite().all().item<bool>(); });
  }

  static bool is_infinite(const std::vector<Tensor>& all) {
    return std::any_of(all.begin(), all.end(),
                       [](const Tensor& t) { return t.isinf().any().item<bool>(); });
  }

  void expect_same(const Tensor& own, const Tensor& other, const std::string& what) const {
    if (!c.in_terms) return expect_as_library(own, other, what, tolerance);
    ASSERT_EQ(own.sizes(), other.sizes()) << what;
    const Tensor finite = own.isfinite();
    EXPECT_TRUE(at::equal(finite, other.isfinite())) << what;
    EXPECT_TRUE(
        at::allclose(own.masked_select(finite), other.masked_select(finite), tolerance, tolerance))
        << what;
  }

  void check(const std::string& what) const {
    Saved saved, kept;
    const Pass pass{c.mode, Stream(5)};
    std::vector<Tensor> all = inputs;
    all.insert(all.end(), params.begin(), params.end());
    const Tensor expected = library->forward(all, kept, {Mode::Eval});
    try {
      expect_same(op->forward(inputs, saved, pass), expected, "forward, " + what);
    } catch (const Diverged&) {  // a solver says so itself
      EXPECT_FALSE(is_finite(all)) << "a state is not finite, but all operands are, " << what;
      return;
    } catch (const UsageError&) {
      EXPECT_TRUE(c.unit_interval) << what;
      EXPECT_FALSE(inputs[0].ge(0).logical_and(inputs[0].le(1)).all().item<bool>()) << what;
      return;
    }
    if (c.flat_far_out && is_infinite(operands())) return;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].is_floating_point()) continue;
      const int at = static_cast<int>(i);
      expect_same(op->vjp(saved, cot, at), library->vjp(kept, cot, at),
                  text::cat("credit of input ", i, ", ", what));
      expect_same(op->jvp(saved, tangents[i], at), library->jvp(kept, tangents[i], at),
                  text::cat("tangent of input ", i, ", ", what));
    }
    if (params.empty()) return;
    Gradients found;
    op->accumulate(saved, cot, 1, found);
    for (size_t i = 0; i < params.size(); ++i)
      expect_same(found.of_param(*op->params()[i]),
                  library->vjp(kept, cot, static_cast<int>(inputs.size() + i)).squeeze(0),
                  "gradient of " + op->params()[i]->name + ", " + what);
  }
};

TEST_P(SpecialValuesOfOperations, ReachWhatDependsOnThem) {
  const KernelsOff off(std::get<1>(GetParam()).off);
  const LinearBackend before = linear_backend();
  std::vector<LinearBackend> backends = {LinearBackend::Aten};
  if (onednn_available()) backends.push_back(LinearBackend::OneDnn);
  for (const LinearBackend backend : backends)
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      set_linear_backend(backend);
      const Compared both(std::get<0>(GetParam()), type);
      with_special_values(both.operands(), [&](const std::string& what) {
        both.check(text::cat(type == at::kFloat ? "float32, " : "float64, ",
                             backend == LinearBackend::Aten ? "aten, " : "onednn, ", what));
      });
    }
  set_linear_backend(before);
}

TEST(SpecialValuesOfOperations, EveryWordOfNetworkTextsIsCovered) {
  std::set<std::string> covered;
  for (const Special& c : all_operations()) covered.insert(c.words.begin(), c.words.end());
  for (const WordEntry& word : word_entries())
    EXPECT_TRUE(covered.count(word.name)) << word.name << " makes an operation that is not in the "
                                          << "list of special_operations.cpp";
}

}  // namespace
}  // namespace altprop

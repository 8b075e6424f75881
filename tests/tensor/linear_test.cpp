#include "altprop/tensor/linear.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/tensor/random.h"

namespace altprop::linear_map_tests {
namespace {

std::vector<LinearBackend> backends() {
  std::vector<LinearBackend> out = {LinearBackend::Aten};
  if (onednn_available()) out.push_back(LinearBackend::OneDnn);
  return out;
}

class Linear : public ::testing::TestWithParam<LinearBackend> {
 protected:
  void SetUp() override { set_linear_backend(GetParam()); }
  void TearDown() override { set_linear_backend(before_); }

 private:
  LinearBackend before_ = linear_backend();
};
INSTANTIATE_TEST_SUITE_P(Backends, Linear, ::testing::ValuesIn(backends()), [](const auto& info) {
  return info.param == LinearBackend::Aten ? "Aten" : "OneDnn";
});

/// [n, m], stored by rows, by columns, or as a part of a wider matrix.
Tensor matrix(int64_t seed, int64_t n, int64_t m, int layout, at::ScalarType type) {
  const Stream draw = Stream(17).at(seed);
  if (layout == 1) return draw.normal({m, n}, type).t();
  if (layout == 2) return draw.normal({n + 1, m + 5}, type).narrow(0, 1, n).narrow(1, 2, m);
  return draw.normal({n, m}, type);
}

void expect_near(const Tensor& a, const Tensor& exact, const std::string& what) {
  ASSERT_EQ(shape_text(a.sizes()), shape_text(exact.sizes())) << what;
  const double tolerance = a.scalar_type() == at::kDouble ? 1e-12 : 2e-5;
  EXPECT_TRUE(at::allclose(a.to(at::kDouble), exact, tolerance, tolerance)) << what;
}

TEST_P(Linear, ForwardAgreesWithDoubleForEveryLayoutBiasAndEpilogue) {
  for (at::ScalarType type : {at::kFloat, at::kDouble})
    for (int layout_x : {0, 1, 2})
      for (int layout_w : {0, 1, 2})
        for (bool with_bias : {false, true})
          for (Epilogue e : {Epilogue::None, Epilogue::Relu, Epilogue::Tanh, Epilogue::Sigmoid}) {
            const Tensor x = matrix(1, 7, 13, layout_x, type), w = matrix(2, 5, 13, layout_w, type);
            const Tensor b = with_bias ? Stream(3).normal({5}, type) : Tensor();
            Tensor exact = x.to(at::kDouble).mm(w.to(at::kDouble).t());
            if (with_bias) exact = exact + b.to(at::kDouble);
            if (e == Epilogue::Relu) exact = exact.relu();
            if (e == Epilogue::Tanh) exact = exact.tanh();
            if (e == Epilogue::Sigmoid) exact = exact.sigmoid();
            expect_near(linear_forward(x, w, b, e), exact, "forward");
          }
}

TEST_P(Linear, ProductsOfStridedMatrices) {
  for (at::ScalarType type : {at::kFloat, at::kDouble})
    for (int layout_a : {0, 1, 2})
      for (int layout_b : {0, 1, 2}) {
        const Tensor a = matrix(4, 6, 9, layout_a, type), b = matrix(5, 9, 11, layout_b, type);
        expect_near(gemm(a, b), a.to(at::kDouble).mm(b.to(at::kDouble)), "gemm");
      }
}

TEST_P(Linear, AProductIsAddedToWhatIsThereOrReplacesIt) {
  const Tensor a = matrix(6, 6, 9, 1, at::kFloat), b = matrix(7, 9, 4, 0, at::kFloat);
  const Tensor product = a.to(at::kDouble).mm(b.to(at::kDouble));
  const Tensor start = Stream(8).normal({6, 4});
  for (double alpha : {1.0, -0.25})
    for (double beta : {0.0, 0.9, 1.0}) {
      Tensor out = beta == 0 ? at::full({6, 4}, NAN) : start.clone();
      const Tensor exact =
          beta == 0 ? alpha * product : beta * start.to(at::kDouble) + alpha * product;
      const void* memory = out.data_ptr();
      gemm_into(out, a, b, beta, alpha);
      EXPECT_EQ(out.data_ptr(), memory);
      expect_near(out, exact, "gemm_into");
      // A column-wise target, as a view of a transposed buffer.
      Tensor columns = (beta == 0 ? at::full({4, 6}, NAN) : start.t().contiguous()).t();
      gemm_into(columns, a, b, beta, alpha);
      expect_near(columns, exact, "gemm_into a strided target");
    }
}

TEST_P(Linear, EmptyBatches) {
  const Tensor w = at::ones({3, 4});
  EXPECT_EQ(linear_forward(at::ones({0, 4}), w, at::ones({3})).size(1), 3);
  Tensor out = at::full({3, 4}, NAN);
  gemm_into(out, at::ones({3, 0}), at::ones({0, 4}), 0, 1);
  EXPECT_EQ(out.abs().sum().item<float>(), 0);
}

TEST(LinearBackends, AgreeWithEachOther) {
  if (!onednn_available()) GTEST_SKIP() << "this libtorch offers no oneDNN linear operator";
  const LinearBackend before = linear_backend();
  const Tensor x = Stream(1).normal({64, 200}), w = Stream(2).normal({50, 200}).mul_(0.07);
  set_linear_backend(LinearBackend::Aten);
  const Tensor aten = linear_forward(x, w, {}, Epilogue::Tanh);
  set_linear_backend(LinearBackend::OneDnn);
  const Tensor onednn = linear_forward(x, w, {}, Epilogue::Tanh);
  set_linear_backend(before);
  EXPECT_TRUE(at::allclose(aten, onednn, 1e-5, 1e-5));
}

}  // namespace
}  // namespace altprop::linear_map_tests

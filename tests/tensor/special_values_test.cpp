// NaN and infinity reach the results of own kernels as they reach the library's: a kernel that
// hides them hides that a network has diverged.
#include "support/special_values.h"

#include "altprop/network/softmax.h"
#include "altprop/tensor/linear.h"
#include "altprop/tensor/lstm.h"
#include "altprop/tensor/planar.h"
#include "altprop/tensor/rows.h"
#include "altprop/tensor/signs.h"
#include "altprop/tensor/softmax_pool.h"

namespace altprop {
namespace {

using test::by_library;
using test::expect_as_library;
using test::with_special_values;
using test::with_zeros;

class SpecialValues : public test::UnderSwitches {};
INSTANTIATE_TEST_SUITE_P(Kernels, SpecialValues, ::testing::ValuesIn(test::all_switches()),
                         test::name_of_switches);

/// Around the widths of vectors.
constexpr int64_t kWidths[] = {1, 8, 17, 33};

Tensor activated(const Tensor& t, Epilogue e) {
  switch (e) {
    case Epilogue::Relu:
      return t.relu();
    case Epilogue::Tanh:
      return t.tanh();
    case Epilogue::Sigmoid:
      return t.sigmoid();
    case Epilogue::None:
      break;
  }
  return t;
}

std::vector<LinearBackend> linear_backends() {
  if (!onednn_available()) return {LinearBackend::Aten};
  return {LinearBackend::Aten, LinearBackend::OneDnn};
}

/// Calls `check` with each library that multiplies matrices.
template <class F>
void with_each_backend(F&& check) {
  const LinearBackend before = linear_backend();
  for (LinearBackend backend : linear_backends()) {
    set_linear_backend(backend);
    check(backend == LinearBackend::Aten ? "aten, " : "onednn, ");
  }
  set_linear_backend(before);
}

TEST_P(SpecialValues, LinearWithEveryEpilogue) {
  for (const auto type : {at::kFloat, at::kDouble})
    for (const auto& [rows, k, n] :
         std::vector<std::array<int64_t, 3>>{{3, 5, 7}, {8, 16, 32}, {33, 40, 65}}) {
      if (type == at::kDouble && rows > 3) continue;  // for that there are no kernels
      const Tensor x = with_zeros(1, {rows, k}, type), w = with_zeros(2, {n, k}, type),
                   b = with_zeros(3, {n}, type);
      with_each_backend([&](const std::string& backend) {
        with_special_values({x, w, b}, [&](const std::string& what) {
          for (const Epilogue e :
               {Epilogue::None, Epilogue::Relu, Epilogue::Tanh, Epilogue::Sigmoid})
            for (const Tensor& bias : {b, Tensor()})
              expect_as_library(linear_forward(x, w, bias, e), activated(at::linear(x, w, bias), e),
                                backend + what);
        });
      });
    }
}

TEST_P(SpecialValues, Products) {
  for (const auto& [n, k, m] :
       std::vector<std::array<int64_t, 3>>{{1, 3, 1}, {14, 5, 32}, {15, 9, 33}}) {
    const Tensor rows = with_zeros(1, {k, n}), b = with_zeros(2, {k, m}), a = rows.t();
    Tensor start = with_zeros(3, {n, m});
    with_each_backend([&](const std::string& backend) {
      with_special_values({rows, b, start}, [&](const std::string& what) {
        expect_as_library(gemm(a, b), at::mm(a, b), backend + what);
        for (const double keep : {0.0, 0.5, 1.0}) {
          Tensor out = start.clone();
          gemm_into(out, a, b, keep, 0.25);
          const Tensor product = at::mm(a, b).mul(0.25);
          expect_as_library(out, keep == 0 ? product : start * keep + product, backend + what);
        }
      });
    });
  }
}

TEST_P(SpecialValues, Rows) {
  for (const auto type : {at::kFloat, at::kDouble})
    for (const int64_t n : kWidths) {
      const Tensor x = with_zeros(1, {3, n}, type), bias = with_zeros(2, {n}, type);
      const std::vector<int64_t> ids = {2, -1, 0};
      with_special_values({x, bias}, [&](const std::string& what) {
        for (const bool relu : {false, true}) {
          Tensor y = x.clone();
          add_bias_(y, bias, relu);
          expect_as_library(y, relu ? (x + bias).relu() : x + bias, what);
        }
        for (const double keep : {0.0, 0.5}) {
          Tensor sums = bias.clone();
          add_rows_into(sums, x, keep, 0.25);
          const Tensor added = x.sum(0) * 0.25;
          expect_as_library(sums, keep == 0 ? added : bias * keep + added, what);
        }
        Tensor table = with_zeros(3, {3, n}, type), expected = table.clone();
        add_rows_at(table, x, ids.data(), -0.5);
        expected[2] += x[0] * -0.5;
        expected[0] += x[2] * -0.5;
        expect_as_library(table, expected, what);
        Tensor copied = at::full({3, n}, NAN, x.options());
        copy_rows_at(copied, x, ids.data());
        expect_as_library(copied, at::stack({x[2], at::zeros_like(x[0]), x[0]}), what);
      });
    }
}

TEST_P(SpecialValues, Signs) {
  for (const int64_t n : kWidths) {
    const Tensor w = with_zeros(1, {2, n}), each = with_zeros(2, {2, n}), one = at::ones({1});
    with_special_values({w, each, one}, [&](const std::string& what) {
      for (const Tensor& magnitudes : {each, one}) {
        Tensor out = at::full_like(w, NAN);
        signs_times(out, w, magnitudes);
        expect_as_library(out, w.sign() * magnitudes, what);
      }
    });
  }
}

TEST_P(SpecialValues, LstmSteps) {
  for (const int64_t n : kWidths) {
    const Tensor gates = with_zeros(1, {3, 4 * n}).sigmoid(), before = with_zeros(2, {3, n}),
                 credit = with_zeros(3, {3, n}), credits = with_zeros(4, {3, 4 * n});
    if (!lstm_kernels_fit({&gates, &before})) GTEST_SKIP() << "turned off";
    const auto gate = [&](int64_t which) { return gates.narrow(1, which * n, n); };
    const auto pulled = [&](const Tensor& from, const Tensor& y) {
      return at::cat({at::sigmoid_backward(from.narrow(1, 0, 2 * n), y.narrow(1, 0, 2 * n)),
                      at::tanh_backward(from.narrow(1, 2 * n, n), y.narrow(1, 2 * n, n)),
                      at::sigmoid_backward(from.narrow(1, 3 * n, n), y.narrow(1, 3 * n, n))},
                     1);
    };
    const Tensor none = at::zeros({3, n});
    with_special_values({gates, before, credit, credits}, [&](const std::string& what) {
      expect_as_library(lstm_next_cell(gates, before), gate(1) * before + gate(0) * gate(2), what);
      expect_as_library(lstm_next_cell(gates, {}), gate(0) * gate(2), what);
      expect_as_library(lstm_pull_gates(credits, gates), pulled(credits, gates), what);
      expect_as_library(lstm_pull_cell(credit, gates, before),
                        at::cat({credit * gate(2), credit * before, credit * gate(0), none}, 1),
                        what);
      expect_as_library(lstm_pull_cell(credit, gates, {}),
                        at::cat({credit * gate(2), none, credit * gate(0), none}, 1), what);
      expect_as_library(lstm_pull_output(credit, gates, before),
                        at::cat({none, none, none, credit * before}, 1), what);
      expect_as_library(lstm_pull_output_to_cell(credit, gates, before),
                        at::tanh_backward(credit * gate(3), before), what);
    });
  }
}

TEST_P(SpecialValues, AnalyticFunctions) {
  using Kind = Analytic::Kind;
  for (const auto type : {at::kFloat, at::kDouble})
    for (const Analytic& f : {Analytic{Kind::Logistic}, Analytic{Kind::Logistic, 4, -2},
                              Analytic{Kind::Tanh}, Analytic{Kind::Dsilu}})
      for (const int64_t n : kWidths) {
        const Tensor x = with_zeros(1, {3, n}, type);
        const auto applied = [&] {
          Tensor y = x.clone();
          apply_analytic_(y, {3, 0}, f);
          return y;
        };
        with_special_values({x}, [&](const std::string& what) {
          expect_as_library(applied(), by_library(applied), what);
        });
      }
}

/// The library's complex numbers make NaN of some infinities that have a limit and keep one part of
/// some NaN: here NaN in one part makes both NaN, and so does an angle without end.
TEST_P(SpecialValues, AnalyticFunctionsOfComplexNumbers) {
  using Kind = Analytic::Kind;
  if (!own_kernel_is_on(OwnKernel::Planar)) GTEST_SKIP() << "turned off";
  for (const auto type : {at::kFloat, at::kDouble})
    for (const Kind kind : {Kind::Logistic, Kind::Tanh, Kind::Dsilu})
      for (const int64_t n : kWidths)
        for (const int64_t plane : {0, 1})
          for (const double value : {std::nan(""), plane ? HUGE_VAL : std::nan("")}) {
            Tensor z = with_zeros(1, {2, n}, type);
            z[plane][n - 1] = value;
            Tensor expected = at::zeros({2, n}, at::kBool);
            expected.select(1, n - 1).fill_(true);
            apply_analytic_(z, {0, 1}, {kind});
            EXPECT_TRUE(at::equal(z.isnan(), expected)) << value << " in plane " << plane;
          }
}

TEST_P(SpecialValues, SoftmaxPooling) {
  for (const auto type : {at::kFloat, at::kDouble})
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
      for (const PlanarRows& rows : {PlanarRows{2, 0}, PlanarRows{0, 1}})
        for (const int64_t w : {2, 7, 34}) {
          // Small: complex weights have poles.
          const Tensor x = with_zeros(1, {2, 3, 5, w}, type).mul_(0.2);
          const auto pooled = [&] {
            const SoftmaxPooled y = softmax_pool(x.contiguous(format), rows, 2, 0.5);
            return at::cat({y.out.flatten(), y.slope.flatten()});
          };
          with_special_values({x}, [&](const std::string& what) {
            expect_as_library(pooled(), by_library(pooled), what);
          });
          const Tensor slope = with_zeros(2, {2, 3, 5, w}, type),
                       credit = with_zeros(3, {2, 3, 2, w / 2}, type);
          const auto pulled = [&] { return softmax_pool_pull(slope, credit, rows, 2); };
          with_special_values({slope, credit}, [&](const std::string& what) {
            expect_as_library(pulled(), by_library(pulled), what);
          });
        }
}

TEST_P(SpecialValues, SoftmaxOfRows) {
  for (const auto type : {at::kFloat, at::kDouble})
    for (const int64_t n : {2, 10, 33}) {
      const Tensor x = with_zeros(1, {3, n}, type);
      const Tensor classes = at::tensor({int64_t{0}, n / 2, n - 1});
      with_special_values({x}, [&](const std::string& what) {
        EXPECT_EQ(count_right(x, classes), x.argmax(1).eq(classes).sum().item<int64_t>()) << what;
        if (!softmax_rows_fit(x, classes)) return;
        const Tensor log = at::log_softmax(x, 1);
        expect_as_library(softmax_loss(x, classes), -log.gather(1, classes.unsqueeze(1)).squeeze(1),
                          what);
        expect_as_library(softmax_loss_gradient(x, classes),
                          at::softmax(x, 1) - at::one_hot(classes, n), what);
      });
    }
}

}  // namespace
}  // namespace altprop

// Flows of weights against closed forms, and their derivatives.
#include <gtest/gtest.h>

#include <cmath>

#include "altprop/network/init.h"
#include "altprop/weight_flow/group_flow.h"
#include "altprop/weight_flow/ode_to_ode.h"
#include "network/check_op.h"

namespace altprop::weight_flow {
namespace {

Tensor matrix(std::vector<double> values) {
  const auto d = static_cast<int64_t>(std::sqrt(static_cast<double>(values.size())));
  return at::tensor(values, at::kDouble).view({d, d});
}

/// The grid on which the matrices are read up to W(end) itself.
Grid with_end(int64_t steps, double end, bool midpoint) {
  const double n = static_cast<double>(steps);
  return {steps + 1, end * (n + 1) / n, midpoint};
}

/// W(end) after `steps` steps.
Tensor last_of(const WeightFlow& flow, int64_t steps, double end, bool midpoint) {
  const Trajectory all = flow.run(with_end(steps, end, midpoint));
  return all.read[static_cast<size_t>(midpoint ? 2 * steps : steps)];
}

struct Iso {
  Settings settings;
  std::shared_ptr<WeightFlow> flow;
  Iso(const std::string& retraction, const Tensor& q, const Tensor& n, const Tensor& start) {
    settings.retraction = retraction;
    settings.start = "identity";
    settings.learn_start = false;
    flow = make_flow(settings);
    flow->build(q.size(0), {});
    flow->params()[0]->value = q;
    flow->params()[1]->value = n;
    flow->params()[2]->value = start;
  }
};

Tensor rotation(double angle) {
  return matrix({std::cos(angle), -std::sin(angle), std::sin(angle), std::cos(angle)});
}
double angle_of(const Tensor& w) {
  return std::atan2(w[1][0].item<double>(), w[0][0].item<double>());
}

// tan phi(t) = tan phi(0) exp(-(q2 - q1) (n2 - n1) t)
TEST(IsoFlow, InThePlaneFollowsItsClosedForm) {
  const Tensor q = at::diag(at::tensor({1.0, 3.0}, at::kDouble)),
               n = at::diag(at::tensor({0.5, 1.25}, at::kDouble));
  const double exact = std::atan(std::tan(1.0) * std::exp(-2 * 0.75));
  EXPECT_NEAR(exact, 0.33445004973984693, 1e-15);
  const auto error = [&](const std::string& retraction, int64_t steps, bool midpoint) {
    return angle_of(last_of(*Iso(retraction, q, n, rotation(1)).flow, steps, 1, midpoint)) - exact;
  };
  for (const std::string& retraction : retraction_names()) {
    const double ten = std::abs(error(retraction, 10, true)),
                 twenty = std::abs(error(retraction, 20, true)),
                 forty = std::abs(error(retraction, 40, true));
    EXPECT_LE(ten, retraction == "exp" ? 4e-6 : 1e-3) << retraction;
    EXPECT_GE(std::log2(ten / twenty), 2) << retraction << ": second order";
    EXPECT_GE(std::log2(twenty / forty), 2) << retraction << ": second order";
  }
  for (const auto& [retraction, known] :
       {std::pair("exp", std::vector{-8.79e-3, -4.42e-3, -2.22e-3, -1.11e-3}),
        std::pair("cayley", std::vector{-8.61e-3, -4.38e-3, -2.21e-3, -1.11e-3})})
    for (size_t i = 0; i < known.size(); ++i)
      EXPECT_NEAR(error(retraction, 10 << i, false), known[i], 6e-6) << retraction << ' ' << i;
  const auto generator = iso_generator();
  generator->build(2);
  generator->params()[0]->value = q;
  generator->params()[1]->value = n;
  std::any kept;
  expect_close(generator->omega(0, rotation(1), kept), matrix({0, .6820, -.6820, 0}), 5e-5,
               "Omega at the begin");
}

TEST(IsoFlow, KeepsTheEigenvaluesAndSortsThem) {
  const int64_t d = 6;
  const Tensor qr = Stream(1).normal({d, d}, at::kDouble),
               nr = Stream(2).normal({d, d}, at::kDouble);
  const Tensor q = (qr + qr.t()) / 2, n = (nr + nr.t()) / 2;
  const Iso iso("exp", q, n, at::eye(d, at::kDouble));
  const Trajectory all = iso.flow->run({2000, 5, false});
  const Tensor values = std::get<0>(at::linalg_eigh(q));
  double before = -INFINITY;
  for (size_t i = 0; i < all.read.size(); i += 50) {
    const Tensor h = at::mm(all.read[i].t(), at::mm(q, all.read[i]));
    expect_close(std::get<0>(at::linalg_eigh(h)), values, 1e-12, "eigenvalues");
    const double now = (h * n).sum().item<double>();
    EXPECT_GE(now, before) << "tr(H N) does not fall";
    before = now;
  }
}

/// Omega = [H, N] of these.
Tensor omega_of(const Tensor& w, const Tensor& q, const Tensor& n) {
  const Tensor h = at::mm(w.t(), at::mm(q, w));
  return at::mm(h, n) - at::mm(n, h);
}
Tensor symmetric_draw(uint64_t seed, int64_t d) {
  const Tensor m = Stream(seed).normal({d, d}, at::kDouble) / std::sqrt(static_cast<double>(d));
  return (m + m.t()) / 2;
}

TEST(IsoFlow, TheTraceGrowsByTheSquareOfOmega) {
  const int64_t d = 6;
  const Tensor q = symmetric_draw(1, d), n = symmetric_draw(2, d),
               start = draw_orthogonal(d, d, Stream(3), at::kDouble);
  const Iso iso("exp", q, n, start);
  const double h = 1e-6, rate = omega_of(start, q, n).square().sum().item<double>();
  ASSERT_GT(rate, 0.1);
  const auto trace = [&](const Tensor& w) {
    return at::trace(at::mm(at::mm(w.t(), at::mm(q, w)), n)).item<double>();
  };
  EXPECT_NEAR((trace(last_of(*iso.flow, 1, h, false)) - trace(start)) / h / rate, 1, 1e-4);
}

/// What the retractions are for: Euler's method on the entries of W leaves the group by about
/// h |Omega|^2 T, and where every step is projected back it finds what the flow does.
TEST(IsoFlow, PlainStepsLeaveTheGroupAndAProjectionBringsThemBack) {
  const int64_t d = 6, steps = 400;
  const Tensor q = symmetric_draw(1, d), n = symmetric_draw(2, d), eye = at::eye(d, at::kDouble);
  const double h = 1.0 / static_cast<double>(steps);
  const auto drift = [&](const Tensor& w) {
    return (at::mm(w.t(), w) - eye).norm().item<double>();
  };
  Tensor plain = eye, projected = eye;
  double expected = 0;
  for (int64_t i = 0; i < steps; ++i) {
    const Tensor omega = omega_of(plain, q, n);
    expected += h * h * at::mm(omega, omega).norm().item<double>();
    plain = plain + h * at::mm(plain, omega);
    projected = projected + h * at::mm(projected, omega_of(projected, q, n));
    for (int k = 0; k < 2; ++k)  // Newton and Schulz
      projected = at::mm(projected, 3 * eye - at::mm(projected.t(), projected)) / 2;
  }
  const Tensor flown = last_of(*Iso("exp", q, n, eye).flow, steps, 1, false);
  EXPECT_LE(drift(flown), 1e-13 * d * std::sqrt(static_cast<double>(steps)));
  EXPECT_GT(drift(plain), 1e-4);
  EXPECT_LT(drift(plain), 2 * expected);
  EXPECT_LE(drift(projected), 1e-12);
  EXPECT_LE((projected - flown).norm().item<double>(), drift(plain));
}

TEST(GroupFlow, StaysOrthogonalForAThousandSteps) {
  const int64_t d = 16;
  for (const std::string& name : {std::string("iso"), std::string("gated")})
    for (const std::string& retraction : retraction_names())
      for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
        Settings settings{.flow = name, .retraction = retraction};
        const auto flow = make_flow(settings);
        flow->build(d, {});
        int64_t i = 0;
        for (const ParamPtr& p : flow->params())
          if (p->learnt)
            p->value =
                (0.3 * Stream(5).at(name).at(i++).normal(p->value.sizes(), at::kDouble)).to(type);
          else
            p->value = p->value.to(type);
        const Trajectory all = flow->run({1000, 10, false});
        double worst = 0;
        for (const Tensor& w : all.read)
          worst =
              std::max(worst, (at::mm(w.t(), w) - at::eye(d, w.options())).norm().item<double>());
        EXPECT_LE(worst, type == at::kDouble ? 1e-13 * d * std::sqrt(1000.0) : 1e-5)
            << name << " " << retraction;
        EXPECT_GT((all.read.back() - all.read[0]).norm().item<double>(), 0.5) << "it moves";
      }
}

TEST(GroupFlow, ACapShortensOmegaAndTheLargestTurnIsSeen) {
  Settings settings{.flow = "iso"};
  const auto free = make_flow(settings);
  settings.cap = 0.5;
  const auto capped = make_flow(settings);
  for (const auto& flow : {free, capped}) {
    flow->build(4, {});
    int64_t i = 0;
    for (const ParamPtr& p : flow->params())
      p->value =
          p->learnt ? 3 * Stream(6).at(i++).normal({4, 4}, at::kDouble) : p->value.to(at::kDouble);
  }
  const Grid grid{10, 1, false};
  EXPECT_GT(GroupFlow::largest_turn(free->run(grid)), 0.1);
  EXPECT_LE(GroupFlow::largest_turn(capped->run(grid)), 0.05);
  EXPECT_EQ(capped->notice(capped->run(grid)), "");
  EXPECT_NE(free->notice(free->run({2, 1, false})), "");
  EXPECT_NE(free->notice(free->run({2, 100, false})).find("more than pi"), std::string::npos);
}

// x' = W(t) x with W' = W Omega, Omega constant, in the plane: complex numbers.
TEST(OdeToOdeFlow, WithAConstantOmegaFollowsItsClosedForm) {
  const double omega = 2, exact[] = {1.1968664430321307, 1.0247382327007302};
  double before = 0;
  for (const int64_t steps : {10, 100, 1000}) {
    double x = 1, y = 0, angle = 0;
    const double h = 1.0 / static_cast<double>(steps);
    // The same by hand, and by the operation with gates that see the time alone and are constant.
    OdeToOde op({.flow = "gated",
                 .activation = "identity",
                 .steps = steps,
                 .start = "identity",
                 .learn_start = false,
                 .gates = 1,
                 .width = 1,
                 .sees = "time"});
    op.build(std::vector<Spec>{{{2}}});
    for (const ParamPtr& p : op.params()) p->value = p->value.to(at::kDouble);
    op.params()[3]->value.fill_(-omega);  // out.bias
    op.params()[4]->value.fill_(1);       // gate
    for (int64_t i = 0; i < steps; ++i, angle += omega * h) {
      const double c = std::cos(angle), s = std::sin(angle), before_x = x;
      x += h * (c * x - s * y);
      y += h * (s * before_x + c * y);
    }
    Saved saved;
    const std::vector<Tensor> start{at::tensor({1.0, 0.0}, at::kDouble).view({1, 2})};
    const Tensor out = op.forward(start, saved, {});
    EXPECT_NEAR(out[0][0].item<double>(), x, 1e-12);
    EXPECT_NEAR(out[0][1].item<double>(), y, 1e-12);
    const double error = std::hypot(x - exact[0], y - exact[1]);
    if (before > 0) {
      EXPECT_NEAR(before / error, 10, 0.3) << "first order";
    }
    before = error;
  }
  EXPECT_NEAR(before, 0.001639, 1e-6);
}

}  // namespace
}  // namespace altprop::weight_flow

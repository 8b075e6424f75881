// The asymmetry of the Jacobian, in closed form, drawn, and from the matrix itself.
#include "rules/holomorphic/fixture.h"

namespace altprop::testing {
namespace {

/// A network with weights of its own on the way back, at rest.
struct AtRest {
  ConvergentNetwork net;
  std::unique_ptr<BackwardWeights> back;
  std::deque<FeedbackEdge> edges;
  std::unique_ptr<VectorField> field;
  std::unique_ptr<Linearised> linear;
  std::unique_ptr<Homeostasis> homeostasis;
  Field rest;

  explicit AtRest(EpExample& e, const std::string& written = "", const Tensor& feedback = {})
      : net(convergent_network(e.net, *e.loss, "auto", Admitted::Analytic)) {
    if (written.empty()) back = std::make_unique<BackwardWeights>(net, Stream(2), false);
    edges = feedback_edges(written, net, Stream(3), e.net.options());
    if (feedback.defined()) back->pairs()[0].backward->value.copy_(feedback.t());
    field = std::make_unique<VectorField>(net, back.get(), edges);
    HolomorphicDynamics dynamics(*field, {});
    dynamics.begin(e.x);
    dynamics.settle({.steps = 400});
    rest = dynamics.copy();
    linear = std::make_unique<Linearised>(*field);
    linear->begin(rest, dynamics.drive());
    homeostasis = std::make_unique<Homeostasis>(*field);
  }
  /// |J - J^T|^2 / 2n and s / (s + a), mean over samples, of the matrix.
  std::pair<double, double> from_matrix(int64_t samples) {
    double loss = 0, score = 0;
    const auto n = static_cast<double>(field->units());
    for (int64_t b = 0; b < samples; ++b) {
      const Tensor j = linear->matrix(b) - at::eye(field->units(), at::kDouble);
      loss += (j - j.t()).square().sum().item<double>() / (2 * n);
      const double s = (j + j.t()).norm().item<double>(), a = (j - j.t()).norm().item<double>();
      score += s / (s + a);
    }
    return {loss / static_cast<double>(samples), score / static_cast<double>(samples)};
  }
  NamedGradients pull(const Graph& net, bool estimate, int64_t count) {
    std::vector<ParamPtr> params = net.params();
    if (back)
      for (const BackwardWeights::Pair& pair : back->pairs()) params.push_back(pair.backward);
    for (const FeedbackEdge& edge : edges) params.push_back(edge.weight);
    Gradients sink;
    homeostasis->deliver(rest, Stream(5), count, 1, sink, estimate);
    NamedGradients out;
    for (const ParamPtr& p : params) out[p->name] = sink.or_zeros(*p);
    return out;
  }
};

TEST(Homeostasis, OfTheAsymmetricExample) {
  AsymmetricExample e;
  AtRest a(e, "", e.feedback);
  EXPECT_TRUE(a.homeostasis->closed());
  EXPECT_NEAR(a.homeostasis->loss(a.rest, Stream(1), 1), 0.4975685057019098, 1e-12);
  EXPECT_NEAR(a.homeostasis->symmetry(a.rest, Stream(1), 1), 0.6857738199391709, 1e-12);
  EXPECT_NEAR(a.from_matrix(1).first, 0.4975685057019098, 1e-12);
  EXPECT_NEAR(a.from_matrix(1).second, 0.6857738199391709, 1e-12);
  const NamedGradients g = a.pull(e.net, false, 1);
  // The feedback is held in the orientation of the forward weights.
  expect_numbers(g.at(a.back->pairs()[0].backward->name).t()[0],
                 {-0.1321479025933491, 0.11813969700436207, 0.2822962090056717}, 1e-12);
  for (const std::string name : {"fc1.weight", "fc1.bias", "fc2.bias", "fc3.weight", "fc3.bias"})
    EXPECT_EQ(g.at(name).norm().item<double>(), 0) << name;
  AtRest symmetric(e, "", e.value(2).t());
  EXPECT_EQ(symmetric.homeostasis->loss(symmetric.rest, Stream(1), 1), 0);
}

TEST(Homeostasis, DrawsHaveTheClosedFormAsTheirMean) {
  AsymmetricExample e;
  AtRest a(e, "", e.feedback);
  const double closed = a.homeostasis->loss(a.rest, Stream(1), 1),
               drawn = a.homeostasis->loss(a.rest, Stream(1), 10000, true);
  EXPECT_NEAR(drawn / closed, 1, 0.05);  // the standard error is a hundredth or so
  EXPECT_NE(drawn, closed);
  const NamedGradients exact = a.pull(e.net, false, 1), mean = a.pull(e.net, true, 10000);
  EXPECT_LT(EpExample::apart(mean, exact), 0.05);
}

TEST(Homeostasis, OfEveryKindOfCoupling) {
  struct Case {
    std::string text, edges;
    std::vector<int64_t> shape;
  };
  for (const Case& c :
       {Case{"mlp:4-5-4-3:shifted-sigmoid", "fc2>fc1, fc3>fc2", {4}},
        Case{"mlp:4-5-4-3:shifted-sigmoid", "fc2>fc1, fc1>fc1", {4}},
        Case{"mlp:4-5-4-3:shifted-sigmoid", "fc3>fc1", {4}},
        Case{"chain: conv 3 k=3 p=1, softmaxpool 2, dsilu, conv 2 k=2, dsilu, linear 3",
             "",
             {2, 6, 6}}}) {
    SCOPED_TRACE(c.text + " " + c.edges);
    const bool conv = c.edges.empty();
    EpExample e = random_example(c.text, c.shape, conv ? "cross-entropy" : "squared-error", 0.6);
    AtRest a(e, c.edges);
    EXPECT_NE(a.homeostasis->closed(), conv);
    const auto [loss, score] = a.from_matrix(3);
    const double found = a.homeostasis->loss(a.rest, Stream(1), 2000);
    EXPECT_NEAR(found / loss, 1, conv ? 0.05 : 1e-12);
    EXPECT_NEAR(a.homeostasis->symmetry(a.rest, Stream(1), 2000), score, conv ? 0.05 : 1e-12);
    // NamedGradients against differences with the same draws.
    const NamedGradients g = a.pull(e.net, false, 3);
    std::vector<ParamPtr> params = e.net.params();
    if (a.back) params.push_back(a.back->pairs()[0].backward);
    for (const FeedbackEdge& edge : a.edges) params.push_back(edge.weight);
    for (const ParamPtr& p : params) {
      double* entry = p->value.mutable_data_ptr<double>() + p->value.numel() / 2;
      const double kept = *entry, h = 1e-5;
      *entry = kept + h;
      const double up = a.homeostasis->loss(a.rest, Stream(5), 3);
      *entry = kept - h;
      const double down = a.homeostasis->loss(a.rest, Stream(5), 3);
      *entry = kept;
      EXPECT_NEAR(g.at(p->name).flatten()[p->value.numel() / 2].item<double>(),
                  (up - down) / (2 * h), 1e-8)
          << p->name;
    }
  }
}

TEST(Homeostasis, AddsItsGradientToTheRules) {
  AsymmetricExample e;
  const NamedGradients plain = e.own(circle(4, 0.1)),
                       pulled = e.own(circle(4, 0.1, {{"hep.homeostasis", "2"}}));
  AtRest a(e, "", e.feedback);
  for (const auto& [name, g] : a.pull(e.net, false, 1)) {
    const bool backward = name.find("feedback") != std::string::npos;
    EXPECT_LT((pulled.at(name) - plain.at(name) - 2 * g).norm().item<double>(), 1e-12)
        << name << backward;
  }
}

}  // namespace
}  // namespace altprop::testing

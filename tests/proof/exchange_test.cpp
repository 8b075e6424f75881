// Proof of the exchange: two learners in two threads, each with a network of its own and half of
// the batch, are one learner with the whole of it; and local steps with averaged values (federated
// averaging; McMahan et al. 2017, arXiv 1602.05629) are what a loop by hand makes of them.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/nn/modules.h>

#include <barrier>
#include <thread>

#include "altprop/base/error.h"
#include "altprop/network/architecture.h"
#include "altprop/network/ops/aten_box.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/module.h"
#include "altprop/ode/odeint.h"
#include "proof/toy.h"
#include "support/exact_signals.h"

namespace altprop::proof {
namespace {

/// Where two learners meet. What they put down is averaged in the order of their numbers, so that
/// both find the same bits.
class Meeting {
 public:
  void average(size_t who, const std::vector<Tensor>& tensors) {
    std::vector<Tensor>& own = brought_[who];
    own.clear();
    for (const Tensor& tensor : tensors) own.push_back(tensor.clone());
    all_.arrive_and_wait();
    for (size_t i = 0; i < tensors.size(); ++i)
      tensors[i].copy_((brought_[0][i] + brought_[1][i]) * 0.5);
    all_.arrive_and_wait();
  }

 private:
  std::barrier<> all_{2};
  std::vector<Tensor> brought_[2];
};

struct AveragedGradients : Exchange {
  Meeting& meeting;
  size_t who;
  std::vector<std::string> groups;
  AveragedGradients(Meeting& meeting, size_t who) : meeting(meeting), who(who) {}
  void gradients(const std::string& group, const std::vector<Tensor>& tensors) override {
    groups.push_back(group);
    meeting.average(who, tensors);
  }
};

/// Values are averaged after every third step.
struct AveragedValues : Exchange {
  Meeting& meeting;
  size_t who;
  int64_t steps = 0;
  AveragedValues(Meeting& meeting, size_t who) : meeting(meeting), who(who) {}
  void values(const std::string&, const std::vector<Tensor>& tensors) override {
    if (++steps % 3 == 0) meeting.average(who, tensors);
  }
};

constexpr int64_t kBatch = 8, kSteps = 7;

Graph exchange_net() { return toy_net({5, 9, 3}, "tanh", 3); }

std::pair<Tensor, Tensor> whole_batch(int64_t t) {
  return {Stream(7).at("x").at(t).normal({kBatch, 5}, at::kDouble),
          Stream(7).at("y").at(t).normal({kBatch, 3}, at::kDouble)};
}

std::pair<Tensor, Tensor> half_batch(int64_t t, size_t who) {
  const auto [x, y] = whole_batch(t);
  const auto from = static_cast<int64_t>(who) * kBatch / 2;
  return {x.narrow(0, from, kBatch / 2), y.narrow(0, from, kBatch / 2)};
}

/// Signals of one batch, of its mean.
void send(Graph& net, const std::pair<Tensor, Tensor>& batch, Sink& sink) {
  const auto loss = make_loss("squared-error");
  test::send_exact(net, *loss, batch.first, batch.second, sink);
}

/// Two threads, `work` in each.
void together(const std::function<void(size_t who)>& work) {
  std::vector<std::thread> threads;
  for (size_t who = 0; who < 2; ++who)
    threads.emplace_back([&work, who] {
      at::NoGradGuard no_grad;
      work(who);
    });
  for (std::thread& thread : threads) thread.join();
}

void expect_values(const Graph& a, const Graph& b, double tolerance, const std::string& what) {
  for (size_t i = 0; i < a.params().size(); ++i) {
    const Tensor &left = a.params()[i]->value, &right = b.params()[i]->value;
    EXPECT_LE((left - right).abs().max().item<double>(), tolerance)
        << what << " " << a.params()[i]->name;
  }
}

std::vector<OptimizerSettings> optimizers() {
  return {{.kind = "sgd", .lr = 0.1},
          {.kind = "momentum", .lr = 0.05, .weight_decay = 0.01},
          {.kind = "adam", .lr = 0.01},
          {.kind = "sgd", .lr = 0.5, .clip_norm = 0.05},
          {.kind = "momentum", .lr = 0.05, .clip_value = 0.01}};
}

/// To the bit one learner that takes the mean of both halves' gradients, and to float64's rounding
/// one that takes the whole batch, which sums its rows in another order.
TEST(ProofExchange, AveragedGradientsAreThoseOfTheWholeBatch) {
  for (const OptimizerSettings& settings : optimizers()) {
    const std::string what = settings.kind + (settings.clip_norm > 0    ? " clip-norm"
                                              : settings.clip_value > 0 ? " clip-value"
                                                                        : "");
    Meeting meeting;
    std::vector<Graph> nets;
    nets.push_back(exchange_net());
    nets.push_back(exchange_net());
    std::vector<double> factors[2];
    std::vector<std::string> groups[2];
    together([&](size_t who) {
      const auto exchange = std::make_shared<AveragedGradients>(meeting, who);
      OwnUpdater updater(settings);
      updater.set_exchange(exchange, nets[who].traits());
      updater.set_in_place(true);  // which an exchange turns off
      updater.bind(nets[who].params());
      for (int64_t t = 0; t < kSteps; ++t) {
        send(nets[who], half_batch(t, who), updater);
        updater.apply();
        factors[who].push_back(updater.facts().clip_factor);
      }
      groups[who] = exchange->groups;
    });
    at::NoGradGuard no_grad;
    EXPECT_EQ(groups[0], std::vector<std::string>(kSteps, "weights"));
    expect_values(nets[0], nets[1], 0, what + ": both learners");
    Graph summed = exchange_net(), whole = exchange_net();
    OwnUpdater by_hand(settings), at_once(settings);
    by_hand.bind(summed.params());
    at_once.bind(whole.params());
    for (int64_t t = 0; t < kSteps; ++t) {
      Gradients half[2];
      for (size_t who = 0; who < 2; ++who) send(summed, half_batch(t, who), half[who]);
      for (const ParamPtr& param : summed.params())
        by_hand.take(
            ParamSignal{param.get(), (half[0].of_param(*param) + half[1].of_param(*param)) * 0.5});
      by_hand.apply();
      EXPECT_EQ(by_hand.facts().clip_factor, factors[0][static_cast<size_t>(t)]) << what;
      send(whole, whole_batch(t), at_once);
      at_once.apply();
    }
    if (settings.clip_norm > 0) {
      EXPECT_LT(factors[0][0], 1) << "the bound is felt";
    }
    expect_values(nets[0], summed, 0, what + ": by hand");
    expect_values(nets[0], whole, 1e-13, what + ": whole batch");
    expect_values(exchange_net(), whole, 1, what);
    EXPECT_GT(
        (exchange_net().params()[0]->value - whole.params()[0]->value).abs().max().item<double>(),
        1e-3);
  }
}

TEST(ProofExchange, LocalStepsAndAveragedValuesAreFederatedAveraging) {
  for (const OptimizerSettings& settings : optimizers()) {
    Meeting meeting;
    std::vector<Graph> nets;
    nets.push_back(exchange_net());
    nets.push_back(exchange_net());
    together([&](size_t who) {
      OwnUpdater updater(settings);
      updater.set_exchange(std::make_shared<AveragedValues>(meeting, who), nets[who].traits());
      updater.bind(nets[who].params());
      for (int64_t t = 0; t < kSteps; ++t) {
        send(nets[who], half_batch(t, who), updater);
        updater.apply();
      }
    });
    at::NoGradGuard no_grad;
    std::vector<Graph> alone;
    std::vector<std::unique_ptr<OwnUpdater>> updaters;
    for (size_t who = 0; who < 2; ++who) {
      alone.push_back(exchange_net());
      updaters.push_back(std::make_unique<OwnUpdater>(settings));
      updaters[who]->bind(alone[who].params());
    }
    for (int64_t t = 0; t < kSteps; ++t) {
      for (size_t who = 0; who < 2; ++who) {
        send(alone[who], half_batch(t, who), *updaters[who]);
        updaters[who]->apply();
      }
      if (t % 3 != 2) continue;
      for (size_t i = 0; i < alone[0].params().size(); ++i) {
        Tensor &a = alone[0].params()[i]->value, &b = alone[1].params()[i]->value;
        const Tensor mean = (a + b) * 0.5;
        a.copy_(mean);
        b.copy_(mean);
      }
    }
    for (size_t who = 0; who < 2; ++who) expect_values(nets[who], alone[who], 0, settings.kind);
    EXPECT_FALSE(nets[0].params()[0]->value.equal(nets[1].params()[0]->value))
        << "one step after the last meeting";
  }
}

/// What a direction makes of the own samples is exchanged, so that values stay equal although the
/// directions' memories are not.
TEST(ProofExchange, DirectionsAreExchangedAsTheyAreFinished) {
  Meeting meeting;
  std::vector<Graph> nets;
  nets.push_back(exchange_net());
  nets.push_back(exchange_net());
  TensorMap memories[2];
  together([&](size_t who) {
    OwnUpdater updater({.kind = "momentum", .lr = 0.1});
    updater.set_direction(make_direction("recursive-least-squares"));
    updater.set_exchange(std::make_shared<AveragedGradients>(meeting, who), nets[who].traits());
    updater.bind(nets[who].params());
    for (int64_t t = 0; t < kSteps; ++t) {
      send(nets[who], half_batch(t, who), updater);
      updater.apply();
    }
    updater.state(StateIO::saving(memories[who]));
  });
  expect_values(nets[0], nets[1], 0, "both learners");
  const std::string p = "direction." + nets[0].params()[0]->name + ".p";
  EXPECT_FALSE(memories[0].at(p).equal(memories[1].at(p)));
}

TEST(ProofExchange, CoupledSamplesAreRefused) {
  Meeting meeting;
  const auto bind = [&](const Graph& net, bool exchanges) {
    OwnUpdater updater({.kind = "sgd"});
    if (exchanges)
      updater.set_exchange(std::make_shared<AveragedGradients>(meeting, 0), net.traits());
    updater.bind(net.params());
  };
  const auto refused = [&](const Graph& net) {
    bind(net, false);
    try {
      bind(net, true);
      ADD_FAILURE() << "nothing was refused";
    } catch (const Refusal& refusal) {
      EXPECT_NE(std::string(refusal.what()).find("depend on each other"), std::string::npos)
          << refusal.what();
      EXPECT_FALSE(refusal.instead.empty());
    }
  };
  const auto text = [](const char* of) {
    return network(of, {.input_shape = {2, 6, 6}, .classes = 3});
  };
  refused(text("chain: conv 3 k=3, batch-norm, relu, linear *"));
  bind(text("chain: conv 3 k=3, relu, linear *"), true);

  // An operation of which the library knows nothing but what it is told, or what it has tried.
  const auto around = [](const OpPtr& op) {
    Graph net;
    net.output(net.add(linear(2), {net.add(op, {net.add(linear(5), {net.input({{4}})})})}));
    return net;
  };
  const auto box = [](const char* call) { return aten_box({.program = call}); };
  refused(around(box(R"([{"op": "aten::batch_norm", "overload": "",
                          "args": [{"v": 0}, null, null, null, null, true, 0.1, 1e-5, false]}])")));
  bind(around(box(R"([{"op": "aten::tanh", "overload": "", "args": [{"v": 0}]}])")), true);
  const auto inner = [] {
    return torch::nn::Sequential(torch::nn::Linear(5, 5), torch::nn::BatchNorm1d(5));
  };
  refused(around(module(inner())));
  bind(around(module(torch::nn::Sequential(torch::nn::Linear(5, 5)), Samples::Apart)), true);
  const auto centred = [](auto x) { return x[0] - x[0].mean(0, true); };
  refused(around(autograd_op("own", centred)));
  const auto slope = [](const Tensor&, const Tensor& x, auto) { return -x; };
  refused(around(ode::block(ode::function({.value = slope}, {5}), {.sizes = {.steps = 2}})));
  bind(around(ode::block(ode::function({.value = slope, .samples = Samples::Apart}, {5}),
                         {.sizes = {.steps = 2}})),
       true);
}

TEST(ProofExchange, NothingIsUpdatedInPlaceNorAloneUnderIt) {
  Meeting meeting;
  Graph net = exchange_net();
  OwnUpdater updater({.kind = "sgd"});
  updater.set_in_place(true);
  updater.set_gathered(false);
  updater.set_exchange(std::make_shared<Exchange>(), net.traits());
  updater.bind(net.params());
  EXPECT_NE(updater.slot(*net.params()[0])->into.data_ptr(), net.params()[0]->value.data_ptr());
  EXPECT_THROW(updater.apply_to(*net.node(1).op), Error);
}

}  // namespace
}  // namespace altprop::proof

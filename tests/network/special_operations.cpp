#include "network/special_operations.h"

#include <ATen/ops/convolution.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/build/words.h"
#include "altprop/network/gradients.h"
#include "altprop/network/loss.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/autograd.h"
#include "altprop/network/ops/circular_pad.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/diagonal.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/group_norm.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/lstm.h"
#include "altprop/network/ops/move.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/pool.h"
#include "altprop/network/ops/scale.h"
#include "altprop/network/ops/sequence.h"
#include "altprop/network/ops/shape.h"
#include "altprop/network/ops/softmax_pool.h"
#include "altprop/weight_flow/ode_to_ode.h"
#include "spiking/special_spikes.h"

namespace altprop::test {

namespace {

Tensor conv(Values v, bool transposed, int64_t padding, int64_t groups = 1) {
  const std::vector<int64_t> one(static_cast<size_t>(v[0].dim() - 2), 1), pads(one.size(), padding),
      none(one.size(), 0);
  return at::convolution(v[0], v[1], v[2], one, pads, one, transposed, none, groups);
}

Tensor softmax_pooled(const Tensor& x, int64_t k, double temperature) {
  const Tensor windows =
      x.unflatten(3, {-1, k}).unflatten(2, {-1, k}).permute({0, 1, 2, 4, 3, 5}).flatten(4);
  return (at::softmax(windows / temperature, -1) * windows).sum(-1);
}

std::vector<Tensor> four(const Tensor& gates) { return gates.chunk(4, 1); }

Tensor lstm_gates_of(const Tensor& sum) {
  const std::vector<Tensor> g = four(sum);
  return at::cat({g[0].sigmoid(), g[1].sigmoid(), g[2].tanh(), g[3].sigmoid()}, 1);
}

Tensor of_activation(const std::string& name, const Tensor& x) {
  if (name == "relu") return x.relu();
  if (name == "leaky-relu") return at::leaky_relu(x, 0.01);
  if (name == "elu") return at::elu(x);
  if (name == "tanh") return x.tanh();
  if (name == "sigmoid") return x.sigmoid();
  if (name == "shifted-sigmoid") return (4 * (x - 0.5)).sigmoid();
  if (name == "hard-sigmoid") return at::hardtanh(x, 0, 1);
  if (name == "half-hard-sigmoid") return at::hardtanh(x / 2, 0, 1);
  if (name == "centred-hard-sigmoid") return at::hardtanh(x, -0.5, 0.5);
  if (name == "dsilu") return x / 2 * x.sigmoid() + (1 - x / 2) * (x - 2).sigmoid();
  if (name == "softplus") return at::softplus(x);
  if (name == "gelu") return at::gelu(x);
  if (name == "silu") return at::silu(x);
  if (name == "hardswish") return at::hardswish(x);
  if (name == "relu6") return at::hardtanh(x, 0, 6);
  if (name == "identity") return x;
  throw Error("no composition is known for activation " + name);
}

}  // namespace

std::vector<Special> all_operations() {
  const auto op = [](auto make, auto... args) {
    return std::function<OpPtr()>([=] { return make(args...); });
  };
  std::vector<Special> out;
  for (const auto& [b, in, n] :
       std::vector<std::array<int64_t, 3>>{{3, 5, 7}, {8, 16, 32}, {33, 40, 65}})
    out.push_back({text::cat("linear", n),
                   {"linear"},
                   [n = n] { return linear(n); },
                   {{b, in}},
                   [](Values v) { return at::linear(v[0], v[1], v[2]); }});
  out.push_back({"linear_of_steps",
                 {},
                 [] { return linear(7); },
                 {{2, 3, 5}},
                 [](Values v) { return at::linear(v[0], v[1], v[2]); }});
  for (const auto& [channels, size] : std::vector<std::array<int64_t, 2>>{{3, 5}, {16, 8}})
    out.push_back({text::cat("conv", channels),
                   {"conv"},
                   [] { return conv2d({.out = 16, .kernel = 3, .padding = 1}); },
                   {{2, channels, size, size}},
                   [](Values v) { return conv(v, false, 1); }});
  out.push_back({"conv_grouped",
                 {},
                 [] { return conv2d({.out = 4, .kernel = 3, .groups = 2}); },
                 {{2, 4, 5, 5}},
                 [](Values v) { return conv(v, false, 0, 2); }});
  out.push_back({"conv1d",
                 {"conv1d"},
                 [] { return conv1d({.out = 4, .kernel = 3}); },
                 {{2, 3, 7}},
                 [](Values v) { return conv(v, false, 0); }});
  out.push_back({"conv_transpose",
                 {"conv-transpose"},
                 [] { return conv_transpose2d({.out = 4, .kernel = 3}); },
                 {{2, 3, 4, 4}},
                 [](Values v) { return conv(v, true, 0); }});
  out.push_back({"diagonal", {"diagonal"}, op(diagonal, true), {{3, 5}}, [](Values v) {
                   return v[0] * v[1] + v[2];
                 }});
  for (const std::string& name : Activation::names())
    out.push_back({.name = "activation_" + name,
                   .words = {name},
                   .make = op(activation, name),
                   .shapes = {{3, 17}},
                   .library = [name](Values v) { return of_activation(name, v[0]); },
                   .in_terms = name == "dsilu"});
  out.push_back({"maxpool", {"maxpool"}, op(max_pool2d, 2, 2, 0), {{2, 3, 4, 6}}, [](Values v) {
                   return at::max_pool2d(v[0], {2, 2}, {2, 2});
                 }});
  out.push_back({"maxpool_overlapping", {}, op(max_pool2d, 3, 1, 1), {{2, 3, 4, 5}}, [](Values v) {
                   return at::max_pool2d(v[0], {3, 3}, {1, 1}, {1, 1});
                 }});
  out.push_back({"maxpool1d", {"maxpool1d"}, op(max_pool1d, 2, 2, 0), {{2, 3, 6}}, [](Values v) {
                   return at::max_pool1d(v[0], {2}, {2});
                 }});
  out.push_back({"avgpool", {"avgpool"}, op(average_pool2d, 2, 2, 0), {{2, 3, 4, 6}}, [](Values v) {
                   return at::avg_pool2d(v[0], {2, 2}, {2, 2});
                 }});
  out.push_back(
      {"avgpool1d", {"avgpool1d"}, op(average_pool1d, 2, 2, 0), {{2, 3, 6}}, [](Values v) {
         return at::avg_pool1d(v[0], {2}, {2});
       }});
  out.push_back({.name = "softmaxpool",
                 .words = {"softmaxpool"},
                 .make = op(softmax_pool2d, 2, 0.5),
                 .shapes = {{2, 3, 4, 16}},
                 .library = [](Values v) { return softmax_pooled(v[0], 2, 0.5); },
                 .in_terms = true});
  out.push_back({"gap", {"gap"}, op(global_average_pool), {{2, 3, 4, 5}}, [](Values v) {
                   return v[0].flatten(2).mean(2);
                 }});
  out.push_back(
      {"flatten", {"flatten"}, op(flatten), {{2, 3, 4}}, [](Values v) { return v[0].flatten(1); }});
  out.push_back({"reshape",
                 {"reshape"},
                 [] {
                   return reshape({4, 3});
                 },
                 {{2, 3, 4}},
                 [](Values v) {
                   return v[0].reshape({2, 4, 3});
                 }});
  out.push_back({"permute", {"permute"}, [] { return permute({2, 3, 1}); }, {{2, 3, 4, 5}}, [](Values v) {
                   return v[0].permute({0, 2, 3, 1});
                 }});
  out.push_back({"slice", {"slice"}, op(slice, 2, 1, 2, 2), {{2, 3, 5}}, [](Values v) {
                   return v[0].slice(2, 1, 4, 2);
                 }});
  out.push_back({"upsample_nearest",
                 {"upsample"},
                 op(upsample2d, 2, "nearest"),
                 {{2, 3, 3, 4}},
                 [](Values v) {
                   return at::upsample_nearest2d(v[0], {6, 8});
                 }});
  out.push_back(
      {"upsample_bilinear", {}, op(upsample2d, 2, "bilinear"), {{2, 3, 3, 4}}, [](Values v) {
         return at::upsample_bilinear2d(v[0], {6, 8}, false);
       }});
  out.push_back({"shortcut", {"shortcut-a"}, op(shortcut_a, 2, 5), {{2, 3, 4, 4}}, [](Values v) {
                   const Tensor some = v[0].slice(2, 0, 4, 2).slice(3, 0, 4, 2);
                   return at::constant_pad_nd(some, {0, 0, 0, 0, 1, 1});
                 }});
  out.push_back(
      {"scale", {"scale"}, op(scale, -0.5), {{3, 5}}, [](Values v) { return v[0] * -0.5; }});
  out.push_back({"add", {"add"}, op(add, 3), {{3, 5}, {3, 5}, {3, 5}}, [](Values v) {
                   return v[0] + v[1] + v[2];
                 }});
  out.push_back({"multiply", {"multiply"}, op(multiply), {{3, 5}, {3, 5}}, [](Values v) {
                   return v[0] * v[1];
                 }});
  out.push_back({"concat", {"concat"}, op(concat, 2, 1), {{3, 5}, {3, 2}}, [](Values v) {
                   return at::cat({v[0], v[1]}, 1);
                 }});
  out.push_back({"stack", {}, op(stack, 2), {{3, 5}, {3, 5}}, [](Values v) {
                   return at::stack({v[0], v[1]}, 1);
                 }});
  out.push_back(
      {"step", {}, op(take_step, 1), {{3, 4, 5}}, [](Values v) { return v[0].select(1, 1); }});
  const Tensor tokens = at::tensor({1, 2, -1, 0, -1, -1}, at::kLong).view({2, 3});
  out.push_back({"last_step",
                 {},
                 op(last_step, 3),
                 {{2, 4}, {2, 4}, {2, 4}},
                 [](Values v) {
                   return at::stack({v[2][0], v[1][1]});
                 },
                 Mode::Eval,
                 {tokens}});
  const Tensor some = at::tensor({1, 2, 2, 0, 1, 1}, at::kLong).view({2, 3});
  out.push_back({"embedding",
                 {"embedding"},
                 op(embedding, 3, 8, -1),
                 {},
                 [](Values v) { return at::embedding(v[1], v[0]); },
                 Mode::Eval,
                 {some}});
  const auto normed = [](Values v, bool train) {
    return std::get<0>(at::native_batch_norm(v[0], v[1], v[2], at::zeros_like(v[1].detach()),
                                             at::ones_like(v[1].detach()), train, 0.1, 1e-5));
  };
  for (const bool train : {false, true})
    out.push_back({train ? "batch_norm_train" : "batch_norm",
                   {"batch-norm"},
                   op(batch_norm, 1e-5, 0.1),
                   {{4, 3, 2, 2}},
                   [=](Values v) { return normed(v, train); },
                   train ? Mode::Train : Mode::Eval});
  for (const bool all : {false, true})
    out.push_back({all ? "layer_norm_all" : "layer_norm",
                   {"layer-norm"},
                   op(layer_norm, 1e-5, all),
                   {{2, 3, 4}},
                   [](Values v) {
                     return std::get<0>(
                         at::native_layer_norm(v[0], v[1].sizes(), v[1], v[2], 1e-5));
                   }});
  const auto mask = [](Values v) {
    return dynamic_cast<const Dropout&>(*dropout(0.5))
        .mask(Stream(5), RowIds{{}, 0}, v[0].sizes(), v[0].options().requires_grad(false));
  };
  out.push_back({"dropout",
                 {"dropout"},
                 op(dropout, 0.5),
                 {{3, 17}},
                 [=](Values v) { return v[0] * mask(v); },
                 Mode::Train});
  out.push_back({"lstm_gates", {}, op(lstm_gates, 2), {{3, 32}, {3, 32}}, [](Values v) {
                   return lstm_gates_of(v[0] + v[1]);
                 }});
  out.push_back({"lstm_cell", {}, op(lstm_cell, 2), {{3, 32}, {3, 8}}, [](Values v) {
                   const std::vector<Tensor> g = four(v[0]);
                   return g[0] * g[2] + g[1] * v[1];
                 }});
  out.push_back({"lstm_output", {}, op(lstm_output), {{3, 32}, {3, 8}}, [](Values v) {
                   return four(v[0])[3] * v[1].tanh();
                 }});
  out.push_back(
      {"graph",
       {},
       [] {
         auto net = std::make_shared<Graph>();
         const int x = net->input({{5}});
         const int h = net->add(relu(), {net->add(linear(8), {x}, "a")});
         net->output(net->add(linear(4), {h}, "b"));
         return net;
       },
       {{3, 5}},
       [](Values v) { return at::linear(at::linear(v[0], v[1], v[2]).relu(), v[3], v[4]); }});
  out.push_back({"ode_to_ode",
                 {"ode-to-ode"},
                 [] { return weight_flow::ode_to_ode({.flow = "constant", .steps = 2}); },
                 {{3, 5}},
                 [](Values v) {
                   const Tensor half = v[0] + 0.5 * at::mm(v[0], v[1].t()).relu();
                   return half + 0.5 * at::mm(half, v[1].t()).relu();
                 }});
  out.push_back({.name = "group_norm",
                 .words = {"group-norm"},
                 .make = op(group_norm, 2, 1e-5),
                 .shapes = {{3, 4, 2, 3}},
                 .library =
                     [](Values v) {
                       return std::get<0>(
                           at::native_group_norm(v[0], v[1], v[2], 3, 4, 6, 2, 1e-5));
                     },
                 .in_terms = true});
  out.push_back(
      {"circular_pad", {"circular-pad"}, op(circular_pad, 1), {{2, 3, 4, 5}}, [](Values v) {
         return at::pad(v[0], {1, 1, 1, 1}, "circular");
       }});
  for (const auto& some : {ode_operations(), core_operations(), transformer_operations(), special_spikes()})
    out.insert(out.end(), some.begin(), some.end());
  return out;
}

}  // namespace altprop::test

#include "altprop/network/builder.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/pool.h"
#include "altprop/network/ops/shape.h"

namespace altprop {

namespace {

/// How nodes of a kind of operation are called: "conv1", "fc2".
std::string stem_of(const std::string& type) {
  static const std::map<std::string, std::string> stems = {
      {"linear", "fc"},
      {"conv2d", "conv"},
      {"conv1d", "conv"},
      {"conv_transpose2d", "deconv"},
      {"max_pool2d", "pool"},
      {"average_pool2d", "pool"},
      {"global_average_pool", "gap"},
      {"batch_norm", "norm"},
      {"layer_norm", "norm"},
      {"upsample2d", "upsample"},
      {"shortcut_a", "shortcut"},
  };
  const auto found = stems.find(type);
  return found == stems.end() ? type : found->second;
}

double features(const std::vector<int64_t>& shape) {
  double n = 1;
  for (int64_t extent : shape) n *= static_cast<double>(extent);
  return n;
}

}  // namespace

double conv_weights(const ConvSettings& s, const std::vector<int64_t>& in) {
  const double channels = in.empty() ? 1 : static_cast<double>(in[0]);
  const double width = static_cast<double>(s.kernel_w > 0 ? s.kernel_w : s.kernel);
  return static_cast<double>(s.out) * channels /
         static_cast<double>(std::max<int64_t>(s.groups, 1)) * static_cast<double>(s.kernel) *
         width;
}

double linear_weights(int64_t out, const std::vector<int64_t>& in) {
  return static_cast<double>(out) * (in.empty() ? 1 : static_cast<double>(in.back()));
}

Builder::Builder(std::vector<int64_t> input_shape, const SizeLimits& limits, Dtype input_dtype)
    : limits_(limits) {
  here_ = input(std::move(input_shape), "", input_dtype);
}

Builder Builder::without_input(const SizeLimits& limits) {
  Builder builder;
  builder.limits_ = limits;
  return builder;
}

int Builder::input(std::vector<int64_t> shape, std::string name, Dtype dtype) {
  const bool positive =
      std::all_of(shape.begin(), shape.end(), [](int64_t extent) { return extent > 0; });
  if (shape.empty() || !positive || features(shape) > static_cast<double>(limits_.values))
    throw Refusal(
        "network", text::cat("an input of shape ", shape_text(shape), " is not possible"),
        text::cat("all extents must be positive and their product at most ", limits_.values));
  here_ = graph_.input({.shape = std::move(shape), .dtype = dtype}, std::move(name));
  return here_;
}

std::string Builder::free_name(const Op& op) {
  const std::string stem = stem_of(op.type());
  while (true) {
    const int number = ++count_[stem];
    // What mostly occurs once needs no number.
    const bool bare = number == 1 && (stem == "flatten" || stem == "gap" || stem == "shortcut");
    std::string name = scope_ + stem + (bare ? "" : std::to_string(number));
    const bool taken = std::any_of(graph_.nodes().begin(), graph_.nodes().end(),
                                   [&](const Node& node) { return node.name == name; });
    if (!taken) return name;
  }
}

int Builder::add(OpPtr op, std::vector<int> inputs, std::string name, double weights) {
  if (name.empty()) name = free_name(*op);
  if (static_cast<int64_t>(graph_.nodes().size()) >= limits_.operations)
    throw Refusal("node '" + name + "'", text::cat("the network would have more than ",
                                                   limits_.operations, " operations"));
  weights_ += weights;
  if (weights_ > static_cast<double>(limits_.parameters))
    throw Refusal("node '" + name + "'",
                  text::cat("the network would have ", text::from_number(weights_),
                            " parameters, more than the limit of ", limits_.parameters),
                  "make its layers smaller");
  const int node = graph_.add(std::move(op), std::move(inputs), name);
  const std::vector<int64_t>& shape = graph_.node(node).spec.shape;
  if (features(shape) > static_cast<double>(limits_.values))
    throw Refusal("node '" + name + "'",
                  text::cat("its output of shape ", shape_text(shape),
                            " has more values per sample than the limit of ", limits_.values),
                  "make the layer smaller");
  return node;
}

Builder& Builder::join(OpPtr op, std::vector<int> places, std::string name) {
  here_ = add(std::move(op), std::move(places), std::move(name));
  return *this;
}

Builder& Builder::scope(std::string prefix) {
  scope_ = std::move(prefix);
  count_.clear();
  return *this;
}

Builder& Builder::from(int place) {
  here_ = place;
  return *this;
}

Builder& Builder::conv(int64_t out, ConvSettings settings) {
  settings.out = out;
  here_ = add(conv2d(settings), {here_}, "", conv_weights(settings, shape()));
  return *this;
}

Builder& Builder::linear(int64_t out, bool bias, std::string name) {
  if (shape().size() == 3) flatten();
  here_ = add(altprop::linear(out, bias), {here_}, std::move(name), linear_weights(out, shape()));
  return *this;
}

Builder& Builder::activation(const std::string& name) { return then(altprop::activation(name)); }

Builder& Builder::max_pool(int64_t kernel, int64_t stride, int64_t padding) {
  return then(max_pool2d(kernel, stride, padding));
}

Builder& Builder::average_pool(int64_t kernel, int64_t stride, int64_t padding) {
  return then(average_pool2d(kernel, stride, padding));
}

Builder& Builder::global_average_pool() { return then(altprop::global_average_pool()); }
Builder& Builder::flatten() { return then(altprop::flatten()); }
Builder& Builder::batch_norm() { return then(altprop::batch_norm()); }
Builder& Builder::layer_norm() { return then(altprop::layer_norm()); }
Builder& Builder::dropout(double p) { return then(altprop::dropout(p)); }

Graph Builder::finish() {
  if (graph_.output_nodes().empty()) graph_.output(here_);
  return std::move(graph_);
}

}  // namespace altprop

// A network written layer by layer; the architectures and the text grammar are built on it.
//
//   Graph net = Builder({1, 28, 28}).conv(32).relu().max_pool(2).linear(10).finish();
//
// A skip connection: remember a place, go on, join.
//
//   Builder b({16, 8, 8});
//   int before = b.here();
//   b.conv(16, {.kernel = 3, .padding = 1}).relu();
//   b.join(add(2), {b.here(), before});
#pragma once

#include <map>
#include <string>
#include <vector>

#include "altprop/network/graph.h"
#include "altprop/network/ops/conv.h"

namespace altprop {

/// Sizes beyond which a network is taken for a typing error, and refused before memory is
/// allocated.
struct SizeLimits {
  int64_t parameters = 500'000'000;
  int64_t values = int64_t{1} << 28;  ///< of one operation's output for one sample
  int64_t operations = 10'000;
};

class Builder {
 public:
  /// @throws Refusal if the shape is empty or not positive
  explicit Builder(std::vector<int64_t> input_shape, const SizeLimits& limits = {},
                   Dtype input_dtype = Dtype::Float);
  /// Without an input yet; see input().
  static Builder without_input(const SizeLimits& limits);

  // Layers behind the current place. Each becomes the current place.
  Builder& conv(int64_t out, ConvSettings settings = {});
  /// A flatten is put in front if the input is an image.
  Builder& linear(int64_t out, bool bias = true, std::string name = "");
  Builder& activation(const std::string& name);
  Builder& relu() { return activation("relu"); }
  Builder& max_pool(int64_t kernel, int64_t stride = 0, int64_t padding = 0);
  Builder& average_pool(int64_t kernel, int64_t stride = 0, int64_t padding = 0);
  Builder& global_average_pool();
  Builder& flatten();
  Builder& batch_norm();
  Builder& layer_norm();
  Builder& dropout(double p);
  /// Any operation of one input.
  Builder& then(OpPtr op, std::string name = "") { return join(std::move(op), {here_}, name); }
  /// Any operation, of the values at these places.
  Builder& join(OpPtr op, std::vector<int> places, std::string name = "");

  /// Prefix of the names that follow: "block2."; numbering starts anew.
  Builder& scope(std::string prefix);
  int here() const { return here_; }
  Builder& from(int place);
  const std::vector<int64_t>& shape() const { return graph_.node(here_).spec.shape; }

  /// The network, with the current place as output unless outputs were marked.
  Graph finish();

  // What the functions above are made of.
  int input(std::vector<int64_t> shape, std::string name = "", Dtype dtype = Dtype::Float);
  /// @param weights number of parameters that the operation will allocate, if it is more than a few
  /// per channel
  int add(OpPtr op, std::vector<int> inputs, std::string name = "", double weights = 0);
  Graph& graph() { return graph_; }
  const SizeLimits& limits() const { return limits_; }

 private:
  Builder() = default;
  std::string free_name(const Op& op);

  Graph graph_;
  SizeLimits limits_;
  std::string scope_;
  std::map<std::string, int> count_;  ///< per stem, in this scope
  double weights_ = 0;
  int here_ = -1;
};

/// Number of weights of a convolution or linear operation on inputs of that shape; an upper bound
/// that cannot overflow.
double conv_weights(const ConvSettings& settings, const std::vector<int64_t>& in);
double linear_weights(int64_t out, const std::vector<int64_t>& in);

}  // namespace altprop

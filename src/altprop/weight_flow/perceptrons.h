// Several small perceptrons of one hidden layer, summed with a gate each:
//     y = sum_g a_g (B_g tanh(A_g x + b_g) + c_g)
// They see a matrix, the time, or both, and lie behind each other in memory, so that each layer of
// all of them is one product.
#pragma once

#include <string>
#include <vector>

#include "altprop/network/op.h"
#include "altprop/weight_flow/settings.h"

namespace altprop::weight_flow {

class Perceptrons {
 public:
  struct Kept {
    Tensor x;       ///< [inputs]
    Tensor hidden;  ///< [gates * width], behind tanh
  };

  explicit Perceptrons(const Settings& settings)
      : count_(settings.gates), width_(settings.width), sees_(settings.sees) {}
  /// @param outputs of each
  void build(int64_t d, int64_t outputs);
  std::vector<ParamPtr> params() const { return {in_, in_bias_, out_, out_bias_, gates_}; }

  /// @returns [outputs]
  Tensor run(double t, const Tensor& w, Kept& kept) const;
  /// A reverse pass over several evaluations, whose outer products are summed at its end.
  class Pull {
   public:
    explicit Pull(const Perceptrons& of) : of_(of) {}
    /// @param w_gradient added to
    void through(const Kept& kept, const Tensor& cotangent, Tensor& w_gradient);
    /// In the order of params().
    std::vector<Tensor> gradients() const;

   private:
    const Perceptrons& of_;
    std::vector<Tensor> x_, hidden_, before_, behind_, cotangents_;  ///< of each evaluation
  };

  Tensor push(const Kept& kept, const Tensor& dw, const ParamTangents& of) const;
  int64_t multiply_adds() const;

 private:
  bool sees_weights() const { return sees_ != "time"; }
  bool sees_time() const { return sees_ != "weights"; }
  Tensor gate_of_each() const;  ///< [gates * width]: each gate for each of its hidden units

  int64_t count_, width_;
  std::string sees_;
  ParamPtr in_, in_bias_;    ///< [gates * width, inputs], [gates * width]
  ParamPtr out_, out_bias_;  ///< [outputs, gates * width], [outputs, gates]
  ParamPtr gates_;           ///< [gates]
};

}  // namespace altprop::weight_flow

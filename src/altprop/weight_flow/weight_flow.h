// Weight matrices that change along the depth of a network: W(t), t in [0, T], of which a state's
// steps read some. Kinds of flow are orthogonal to what flows through them (ode_to_ode.h).
#pragma once

#include <any>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "altprop/network/op.h"
#include "altprop/weight_flow/settings.h"

namespace altprop::weight_flow {

/// Equal steps from 0 to `end`, of Euler's method, or of the midpoint method.
struct Grid {
  int64_t steps = 25;
  double end = 1;
  bool midpoint = false;

  double h() const { return end / static_cast<double>(steps); }
  /// How many matrices the state's steps read: at 0, h, 2h, ...; midpoint: at 0, h/2, h, 3h/2, ...
  int64_t reads() const { return midpoint ? 2 * steps : steps; }
  double time(int64_t read) const {
    return midpoint ? static_cast<double>(read) * h() / 2 : static_cast<double>(read) * h();
  }
};

/// One pass of a flow.
struct Trajectory {
  std::vector<Tensor> read;  ///< [d, d] each, in the order of Grid::time
  std::any kept;             ///< the flow's own, for its derivatives
};

class WeightFlow {
 public:
  virtual ~WeightFlow() = default;
  /// True if every matrix is orthogonal to rounding.
  virtual bool orthogonal() const { return false; }

  /// Allocates parameters for matrices [d, d]; the scheme that each is drawn by is its own
  /// (Param::init).
  virtual void build(int64_t d, const Grid& grid) = 0;
  virtual std::vector<ParamPtr> params() const = 0;
  virtual Trajectory run(const Grid& grid) const = 0;
  /// Gradients of the parameters, in the order of params(), from those of the matrices that were
  /// read.
  virtual std::vector<Tensor> pull(const Trajectory& trajectory, const Grid& grid,
                                   std::span<const Tensor> read) const = 0;
  /// Tangents of the matrices that are read, from those of the parameters (undefined: does not
  /// move).
  virtual std::vector<Tensor> push(const Trajectory& trajectory, const Grid& grid,
                                   const ParamTangents& of) const = 0;
  /// What a pass shows to be a setting that will disappoint; "" for nothing.
  virtual std::string notice(const Trajectory& trajectory) const { return ""; }
  /// Multiply-adds of one pass.
  virtual int64_t multiply_adds(const Grid& grid) const = 0;
};

/// A gradient for each parameter, zero.
std::vector<Tensor> zero_gradients(const std::vector<ParamPtr>& params);

/// "iso", "gated", "basis", "free", "constant".
std::vector<std::string> flow_names();
/// @throws UsageError naming those that there are
std::shared_ptr<WeightFlow> make_flow(const Settings& settings);

}  // namespace altprop::weight_flow

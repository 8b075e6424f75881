// What a value on an edge of a network is: its shape, what its numbers mean, how they are stored
// and whether every sample has its own; and what an operation takes of that.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop {

/// What the numbers on an edge mean; an operation refuses what it was not made for. A SpikeTime of
/// +inf is a unit that never fires.
enum class Kind { Real, SpikeTime, Probability };

/// How they are stored. Float: the network's floating-point type, float32 or float64; the others
/// have no derivative, so that no credit and no tangent reaches them.
enum class Dtype { Float, Int64, Bool };

/// One value on an edge.
struct Spec {
  std::vector<int64_t> shape;  ///< WITHOUT the batch dimension
  Kind kind = Kind::Real;
  Dtype dtype = Dtype::Float;
  /// False: one value for the whole batch, a tensor of this very shape (a time, a step size, a
  /// shared table). Inputs of a graph may be so; what operations make has a batch dimension.
  bool batched = true;

  int64_t numel() const;
  bool differentiable() const { return dtype == Dtype::Float; }
  bool operator==(const Spec&) const = default;
};

/// "real values", "spike times", "probabilities"; of other types than Float "integers", "truth
/// values".
std::string values_text(const Spec& spec);
/// What is not as it mostly is, each behind a blank: " int64", " spike times", " for the batch";
/// "" for real numbers of every sample.
std::string unusual_text(const Spec& spec);

/// The tensor may hold such values: floating-point numbers, any integers, or truth values.
bool stores(const Tensor& value, Dtype dtype);
Dtype dtype_of(const Tensor& value);

/// True if all numbers are such as an edge of this kind may carry: finite, or +inf where that is a
/// unit that never fires. NaN and -inf are never legal.
bool legal(const Tensor& value, Kind kind);

/// Both ends belong to it; they may be infinite.
struct Interval {
  double low, high;
  bool operator==(const Interval&) const = default;
};

/// What an operation takes at one of its inputs: real numbers of the network's type, one value for
/// each sample, unless it says otherwise.
struct Takes {
  std::vector<Kind> kinds = {Kind::Real};
  std::vector<Dtype> dtypes = {Dtype::Float};
  bool unbatched = false;  ///< also one value for the whole batch
  /// Where all numbers have to lie: data are asked for it before a run, others when they come.
  std::optional<Interval> within = {};
  /// What to do where something else comes, a clause; "": what follows from the above.
  std::string instead = "";
  /// The same where spike times come, which most operations have no meaning for.
  std::string instead_of_times = "";

  /// For operations that only move numbers about.
  static Takes anything();
  static Takes integers() { return {.dtypes = {Dtype::Int64}}; }
  static Takes real_or_shared() {
    return {.unbatched = true,
            .instead_of_times =
                "spike times have no sum and no product: leave the skip connection "
                "out, or join by concat"};
  }
};

/// @param where   "node 'relu1'", which the sentence begins with
/// @param type    of the operation
/// @param giver   name of the node that the value comes from
/// @throws Refusal if the value is not what is taken
void expect_taken(const std::string& where, const std::string& type, const Takes& takes,
                  const Spec& value, const std::string& giver);

}  // namespace altprop

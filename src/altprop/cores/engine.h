// Runs drawn networks as the hardware does: spikes and sums of whole numbers, tick by tick.
//
//   I_j = sum_i x_i c_ij s_ij + b_j,   n_j = 1 if I_j > 0 (fire_on_zero: >= 0) else 0
//
// A neuron remembers nothing from tick to tick. All engines give the same spikes, bit for bit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "altprop/cores/mapping.h"
#include "altprop/cores/spikes.h"

namespace altprop::cores {

/// Up to 64 members of one mapping. Threads may share one for `run`.
class Engine {
 public:
  virtual ~Engine() = default;

  /// @param member a drawn one of the mapping that the engine was made for. @throws Error if it has
  /// not been drawn, or there are 64 already
  void add(const Mapping& member);
  int64_t members() const { return members_; }

  /// One tick.
  /// @param chance int32 [B, inputs], of a spike in units of 1/65536
  /// @param ids    int64 [B], numbers of the images, which draws go by
  /// @param key    spike_key
  /// @param counts int32 [members, B, classes], to which the spikes that are counted are added
  /// @param votes  null, or uint8 [members, B, votes]: these spikes one by one
  virtual void run(const Tensor& chance, const Tensor& ids, uint64_t key, Tensor& counts,
                   Tensor* votes = nullptr) const = 0;

 protected:
  virtual void take(const Mapping& member) = 0;

 private:
  int64_t members_ = 0;
};

/// Float: products of matrices of zeros and ones. Popcount: bits of 64 axons in a word, sorted by
/// type.
enum class EngineKind { Popcount, Float };

/// @param mapping validated; its connections and leaks are not looked at
std::unique_ptr<Engine> make_engine(EngineKind kind, const Mapping& mapping);

/// The spikes of drawn synapses and inputs of one image in the plainest way, one core after the
/// other: what engines are tested against. @param spikes of the inputs, one for each
/// @returns by vote 0 or 1
std::vector<int> run_plainly(const Mapping& drawn, const std::vector<int>& spikes);

}  // namespace altprop::cores

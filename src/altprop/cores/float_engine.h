// Drawn networks by products of matrices, a member at a time. Sums are whole numbers below 2^24, so
// that float32 has them exactly.
#pragma once

#include "altprop/cores/engine.h"
#include "altprop/cores/lines.h"

namespace altprop::cores {

class FloatEngine final : public Engine {
 public:
  explicit FloatEngine(const Mapping& mapping);
  void run(const Tensor& chance, const Tensor& ids, uint64_t key, Tensor& counts,
           Tensor* votes) const override;

 protected:
  void take(const Mapping& member) override;

 private:
  struct DrawnCore {
    Tensor synapses;  ///< float32 [neurons, axons], c s
    Tensor leaks;     ///< float32 [neurons]
  };

  Lines lines_;
  std::vector<Tensor> sources_;                ///< by core: lines of its axons, int64
  std::vector<std::vector<DrawnCore>> drawn_;  ///< by member and core
  Tensor votes_;                               ///< lines that are counted, int64
  Tensor of_class_;                            ///< float32 [votes, classes], one-hot
  bool fire_on_zero_;
};

}  // namespace altprop::cores

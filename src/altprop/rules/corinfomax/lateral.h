// The lateral matrices of CorInfoMax: B of a layer follows the inverse of the layer's correlation
// matrix R <- lambda R + (1 - lambda) <s s^T>. Bozkurt, Pehlevan, Erdogan, NeurIPS 2023, arXiv
// 2306.04810, equation 19. With z = s B (rates as rows), gamma = (1 - lambda) / lambda:
//
//   paper   B <- (B - gamma <z^T z>) / lambda: the inverse with its denominator left out
//   exact   B <- (B - z^T (n/gamma I + z s^T)^-1 z) / lambda: Woodbury's identity for the n samples
//           of a batch; of one sample Sherman and Morrison's, with the denominator 1 + gamma s B
//           s^T
#pragma once

#include "altprop/tensor/random.h"
#include "altprop/tensor/state_io.h"

namespace altprop {

class Lateral {
 public:
  struct Settings {
    double lambda = 0.99999;
    double gamma = -1;  ///< negative: (1 - lambda) / lambda
    bool exact = false;
    int64_t symmetrise_every = 1000;  ///< updates, 1/(1 - lambda) at most; 0: never

    double strength() const { return gamma >= 0 ? gamma : (1 - lambda) / lambda; }
  };

  Lateral() = default;
  /// B = X X^T with X uniform after Xavier, per layer, as in the authors' code. @param sizes of the
  /// layers that have one
  Lateral(const std::vector<int64_t>& sizes, Settings settings, const Stream& stream,
          const at::TensorOptions& options);

  /// @param rates per layer [n, size], of the nudged phase. @throws Diverged naming the layer (1 is
  /// the first hidden one) if its rates are not finite or its matrix has lost positive definiteness
  void update(const std::vector<Tensor>& rates);

  const std::vector<Tensor>& matrices() const { return b_; }
  const Settings& settings() const { return settings_; }
  /// Largest eigenvalue of a layer's matrix, by power iteration.
  double norm(size_t layer) const;
  void state(StateIO io);

 private:
  /// Says why a layer's matrix is lost. @throws Diverged
  [[noreturn]] void lose(size_t layer, const Tensor& rates) const;

  Settings settings_;
  std::vector<Tensor> b_;
  int64_t updates_ = 0;
};

}  // namespace altprop

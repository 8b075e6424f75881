// What a study of the two-layer network is asked for; one declaration serves flags and records.
#pragma once

#include "altprop/base/options.h"
#include "altprop/theory/cell.h"

namespace altprop::theory {

struct StudySettings {
  std::string psi = "linear", data = "auto", rule = "fa", width = "200", lambda = "0",
              form = "auto", dtype = "float64";
  double eta = 0;
  int64_t repetitions = 50, samples = 50, inputs = 150, steps = 0, lambda_cutoff = 0, seed = 1,
          threads = 0;

  void declare(Options& options);
  /// Replaces what stands for "as published" by its value. @throws UsageError, Refusal for what
  /// does not go together
  void complete();
  std::vector<int64_t> widths() const;
  std::vector<double> lambdas() const;
  CellSettings cell(int64_t width, double lambda) const;
  /// What all cells of a folder share, after complete().
  nlohmann::json shared() const;
};

}  // namespace altprop::theory

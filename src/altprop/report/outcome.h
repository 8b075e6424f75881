// What came of a run: its best and its last value of everything that was measured, and the layers
// whose gradient is worst.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "altprop/report/records.h"

namespace altprop::report {

/// One quantity over a run's epochs.
struct Measure {
  std::string name;   ///< of the record's field: "test_accuracy"
  bool more_is_better = false;
  bool share = false;  ///< written in percent
  double best = 0, last = 0;
  double best_epoch = 0;
  std::vector<std::pair<double, double>> points;  ///< epoch and value
};

/// Of training, validation and test data: accuracy, loss and the learner's own scores, as far as
/// they were recorded.
std::vector<Measure> measures(const Run& run);
std::optional<Measure> measure(const Run& run, const std::string& name);
/// What a run is judged by in lists: the best accuracy on the test data, at the epoch that is best
/// by the validation data where there are any; on the validation data, where nothing was tested.
/// NaN if there is none
double best_accuracy(const Run& run);
double best_loss(const Run& run);

struct LayerAngle {
  std::string name;
  double degrees = 0, ratio = 0;
};
/// Of the last epoch at which they were measured, the largest angle first; biases are left out
/// where there are weights.
std::vector<LayerAngle> worst_layers(const Run& run, size_t most);

/// Of what was asked for: "3/5"; "3" where that is not known.
std::string epochs_text(const Run& run);
/// Why the run is where it is, in a sentence.
std::string how_it_ended(const Run& run);

}  // namespace altprop::report

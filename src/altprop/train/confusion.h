// Which classes a trained network takes for which.
#pragma once

#include <nlohmann/json.hpp>

#include "altprop/train/experiment.h"

namespace altprop {

/// Of the test data, or the validation data where there are none, with the weights as they are:
/// `part`, `counts` (a row for each class that samples have, a column for each that they are taken
/// for) and `names` of the classes where they have any. Null where samples have no single class,
/// the classes are more than a hundred, or an output is not one class's.
nlohmann::json confusion_of(Experiment& experiment);

}  // namespace altprop

// How a run's settings read its data.
#pragma once

#include "altprop/data/loader.h"
#include "altprop/train/settings.h"

namespace altprop {

/// Shuffled and augmented as the settings say, from the run's stream.
data::LoaderOptions training_options(const RunSettings& settings, const Stream& stream);
/// In order, as they are, in large batches.
data::LoaderOptions evaluation_options(const RunSettings& settings);

}  // namespace altprop

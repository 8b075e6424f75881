// What a trained network says of samples, with or without known targets.
#pragma once

#include "altprop/data/dataset.h"
#include "altprop/spiking/convert.h"
#include "altprop/train/experiment.h"

namespace altprop {

/// A row for each sample or, where every step of a sequence has a class, for each step that has a
/// target. On the CPU.
struct Predictions {
  Tensor outputs;  ///< float64 [R, K], behind the loss's link: probabilities of classes, or values
  Tensor samples;  ///< int64 [R], numbers in the data set
  Tensor steps;    ///< int64 [R], from 1; undefined unless every step has a class
  Tensor classes;  ///< int64 [R], of the largest output; undefined for regression
  Tensor
      targets;    ///< int64 [R] class numbers or float64 [R, K]; undefined where they are not known
  Scores scores;  ///< none where targets are not known and the loss needs them
  std::vector<std::string> names;  ///< of the outputs, where they are no classes; empty: none

  int64_t size() const { return outputs.defined() ? outputs.size(0) : 0; }
};

/// @param data prepared as the experiment's own (data/new_samples.h)
/// @param instead the outputs are this network's, which takes the same inputs; null: the
/// experiment's own
/// @throws Error naming the sample if an output is no number, Refusal if the loss cannot mean the
/// targets
Predictions predict(Experiment& experiment, const data::Dataset& data,
                    const Graph* instead = nullptr);

/// The experiment's network of ReLUs as one of first spikes (spiking/convert.h), whose windows go
/// by the first thousand training samples. @throws Refusal, UsageError as convert_relu_network
spiking::Conversion as_spikes(Experiment& experiment);

}  // namespace altprop

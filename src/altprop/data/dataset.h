// A data set in memory: samples, what they should be mapped to, and how their values are
// normalised.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

class Labels;

/// Samples and targets, as they were stored. What a Loader delivers of channel c is
///     (inputs * scale - mean[c]) / stddev[c]
/// so that images stay uint8 in memory until they are needed. Copies share the tensors.
struct Dataset {
  std::string name;
  Tensor inputs;        ///< [N, ...sample shape], uint8 or floating, CPU; images are [N, C, H, W]
  Tensor targets;       ///< int64 [N], class ids; int64 [N, T], one a step, -1 where there is none;
                        ///< or floating [N, K], regression, [N, 0] where samples have none, so that
                        ///< a density is all to be learnt; undefined where they are not known, as
                        ///< of samples that a trained network is applied to
  int64_t classes = 0;  ///< number of classes; 0 for regression
  /// Above 0: samples are sequences of token numbers below it, int64 [N, T], -1 behind the end of a
  /// shorter one; they are delivered as they are.
  int64_t vocabulary = 0;
  double scale = 1;                      ///< 1/255 turns bytes into [0, 1]
  std::vector<double> mean, stddev;      ///< per channel, of the scaled inputs; empty: 0 and 1
  std::vector<std::string> class_names;  ///< empty, or one a class
  /// How labels in files become class ids; null: they are the ids.
  std::shared_ptr<const Labels> labels = nullptr;

  int64_t size() const { return inputs.defined() ? inputs.size(0) : 0; }
  bool empty() const { return size() == 0; }
  /// Targets are known.
  bool labelled() const { return targets.defined(); }
  /// There are none: what is known of a sample is all that it is.
  bool unlabelled() const { return classes == 0 && labelled() && targets.numel() == 0 && !empty(); }
  /// Shape of one sample, without N.
  std::vector<int64_t> sample_shape() const;
  /// Size of the first sample dimension (colour planes, features); 1 for scalar samples.
  int64_t channels() const;
  /// Every step of a sequence has a class of its own.
  bool per_step() const { return classes > 0 && targets.defined() && targets.dim() == 2; }
};

/// `validation` and `test` may be empty (size() == 0).
struct Splits {
  Dataset train, validation, test;
};

/// Targets of n samples that have none, [n, 0].
Tensor no_targets(int64_t n);

/// The samples `ids` (int64 [n], any order, repetitions allowed), copied. @throws UsageError out of
/// range.
Dataset subset(const Dataset& data, const Tensor& ids);

/// The first n samples (all if there are fewer), as views.
Dataset first(const Dataset& data, int64_t n);

/// Inputs present, and targets if they are needed, of admissible types, as many of one as of the
/// other, class ids in [0, classes), values finite or, of inputs, +inf, which is a spike that never
/// comes; normalisation fitting the channels. An empty data set passes.
/// @throws Error naming the data set.
void check(const Dataset& data, bool needs_targets = true);

/// No input is +inf either: for whoever takes other numbers than spike times.
/// @throws Error naming the data set
void require_finite(const Dataset& data);

/// Both halves fit together: equal sample shape, classes or target width, and bytes in all parts or
/// in none. @throws Error
void check(const Splits& splits);

/// The samples of `data` are of the shape of those of `train`, and bytes where those are bytes: 0
/// to 255 in one part and 0 to 1 in the other would be taken for the same. @throws Error
void check_alike(const Dataset& data, const Dataset& train);

/// Inputs as data sets hold them: uint8 and floating numbers as they are, other integers as
/// float32, or as float64 where they are beyond 2^24. @param name of the data set
/// @throws Error if they are complex, or integers beyond 2^53
Tensor as_inputs(const Tensor& x, const std::string& name);

/// Whether targets [N, K] are rows of one 1 and else 0, as class ids are sometimes written.
bool is_one_hot(const Tensor& targets);

/// The caller's own tensors, delivered as they are (no normalisation).
/// @param train_x,test_x [N, ...], any real type; other integers than uint8 become float32, or
/// float64 where they are beyond 2^24; copied only then
/// @param train_y,test_y [N] integers: labels, which the training part numbers (see labels.h); [N,
/// T] integers: class ids of the steps of sequences; [N] or [N, K] floating: regression targets
/// @param classes number of classes; 0: as many as the training part has labels, or for steps one
/// more than the largest id. The test tensors may be undefined.
/// @throws Error if they do not fit together, if integers are beyond 2^53, or if targets are
/// one-hot
Splits from_tensors(const Tensor& train_x, const Tensor& train_y, const Tensor& test_x = {},
                    const Tensor& test_y = {}, int64_t classes = 0,
                    const std::string& name = "tensors");

}  // namespace altprop::data

// One cell of the study: a width and a regularisation, over repetitions, up to the published
// stopping rule.
#pragma once

#include <nlohmann/json.hpp>

#include "altprop/base/error.h"
#include "altprop/theory/two_layer.h"

namespace altprop::theory {

/// When a repetition ends. Every `interval` steps it looks at the loss; it is settled once the loss
/// differs by less than `change` from that at the look before, and stays so. It ends when it is
/// settled and `steps` are done: at the width's number of steps, or at the first look after it that
/// finds it settled. With constant lambda there is no fixed point, so this rule is part of every
/// figure.
struct StopRule {
  int64_t steps = 5050;
  int64_t interval = 1000;
  double change = 1e-3;
  bool settle = true;  ///< false: ends after `steps`

  /// The rule of the published simulations: 5000 sqrt(p) / 14 steps, rounded down.
  static StopRule published(int64_t width);
  bool looks_at(int64_t step) const { return settle && step % interval == interval - 1; }
};

struct CellSettings {
  Psi psi = Psi::Linear;
  std::string teacher = "lr";
  bool exact = false;  ///< backprop instead of random feedback
  Size size;
  /// Of the mean loss |e|^2 / n, as published: the update then has 2 eta / n and lambda n / 2 of
  /// the summed loss.
  double eta = 1e-3, lambda = 0;
  int64_t lambda_cutoff = 0;  ///< beta decays in the first so many steps only; 0: in all
  int64_t repetitions = 50;
  StopRule stop;
  int64_t max_steps = 1'000'000;  ///< ends a repetition that never settles
  Form form = Form::Reduced;
  at::ScalarType dtype = at::kDouble;
  uint64_t seed = 1;
};

/// A stop was asked for before the cell was finished.
struct Interrupted : Error {
  using Error::Error;
};

struct CellTrace {
  /// Called now and then. @param done of `all` repetition steps
  std::function<void(int64_t done, int64_t all)> progress;
  /// True ends the cell by Interrupted.
  std::function<bool()> stop_requested;
};

/// Runs a cell. Repetition r draws from the stream (seed, width, r), whatever lambda, form and
/// number of repetitions. The result is an object:
///
///   p, lambda, repetitions, diverged, unsettled   numbers
///   alignment, loss, steps      {mean, std, min, max, values} over the repetitions that did not
///   diverge, at their end;
///                               std divides by their number; loss is |e|^2 / n
///   gamma, gamma_start          smallest eigenvalue of E G (null without closed form) and of G at
///   the start rate                        of |e| in the second half of the recorded steps, in
///   units of eta: |e| ~ exp(-eta rate t) bound_held                  fraction of repetitions with
///   |e(t)| <= (1 - eta gamma / 4)^t |e(0)| at every recorded
///                               step; null where gamma is, or with decay
///   curve                       {step, loss_mean, loss_std, loss_min, loss_max, alignment_mean}
///   over the steps that all
///                               repetitions make
///   message                     where repetitions diverged: one sentence
nlohmann::json run_cell(const CellSettings& settings, const CellTrace& trace = {});

}  // namespace altprop::theory

// The state between begin and end of a step, without a step that ends there ("dense output"):
//
//   x(t_n + theta h) = x_n + h sum_i w_i(theta) k_i,   the last k_i = f(t_n + h, x_{n+1})
//
// Of dopri5 a polynomial of fourth degree through the state at the middle (L. Shampine 1986, Math.
// Comp. 46), of other Runge-Kutta methods Hermite's of third degree. It is linear in what a step is
// made of, so that its credit joins the reverse pass of the step: h w_i D goes to k_i and D to x_n.
#pragma once

#include "altprop/ode/step.h"
#include "altprop/ode/time_sum.h"

namespace altprop::ode {

/// Reads of one step that are made at once: one of the whole batch or, where samples have steps of
/// their own, one of each of the samples that are read. Values may be K times as many.
class Between {
 public:
  Between(const Scheme& method, const TimeStep& step, std::vector<Read> reads);

  const std::vector<Read>& reads() const { return reads_; }
  const TimeStep& step() const { return step_; }
  /// x_n + h sum_i w_i k_i, [reads, ...] or the whole batch. @param slopes of all stages and, as
  /// the last one, that at the end
  Tensor states(const Tensor& begin, const std::vector<Tensor>& slopes) const;
  /// sum_i w_i k_i: d x / d h at the same theta.
  Tensor by_length(const std::vector<Tensor>& slopes) const { return sum(weights_, slopes); }
  /// sum_i w_i' k_i: d x / d t.
  Tensor rates(const std::vector<Tensor>& slopes) const { return sum(rates_, slopes); }

  /// The rows of an output's values that are read here. @param of_output by number of the output
  Tensor rows_of_outputs(const std::vector<Tensor>& of_outputs) const;
  /// Puts the rows that are read into outputs.
  void put(const Tensor& rows, const std::function<Tensor&(int)>& output, int64_t blocks) const;

  /// Credit of x_n, [K * rows, ...], from that of the reads.
  Tensor credit_of_begin(const Tensor& of_reads) const { return scattered(of_reads); }
  /// Of k_i; undefined: none.
  Tensor credit_of_slope(size_t i, const Tensor& of_reads) const;
  /// Numbers of the reads as numbers of those that take part: [1], or [rows].
  Tensor scattered_numbers(const Tensor& of_reads) const;
  /// h of each read.
  Length lengths(const Length& of_step) const;
  /// theta of each read, [1] or [reads].
  Tensor thetas() const;

 private:
  Tensor gathered(const Tensor& values) const;
  Tensor scattered(const Tensor& of_reads) const;
  Tensor index(int64_t blocks) const;
  Tensor sum(const std::vector<Length>& weights, const std::vector<Tensor>& slopes) const;

  const TimeStep& step_;
  std::vector<Read> reads_;
  std::vector<Length> weights_, lengths_, rates_;  ///< w_i, h w_i, w_i'
};

/// The reads of a step in groups; empty if it has none.
std::vector<Between> reads_of(const Scheme& method, const TimeStep& step);
/// Slopes of the stages and, as the last one, that at the end.
std::vector<Tensor> slopes_of(const Evaluations& k, const Tensor& at_end);

struct Record;

/// What a step's reads send back to what they are made of.
struct ReadCredits {
  Tensor begin;                ///< to x_n
  std::vector<Tensor> slopes;  ///< to k_i; undefined: nothing
  Tensor end;                  ///< to f at the end
  /// To the time of the begin at a fixed length, and to the length; where times are wanted.
  Tensor of_begin, of_length;

  Tensor of_slope(int i) const {
    return static_cast<size_t>(i) < slopes.size() ? slopes[static_cast<size_t>(i)] : Tensor();
  }
};
/// @param cots of all outputs @param record whose `of_reads` receives the credits of the reads'
/// times, where times are wanted
ReadCredits credits_of_reads(const Scheme& method, const TimeStep& step,
                             const std::vector<Tensor>& slopes, const std::vector<Tensor>& cots,
                             Record& record);

}  // namespace altprop::ode

// One step of an explicit method.
#pragma once

#include <memory>

#include "altprop/ode/combine.h"
#include "altprop/ode/tableau.h"

namespace altprop::ode {

/// X_i of a step: needs k_1 .. k_{i-1}. @param i from 0
Tensor stage_state(const Scheme& method, const Tensor& y, const Length& h, const Evaluations& k,
                   int i);

/// An output between the begin and the end of a step.
struct Read {
  int output;
  double time, theta;  ///< time = t + theta h
  int64_t place =
      0;  ///< of the sample among those that take part, where they have steps of their own
};

/// Begins and lengths of a step that every sample takes for itself, of the samples that take part.
struct SampleSteps {
  std::vector<int64_t> rows;  ///< their places in the batch, ascending
  std::vector<double> t, h;
  std::vector<int> output;
  std::vector<char> jump;
  int64_t batch = 0;  ///< samples of the batch
  Tensor index;       ///< `rows`, on the state's device
  Tensor lengths;     ///< `h` in the state's type

  size_t size() const { return rows.size(); }
  bool is_all() const { return static_cast<int64_t>(rows.size()) == batch; }
  void add(int64_t row, double at, double length, int number, bool jumps);
  /// Fills `index` and `lengths` for states like this one.
  void close(const Tensor& like);
  bool has_jumps() const;
};

/// One step of a record.
struct TimeStep {
  double t, h;        ///< NAN where samples have their own
  int output = -1;    ///< number of the output at its end; -1: none
  bool jump = false;  ///< f jumps at its end
  /// Where samples have steps of their own, and some may take none; null: all take the same.
  std::shared_ptr<SampleSteps> each = nullptr;
  std::shared_ptr<const std::vector<Read>> reads = nullptr;  ///< null: none

  static TimeStep of_samples(std::shared_ptr<SampleSteps> each) {
    return {NAN, NAN, -1, false, std::move(each)};
  }
  Length length() const { return each ? Length(each->lengths) : Length(h); }
  Moment begin() const;
  /// Samples that take it; 1 where all take the same.
  int64_t sequences() const { return each ? static_cast<int64_t>(each->size()) : 1; }
};

/// What all samples of a batch carry, and of that the rows of those who take part in a step. Rows
/// may be K times as many as samples, row k * batch + b of sample b.
class WholeBatch {
 public:
  /// @param dim along which samples lie
  explicit WholeBatch(Tensor all = {}, int dim = 0) : all_(std::move(all)), dim_(dim) {}
  const Tensor& all() const { return all_; }
  /// `all` itself where all take part.
  Tensor of(const TimeStep& step) const;
  /// Replaces these rows.
  void put(const TimeStep& step, Tensor rows);

 private:
  Tensor index(const SampleSteps& each) const;

  Tensor all_;
  int dim_ = 0;
  bool own_ = false;  ///< made here, so that it may be written to
};

/// When stage i of a step is evaluated. A step that ends at a jump of f stays on this side of it.
/// @param like the state, whose number format the time is going to have
Moment stage_time(const Scheme& method, const TimeStep& step, int i, const Tensor& like);
/// The same of the end.
Moment end_time(const TimeStep& step, const Tensor& like);

struct StepResult {
  Tensor end;            ///< y_{n+1}
  Evaluations k;         ///< of all stages
  Evaluation last = {};  ///< f at the end, of methods whose error needs it
  Tensor error = {};     ///< of the state; undefined unless asked for
  int evaluations = 0;
};

/// @param step h of any sign @param first k_1 if it is known @param with_error also the error
StepResult take_step(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                     const Evaluation* first, bool with_error);
inline StepResult take_step(const Scheme& method, const Field& f, double t, double h,
                            const Tensor& y, const Evaluation* first, bool with_error) {
  return take_step(method, f, TimeStep{t, h}, y, first, with_error);
}

/// Evaluates more stages of a step: k_{k.size()+1} .. k_stages.
void evaluate_more(const Scheme& method, const Field& f, const TimeStep& step, const Tensor& y,
                   int stages, Evaluations& k);
/// All of the first `stages`.
Evaluations evaluate_stages(const Scheme& method, const Field& f, double t, double h,
                            const Tensor& y, int stages, const Evaluation* first);

}  // namespace altprop::ode

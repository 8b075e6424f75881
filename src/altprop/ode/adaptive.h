// Steps whose lengths follow their estimated errors: one sequence of steps for the whole batch, or
// one for every sample. Those of a batch are tried at once, of the samples that have not reached
// their end; each is accepted, shortened and ends for itself.
#pragma once

#include "altprop/ode/failure.h"
#include "altprop/ode/integrate.h"

namespace altprop::ode {

class Adaptive {
 public:
  Adaptive(const Scheme& method, const Field& f, const StepSizes& sizes, const Journey& journey)
      : method_(method), f_(f), sizes_(sizes), journey_(journey), costs_(journey.costs) {}

  /// @returns what is carried at the last stops
  Tensor run(const Tensor& x, std::span<const Span> spans);

 private:
  /// Where a sequence of steps stands.
  struct Clock {
    int64_t row;  ///< of the batch; 0 where all samples share it
    double t;
    std::span<const Stop> stops, reads;
    Controller controller;
    int direction = 1;
    double h = 0;  ///< the next step's length, positive
    double last = 0;
    size_t next = 0;       ///< of the stops
    size_t next_read = 0;  ///< of the reads
    double event = 0;      ///< its value at the begin of the step
    bool arrived = false;  ///< the event ends it
    int64_t tried = 0, accepted = 0;
    StiffnessTest stiffness = {};

    // Of the step that is being tried.
    double length = 0;
    bool clipped = false, is_accepted = false;

    bool is_done() const { return next == stops.size(); }
    const Stop& stop() const { return stops[next]; }
    double end() const { return clipped ? stop().time : t + direction * length; }
    int output() const { return clipped ? stop().output : -1; }
    bool jumps() const { return clipped && stop().jump; }
  };

  bool each() const { return sizes_.per_sample; }
  Where where(const Clock& clock, int64_t step) const;
  double bounded(double length) const;
  /// One flag for each clock that is running.
  std::vector<char> finite_rows(const Tensor& y, int dim) const;
  TimeStep step_of(const std::vector<Clock*>& clocks) const;
  Tensor index_of(const std::vector<size_t>& places) const;

  void begin(const Tensor& x, std::span<const Span> spans);
  void give_up_after_max_steps();
  void plan();
  void try_step();
  void decide(const TimeStep& step, const StepResult& result);
  void tell(const TimeStep& step, StepResult& result, const std::vector<size_t>& taken);
  /// Outputs that lie on the way of these.
  std::vector<Read> reads_on_the_way(const std::vector<Clock*>& clocks) const;
  void expect_event_value(double value, const Clock& clock) const;
  void look_for_event(const TimeStep& step, const Tensor& begin, StepResult& result,
                      const std::vector<Clock*>& clocks, std::vector<Read>& reads);
  void go_on(StepResult& result, const std::vector<size_t>& taken);
  void evaluate_first(const std::vector<size_t>& where);
  /// Drops clocks that are done.
  void compact();
  void watch(const TimeStep& step, const StepResult& result, const Tensor& size);
  Stiffness stiffness_at(const Clock& clock) const;

  const Scheme& method_;
  const Field& f_;
  const StepSizes& sizes_;
  const Journey& journey_;
  Costs& costs_;

  std::vector<Clock> clocks_;
  std::vector<Clock*> running_;  ///< in the order of the rows
  int64_t batch_ = 0, number_ = 0;
  WholeBatch whole_;       ///< what is carried, of those that are done
  Tensor y_;               ///< of those that run
  Evaluation first_ = {};  ///< f at their states, of methods that begin there
};

}  // namespace altprop::ode

// States that settle under complex nudges: all points of the circle in one relaxation.
//
//   u <- u + eta F(u),   F(u) = drive(r) + correction - u,   r = sigma(u + noise)
//
// Laborieux & Zenke 2022, arXiv 2209.00530 (circle, noise); 2023, arXiv 2309.02214 (vector fields).
// The rows of a tensor are blocks of one batch each: real points, real parts of the complex points,
// their imaginary parts. N points with conjugate symmetry are N blocks.
#pragma once

#include <functional>

#include "altprop/rules/equilibrium/dynamics.h"
#include "altprop/rules/holomorphic/vector_field.h"

namespace altprop {

class Linearised;

/// What pushes the output: minus beta dLoss/doutput.
struct ComplexNudge {
  const Loss& loss;
  Tensor targets;  ///< [points, K] values, one row per point
  Tensor beta_re;  ///< [points, 1]
  Tensor beta_im;  ///< [complex, 1]; undefined without complex points
};

struct HolomorphicOptions {
  double damping = 1;  ///< eta in (0, 1]
  double noise = 0;    ///< standard deviation of what is added to the argument of sigma
};

/// [batch], true for samples all of whose numbers are finite, at every point.
Tensor finite_samples(const VectorField& field, const Field& states, int64_t batch);

/// Standard normal numbers [blocks * batch, ...], of each sample's own.
Tensor normal_by_sample(const Stream& stream, const RowIds& ids, IntArrayRef shape, int64_t batch,
                        at::TensorOptions options);

/// A copy goes its own way from the present states.
class HolomorphicDynamics {
 public:
  /// @param field must outlive this
  HolomorphicDynamics(const VectorField& field, const HolomorphicOptions& options);

  /// Takes a batch: one real block, states zero.
  void begin(const Tensor& inputs);
  /// The present real states, once per block: `real` and `complex` points.
  void stack(int64_t real, int64_t complex);
  /// Takes these rates of one real block.
  void take(const Field& states);
  /// Rows of samples with a number that is not finite go back to zero. @returns how many samples
  int64_t restart_overflowed();
  /// Noise of the coming steps is drawn from here, at every point anew. @param draws keyed by seed,
  /// step and phase @param ids whose noise the samples have
  void draw_from(const Stream& draws, const RowIds& ids = {}) {
    draws_ = draws;
    ids_ = ids;
  }
  /// Adds (J^T - J)(r - rest) to the drive, which makes the linear response that of the transposed
  /// network; null ends it. Scurria et al. 2026, arXiv 2602.03670.
  void correct_with(Linearised* rest) { correction_ = rest; }

  /// At most stop.steps steps; Settled::turn is measured if asked for.
  /// @param after_step called with the number of steps so far; residuals() are those of the step
  Settled settle(const StopWhen& stop, const ComplexNudge* nudge = nullptr,
                 const std::function<void(int64_t)>& after_step = {});
  /// How far two more steps, without noise, would move every sample at every point: the norm over
  /// its states, [points, batch] in float64. Changes nothing.
  Tensor moved_in_two_steps(const ComplexNudge* nudge) const;

  const Field& states() const { return r_; }  ///< r, per state; inputs as they were given
  Field copy() const;
  /// What u would be at the present states: the argument of sigma, without nudge.
  Field drive();
  /// u; the argument of sigma of the last step. Kept with damping below 1 or after keep_membrane().
  const Field& membrane() const { return u_; }
  void keep_membrane() { keeps_membrane_ = true; }
  /// The network's output, rows as the states'.
  Tensor output();
  /// d loss / d output at complex rows.
  static Tensor gradient(const Loss& loss, const Tensor& output, const Tensor& targets,
                         const PlanarRows& rows);
  const PlanarRows& rows() const { return rows_; }
  int64_t batch() const { return batch_; }
  /// Largest |move| in the last measured step, per block of rows.
  const std::vector<double>& residuals() const { return residuals_; }

 private:
  Field drives(const ComplexNudge* nudge);
  void add_matrix(const Coupling& c, Field& a);
  void push(const ComplexNudge& nudge, Field& a);
  std::vector<Tensor> parents(const Coupling& c) const;
  double step(const ComplexNudge* nudge, bool measure);
  Settled settle_whole(const StopWhen& stop, const ComplexNudge* nudge,
                       const std::function<void(int64_t)>& after_step);
  Settled settle_by_rows(const StopWhen& stop, const ComplexNudge* nudge, int64_t blocks);
  /// The same for some samples, with copies of their states.
  HolomorphicDynamics of(const RowBlock& block) const;
  /// Lays the matrices out as products with few rows read them fastest.
  void prepare_for_many_steps();
  /// What a step leaves for the next one.
  std::vector<Tensor*> moving();
  /// Passes that hold for the present states alone.
  void forget();
  void squash(size_t state, Tensor& u);

  struct Panels {
    PackedMatrix up, down;  ///< the transpose of the weight, the weight
  };

  const VectorField& field_;
  HolomorphicOptions options_;
  std::vector<std::optional<Analytic>> analytic_;
  Field r_, u_, base_, base_once_;  ///< base: the drive from inputs, per point
  std::vector<PlanarMap::Passed> passed_;
  std::vector<Panels> panels_;  ///< per coupling, once prepared
  PlanarMap::Passed scratch_;
  Tensor inputs_;
  PlanarRows rows_;
  int64_t batch_ = 0, drawn_ = 0;
  Stream draws_;
  RowIds ids_;
  Linearised* correction_ = nullptr;
  RecordedSteps recorded_;
  std::vector<double> residuals_;
  bool keeps_membrane_ = false;
  bool inputs_mix_ = false;  ///< a coupling reads an input: inputs need all rows
};

}  // namespace altprop

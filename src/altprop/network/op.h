// The contract of an operation: a stateless function that knows its own derivative.
//
// Training answers one question per operation: how should its output have been different? The
// answer is the output's credit, here always a cotangent dLoss/d(output) of the batch-SUMMED loss,
// one row per sample. An operation turns (what it saw, the credit of its output) into gradients of
// its own parameters; it never learns where the credit came from, nor who asked for the gradients.
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "altprop/network/param.h"
#include "altprop/network/spec.h"
#include "altprop/network/store.h"
#include "altprop/network/sweep.h"
#include "altprop/tensor/random.h"
#include "altprop/tensor/tensor.h"

namespace altprop {

/// Train: draw masks, use batch statistics, update running ones. Eval: none of it. Replay: a
/// further forward pass of the same step with the masks, batch statistics and draws that are
/// already in Saved.
enum class Mode { Train, Eval, Replay };

/// The circumstances of one forward pass of one operation.
struct Pass {
  Mode mode = Mode::Eval;
  Stream draws{};          ///< keyed by (seed, purpose, step, operation)
  bool overwrite = false;  ///< the first input is needed by nobody else and may be overwritten
  /// Sample numbers, int64 [B], on the CPU or elsewhere: what an operation draws for a sample goes
  /// by its number (Stream::bernoulli_rows), so that batches may be cut, shared out and permuted.
  /// Undefined: the samples have none, and their places count.
  Tensor ids = {};
  /// Place of the batch's first row in the whole batch, where this is a part of it.
  int64_t first_row = 0;

  RowIds rows() const { return {ids, first_row}; }
  /// That of the parts of a composite, whose inputs may be needed after them.
  Pass inside() const {
    Pass out = *this;
    out.overwrite = false;
    return out;
  }
};

/// What a forward pass keeps for the derivative: input, mask, argmax, statistics; NEVER weights. So
/// "other weights, same activity" (feedback alignment), "new weights, old mask" (semi-implicit) and
/// "moved state, frozen mask" are one call.
struct Saved {
  std::vector<Tensor> t;  ///< meaning is the operation's own
  std::vector<int64_t>
      shape;  ///< of the first input, batch included, where the tensor itself is not needed
  std::any extra;
  void clear();
};

class Graph;
struct PlanarForm;

/// A direction in the space of parameters.
using ParamTangents = std::function<Tensor(const Param&)>;

/// A tangent that begins at the output of one use of a site.
struct SiteTangent {
  int site;  ///< as Site::number; for a composite, counted from its first part, which is 0
  int use = 0;
  Tensor tangent;  ///< [K*B, ...]
};

/// A walk over all operations that are not made of others, with what each has saved. Sites are valid
/// during the call.
struct Visit {
  std::function<void(const Site&, const Saved&)> leaf;
  // Where the graph that is walked through stands; see Sweep.
  const Site* around = nullptr;
  int first_site = 0;
  int use = 0;
};

/// How an output depends on the inputs, with the parameters and what is drawn held.
enum class Response {
  Curved,   ///< in any way
  Linear,   ///< linearly, but for a constant: the Jacobian does not depend on the inputs
  Selects,  ///< every output is one of the inputs, which one goes by their order (max pooling), so
            ///< that it may change places with an increasing function of each of them
};

/// What an operation is to those who do not know its kind. Nobody asks for its type by name.
struct Traits {
  bool substitutable = true;  ///< false: its weights are hidden, so that nothing can stand for them
  bool draws = false;  ///< random numbers in training, which a repeated pass must not draw anew
  /// What it may draw belongs to the batch as a whole and not to each sample (Pass::ids): a part of
  /// the batch would draw something else.
  bool draws_for_batch = false;
  bool couples_samples = false;  ///< in training a sample's output depends on the other samples
  bool needs_others = false;     ///< a training batch of one sample is refused
  bool reuses = false;           ///< its parameters are used more than once in a step
  bool penalises = false;        ///< it has penalties on its parameters to send (Op::penalise)
  /// In training its one input times a mask that it draws (Op::mask), else its input as it is.
  bool masks = false;

  Response response = Response::Curved;
  /// A map of one input that is affine in it and in its weight (linear, convolutions): where a
  /// block of a chain begins. Saved.t[0] is the input.
  bool affine = false;
  /// One function of each number of one input, in the input's shape: an activation, whose
  /// derivative relaxation rules may leave out, or take at another value than that of the forward
  /// pass.
  bool activation = false;
  /// ... which gives the nearest number from `low` to `high`, and these are known.
  std::optional<Interval> nearest_in = {};
  /// The output is a value that relaxation rules hold although no affine map reads it (gates and
  /// cell of an LSTM): a state under Cut::Blocks.
  bool holds_state = false;
  /// The numbers are only moved about (flatten, stack): never a state of its own, it belongs to its
  /// consumer.
  bool rearranges = false;
  /// All numbers of one input come out in their order, in another shape at most (flatten).
  bool reshapes = false;
  /// The output lies in the memory of the input (flatten, a step of a sequence).
  bool views = false;
};

/// What an affine map's weight learns from, row by row: its gradient, as a matrix
/// [outputs, inputs], is credits^T inputs, summed over all rows. What second-order directions take.
struct WeightRows {
  int64_t samples = 0;
  int64_t per_sample = 1;  ///< positions of a convolution, steps of a sequence
  /// The weight has one number for each feature, and its gradient is the sum over all rows of
  /// credits * inputs, both [rows, features] (norms, of inputs that are normalised).
  bool elementwise = false;
  /// inputs [rows, inputs], credits [rows, outputs], where they lie in memory already; undefined
  /// where they are made when asked for (a convolution's windows take `per_sample` times the
  /// memory)
  Tensor inputs, credits;
  /// Those of samples from .. to.
  std::function<std::pair<Tensor, Tensor>(int64_t from, int64_t to)> of;
};

/// A map a = h W^T + b of the last dimension, W [n_out, n_in].
struct DenseMap {
  ParamPtr weight, bias;  ///< bias: null if it has none
};

/// Where a map whose weight is [outputs, inputs / groups, taps...] has its output channels: what
/// feedback of another width than the weight's is made from.
struct Channels {
  int64_t outputs;
  int64_t groups = 1;  ///< blocks of channels, of inputs and of outputs, that do not mix
  bool last = true;    ///< the last dimension (dense); else the first behind the batch, in front of
                       ///< positions that a kernel slides over (convolutions)
};

class Op {
 public:
  virtual ~Op() = default;

  /// Lower-case name of the kind of operation, e.g. "conv2d".
  virtual std::string type() const = 0;
  /// Settings in the text grammar, e.g. "out=16,kernel=3"; "" where there are none.
  virtual std::string settings() const { return ""; }
  virtual int arity() const { return 1; }

  /// What it takes at an input; a graph refuses everything else by the names of both nodes.
  virtual Takes takes(int input) const { return {}; }
  /// The output, which has a batch dimension. @throws Refusal if the inputs do not fit.
  virtual Spec infer(std::span<const Spec> inputs) const = 0;

  /// @param inputs one tensor [B, ...] per input, or [...] where one value is for the whole batch
  /// @param saved  filled with what the derivative needs; in Mode::Replay also read
  virtual Tensor forward(std::span<const Tensor> inputs, Saved& saved, const Pass& pass) const = 0;

  /// Credits of all wanted inputs: J^T cot of each. An operation computes here at once what its
  /// inputs have in common, and may leave what its parameters will need in `sweep.shared`. It never
  /// sends a signal of its own: its graph does, after the pull, with the cotangent that arrived. A
  /// composite sweeps its parts with the feedback and the sink in `sweep`, which sends theirs.
  /// @param substitute see vjp
  virtual Credits credit(const Saved& saved, const Tensor& cot, Wanted wanted,
                         const Tensor* substitute, Sweep& sweep) const;

  /// Cotangent of input number `input`: J^T cot. `cot` may have K*B rows for a Jacobian saved at B
  /// rows. That of an input without a batch dimension has K rows (see sum_to_unbatched).
  /// @param substitute tensor of the weight's shape used in the weight's place (feedback
  /// alignment); null: the weight
  virtual Tensor vjp(const Saved& saved, const Tensor& cot, int input = 0,
                     const Tensor* substitute = nullptr) const = 0;

  /// J tangent, the linear part without bias: [K*B, ...]. @param tangent [K*B, ...], or [K, ...] of
  /// an input without a batch dimension
  virtual Tensor jvp(const Saved& saved, const Tensor& tangent, int input = 0) const = 0;

  /// Tangent of the output along its parameters, at the saved activity: sum of (d output / d p)
  /// of(p).
  /// @param of the tangents, of the parameters' shapes; undefined: that one does not move
  /// @returns undefined if none moves
  virtual Tensor jvp_params(const Saved& saved, const ParamTangents& of) const;

  /// The reverse pass of the tangent is known (jvp_vjp, jvp_accumulate; of composites
  /// credit_of_tangent), as second derivatives want it. By default that of operations whose
  /// response is linear and that are affine in their weight or have no parameters.
  virtual bool has_jvp_vjp() const;

  /// The tangent is itself a function of the input and of the parameters. With
  /// ydot = sum_j J_j tangents[j], d<cot, ydot> / d input, which is zero where the response is
  /// linear.
  /// @param tangents by input, [K*B, ...], [K, ...] of one without a batch dimension; undefined:
  /// none
  /// @param cot [M*K*B, ...], row (m*K + k)*B + b: M cotangents of the K tangents of B samples
  /// @returns [M*B, ...], the sum over the tangents; [M, ...] of an input without a batch
  /// dimension; undefined: zero. @throws Refusal if it is not known
  virtual Tensor jvp_vjp(const Saved& saved, std::span<const Tensor> tangents, const Tensor& cot,
                         int input = 0) const;
  /// Adds scale * d<cot, ydot> / d parameter, summed over rows, to those parameters that `store`
  /// has slots for. @throws Refusal if it is not known
  virtual void jvp_accumulate(const Saved& saved, std::span<const Tensor> tangents,
                              const Tensor& cot, double scale, Store& store) const;
  /// The whole reverse pass of a composite's tangent: credits of its inputs (jvp_vjp) and of their
  /// tangents (vjp), with the signals of its parts. Operations that have no parts are asked for
  /// each by itself. @throws Refusal if it is not known
  virtual TangentCredits credit_of_tangent(const Saved& saved, std::span<const Tensor> tangents,
                                           const Tensor& cot, Wanted values, Wanted of_tangents,
                                           Sweep& sweep) const;

  /// Adds scale * (d output / d parameter)^T cot, summed over rows, to those parameters that
  /// `store` has slots for.
  /// @param substitute as in vjp: what stands for the weight where this depends on it, be it on its
  /// shape alone
  /// @param shared what `credit` has left for this cotangent, or null
  virtual void accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                          const Tensor* substitute = nullptr,
                          const Shared* shared = nullptr) const {}
  /// The gradient of the weight, or of the gain, of a map that is affine in it, as rows. None: not
  /// that kind of map.
  virtual std::optional<WeightRows> rows(const Saved& saved, const Tensor& cot) const {
    return std::nullopt;
  }
  /// What `accumulate` would read had the operation seen another input: for signals that replace
  /// it. @throws Refusal where the parameters' gradients do not depend on the input alone
  virtual Saved saved_for(const Tensor& input) const;

  /// Of an operation that masks: what Mode::Train multiplies an input of this shape by; undefined
  /// where it leaves the input as it is. @param rows whose masks these are
  virtual Tensor mask(const Stream& draws, const RowIds& rows, IntArrayRef shape,
                      at::TensorOptions options) const;
  /// What a pass with that mask leaves for the derivative and for Mode::Replay.
  virtual Saved saved_with(const Tensor& mask) const;

  /// The graph that the operation is made of, if it is made of others: its parts are sites of their
  /// own, and learn by their own signals. A graph's parts are its own nodes.
  virtual const Graph* parts() const { return nullptr; }
  /// Visits the parts of a composite. @throws Refusal where what they saw is made and lost inside
  virtual void visit_parts(const Saved& saved, const Visit& visit) const;
  /// Tangent of the output from tangents at its parts. @throws Refusal where none can begin there
  virtual Tensor jvp_sites(const Saved& saved, std::span<const SiteTangent> from) const;

  virtual std::vector<ParamPtr> params() const { return {}; }
  /// The tensor through which credit travels to the input and which a feedback rule may substitute;
  /// null if there is none.
  virtual ParamPtr weight() const { return nullptr; }
  /// Where the weight's channels are; `vjp` and `accumulate` then take a substitute with another
  /// number of outputs, too, and a cotangent of as many. None: the weight is laid out in another
  /// way (elementwise, a transposed convolution).
  virtual std::optional<Channels> channels() const;
  /// The same map with another weight of the same shape and without bias, which is built already;
  /// null: there is none.
  virtual std::shared_ptr<Op> with_weight(const ParamPtr& weight) const { return nullptr; }
  /// A factor on each feature that credit crosses on its way (norms): a substitute given to `vjp`
  /// stands for it where there is no weight. Null: there is none.
  virtual ParamPtr gain() const { return nullptr; }
  /// Tensors that are neither learnt nor constant (running statistics), by name: part of a
  /// checkpoint.
  virtual std::vector<std::pair<std::string, Tensor*>> buffers() { return {}; }
  /// Allocates parameters for these inputs, and keeps those that are there: called whenever the
  /// operation is added to a graph, of which rules make some of their own.
  virtual void build(std::span<const Spec> inputs) {}
  /// Sentences about what shows only at the values that training comes to; asked after each epoch,
  /// repetitions are dropped.
  virtual std::vector<std::string> notices() const { return {}; }
  /// Restores a constraint after each update that no bound of a single parameter says
  /// (re-orthonormalise; see Param::bounds for the others).
  virtual void project() const {}
  /// Sends the gradient of a penalty that the operation puts on its own parameters, as signals of
  /// parameters: what is minimised is the mean loss plus the penalty. A composite asks its parts.
  /// Whoever has one says so (Traits::penalises), else it is not asked.
  /// @param share the part of the whole batch that is at hand, by which it is multiplied, so that
  /// parts add up
  virtual void penalise(double share, Sink& sink) const;

  /// Multiply-adds of one sample's forward pass (a multiply-add counts as 2 floating point
  /// operations).
  virtual int64_t multiply_adds(std::span<const Spec> inputs) const { return 0; }
  /// Its parts, if it is a dense map, for those who know products that are faster than its passes.
  virtual std::optional<DenseMap> dense() const { return std::nullopt; }
  /// How it is evaluated at complex numbers, of one without parameters whose response is curved;
  /// null: it is not.
  virtual const PlanarForm* planar() const { return nullptr; }
  /// True if the derivative needs the output rather than the input, so that forward may overwrite
  /// its input.
  virtual bool works_in_place() const { return false; }
  /// True if the derivative reads tensors that alias the output, so that a consumer must not
  /// overwrite it.
  virtual bool keeps_output() const { return false; }
  virtual Traits traits() const { return {}; }
};

using OpPtr = std::shared_ptr<Op>;

/// Repeats a tensor saved at B rows for a cotangent of K*B rows (row k*B + b belongs to sample b).
/// @returns `saved` itself where K = 1
Tensor match_rows(const Tensor& saved, const Tensor& cot);

/// The other way round: sums the K blocks of a cotangent of K*B rows. What a parameter receives
/// from K cotangents at one activity is what it receives from their sum.
/// @returns `cot` itself where K = 1
Tensor fold_rows(const Tensor& cot, int64_t rows);

/// Credit of a value that all samples share, from what it would be were it each sample's own: the
/// sum over the samples, of each of the K cotangents alone, since these are K questions and not
/// one.
/// @param cot_rows [K*B, ...], row k*B + b belongs to sample b
/// @returns [K, ...], also where K = 1
Tensor sum_to_unbatched(const Tensor& cot_rows, int64_t batch);

/// The other way round: K tangents of a value that all samples share, as each sample's.
/// @param tangents [K, ...] @returns [K*B, ...], row k*B + b is tangent k
Tensor spread_over_batch(const Tensor& tangents, int64_t batch);

/// The sum over the K tangents that each of M cotangents has rows for (jvp_vjp).
/// @param rows [M*K*B, ...] @param tangents K*B @returns [M*B, ...]; `rows` itself where K = 1
Tensor fold_tangents(const Tensor& rows, int64_t tangents, int64_t batch);

}  // namespace altprop

// Recursive least squares: the gradient of every affine map is multiplied by the inverse
// autocorrelation of the map's inputs, which is followed step by step along their mean.
//
//   x = mean over all rows of the step of [input; 1]        one entry less where no bias learns
//   u = P x;   h = lambda + k x^T u
//   [dW | db] <- [dW | db] P / h                             what the optimizer steps along
//   P <- (P - (k / h) u u^T) / lambda,   P = p0 I at first
//
// C. Zhang, Q. Song, H. Zhou, Y. Ou, H. Deng, L. T. Yang, "Revisiting Recursive Least Squares for
// Training Deep Neural Networks", 2021, arXiv 2109.03220: the mini-batch form with the average
// approximation, in which one rank-one update stands for a batch. For one row a step it is the
// exact recursion (Sherman-Morrison). The paper derives it for a squared error; that any rule's
// credit may take the gradient's place, and any optimizer the step's, is its own remark.
//
// Rows of a convolution are its windows, of a map over a sequence all steps, and of operations that
// share a weight those of all of them: one P each.
#include <algorithm>
#include <map>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/graph.h"
#include "altprop/optim/direction.h"

namespace altprop {

namespace {

const char* const kRls = "recursive-least-squares";

class RecursiveLeastSquares : public Direction {
 public:
  void declare(Options& o) override {
    o.number("rls.lambda", lambda_, {.min = 0, .max = 1, .min_excluded = true},
             {"what is left of the inputs' autocorrelation after a step", "1"});
    o.number("rls.k", k_, {.min = 0},
             {"weight of a step's mean input in their autocorrelation; with 0 and lambda 1 the "
              "direction is p0 times the gradient",
              "1", "Zhang et al. 2021, arXiv 2109.03220"});
    o.number("rls.p0", p0_, {.min = 0, .min_excluded = true},
             {"the inverse autocorrelation is this times the identity at first", "1"});
    o.number("rls.cap", cap_, {.min = 1},
             {"bound on the trace of the inverse autocorrelation, relative to its first: what a "
              "lambda below 1 winds up where inputs never point is scaled back",
              "1"});
    o.integer("rls.max-inputs", max_inputs_, {.min = 1},
              {"inputs of one map, with the bias's, up to which their square is kept", "numbers"});
    o.choice("rls.rest", rest_, {"refuse", "plain"},
             {"parameters that are not those of an affine map (norms, tables): refused, or left to "
              "their plain gradient"});
  }

  void admit(const Graph& net) override {
    without_rows_.clear();
    look_at(net);
  }

  void bind(const std::vector<ParamPtr>& params) override {
    params_ = params;
    layers_.clear();
    std::set<std::string> names;
    for (const ParamPtr& param : params_) {
      if (!names.insert(param->name).second)
        throw Error(text::cat(kRls, ": two parameters are called '", param->name,
                              "', by which their state is kept; give them names of their own"));
      if (const auto found = without_rows_.find(param.get());
          found != without_rows_.end() && refuses())
        refuse_rest(*param, "is a parameter of " + found->second + ", which has no affine map");
    }
  }

  void absorb(const ParamSignal& signal, Store& gradients) override {
    refuse_twin(*signal.param);
    signal.accumulate(gradients);
  }

  void absorb(const LocalSignal& signal, Store& gradients) override {
    const ParamPtr weight = signal.op->weight();
    if (signal.stand_in) refuse_twin(*signal.stand_in);
    if (weight) refuse_twin(*weight);
    signal.accumulate(gradients);
    if (!weight || signal.stand_in || !gradients.of(*weight)) return;
    const std::optional<WeightRows> rows = signal.rows();
    if (!rows) return;
    const Tensor sum = sum_of(*rows);
    Layer& layer = layers_[weight->name];
    if (!layer.weight) place(layer, weight, *signal.op, sum, gradients);
    layer.sum = layer.rows ? layer.sum + sum : sum;
    layer.rows += rows->inputs.defined() ? rows->inputs.size(0) : rows->samples * rows->per_sample;
  }

  void finish(const std::string& group, const StepFacts&, Store& gradients) override {
    std::set<const Param*> done;
    std::vector<std::pair<const Layer*, Tensor>> scales;
    for (auto& [name, layer] : layers_) {
      if (!layer.rows || layer.weight->group != group) continue;
      scales.emplace_back(&layer, advance(layer, gradients));
      done.insert(layer.weight.get());
      if (layer.bias) done.insert(layer.bias.get());
      layer.rows = 0;
    }
    check_finite(scales);
    for (const ParamPtr& param : params_) {
      if (param->group != group || param->twin || done.count(param.get())) continue;
      if (const Slot* slot = gradients.of(*param); slot && !slot->fresh && refuses())
        refuse_rest(*param, "received a gradient without the inputs of an affine map");
    }
  }

  std::vector<std::string> warnings(const OptimizerSettings& s) const override {
    std::vector<std::string> out;
    const double momentum = s.effective_momentum(), rate = s.lr / std::max(1e-12, 1 - momentum);
    if (s.linear_kind() && k_ > 0 && rate * p0_ > 2 * std::min(1.0, k_))
      out.push_back(text::cat(kRls, ": lr/(1 - momentum) times rls.p0 is ", rate * p0_,
                              ", and steps of more than about twice rls.k or 1 diverge; use a "
                              "smaller lr"));
    return out;
  }

  void state(StateIO io) override {
    for (const ParamPtr& param : params_) {
      const std::string name = param->name + ".p";
      if (!io.is_loading()) {
        if (const auto found = layers_.find(param->name); found != layers_.end())
          io.tensor(name, found->second.p);
      } else if (io.has(name)) {
        Tensor p;
        io.tensor(name, p);
        if (p.dim() != 2 || p.size(0) != p.size(1) || p.scalar_type() != param->value.scalar_type())
          throw Error("checkpoint entry '" + name + "' is no square matrix of the run's numbers: " +
                      "it is damaged or another run's");
        layers_[param->name].p = p.to(param->value.device());
      }
    }
  }

 private:
  struct Layer {
    ParamPtr weight, bias;  ///< bias null: none that learns
    Tensor p;               ///< [inputs, inputs], the bias's behind the others
    Tensor sum;             ///< of the rows since the last step, without the bias's
    int64_t inputs = 0;     ///< without the bias's
    int64_t rows = 0;
  };

  bool refuses() const { return rest_ == "refuse"; }

  [[noreturn]] static void refuse_rest(const Param& param, const std::string& why) {
    throw Refusal(kRls, "'" + param.name + "' " + why,
                  "set rls.rest=plain to leave such parameters to their plain gradient");
  }

  /// A twin takes its partner's direction; one with gradients of its own would have another.
  static void refuse_twin(const Param& param) {
    if (param.twin)
      throw Refusal(kRls,
                    "'" + param.name + "' is to step as '" + param.twin->name +
                        "' does, but receives gradients of its own, whose direction is another",
                    "use a form of the rule without them, or direction=accumulate");
  }

  /// Notes parameters of operations that are not affine, with a name for the operation.
  void look_at(const Graph& net) {
    for (const Node& node : net.nodes()) {
      if (!node.op) continue;
      if (const Graph* parts = node.op->parts()) {
        look_at(*parts);
      } else if (!node.op->is_affine() || !node.op->weight()) {
        for (const ParamPtr& param : node.op->params())
          without_rows_[param.get()] = "the " + node.op->type() + " '" + node.name + "'";
      }
    }
  }

  static Tensor sum_of(const WeightRows& rows) {
    if (rows.inputs.defined()) return rows.inputs.sum(0);
    // A few samples at a time: all windows at once would take many times the memory of the images.
    const int64_t few = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, rows.per_sample));
    Tensor sum;
    for (int64_t from = 0; from < rows.samples; from += few) {
      const Tensor part = rows.of(from, std::min(from + few, rows.samples)).first.sum(0);
      sum = sum.defined() ? sum + part : part;
    }
    return sum;
  }

  void place(Layer& layer, const ParamPtr& weight, const Op& op, const Tensor& sum,
             Store& gradients) const {
    layer.weight = weight;
    layer.inputs = sum.size(0);
    const int64_t outputs = weight->value.numel() / layer.inputs;
    for (const ParamPtr& param : op.params())
      if (param != weight && param->value.numel() == outputs && gradients.of(*param))
        layer.bias = param;
    const int64_t all = layer.inputs + (layer.bias ? 1 : 0);
    if (all > max_inputs_)
      throw Refusal(kRls,
                    text::cat("'", weight->name, "' has ", all,
                              " inputs, whose autocorrelation takes the square of that"),
                    "raise rls.max-inputs to have it all the same");
    if (!layer.p.defined()) layer.p = at::eye(all, weight->value.options()) * p0_;
    if (layer.p.size(0) != all)
      throw Error(text::cat("checkpoint entry '", weight->name, ".p' has ", layer.p.size(0),
                            " rows, but the parameter has ", all, " inputs: it is another run's"));
  }

  /// The gradient of a layer becomes its direction, and P takes the step's mean input.
  /// @returns h
  Tensor advance(Layer& layer, Store& gradients) const {
    Slot* to_weight = gradients.of(*layer.weight);
    Slot* to_bias = layer.bias ? gradients.of(*layer.bias) : nullptr;
    Tensor x = layer.sum / static_cast<double>(layer.rows);
    if (to_bias) x = at::cat({x, at::ones({1}, x.options())});
    const Tensor u = layer.p.mv(x);
    // P is positive definite but for rounding.
    const Tensor h = x.dot(u).clamp_min(0).mul(k_).add(lambda_);

    to_weight->settle();
    Tensor g = to_weight->into.reshape({-1, layer.inputs});
    if (to_bias) {
      to_bias->settle();
      g = at::cat({g, to_bias->into.reshape({-1, 1})}, 1);
    }
    const Tensor along = g.mm(layer.p).div_(h);
    to_weight->into.copy_(along.narrow(1, 0, layer.inputs).reshape(to_weight->into.sizes()));
    to_weight->fresh = false;
    if (to_bias) {
      to_bias->into.copy_(along.select(1, layer.inputs).reshape(to_bias->into.sizes()));
      to_bias->fresh = false;
    }

    // A product of one vector with itself and no fused operations: P stays symmetric to the last
    // bit.
    const Tensor v = u * (k_ / lambda_ / h).sqrt();
    layer.p.mul_(1 / lambda_).sub_(at::outer(v, v));
    if (lambda_ < 1) {
      const double limit = cap_ * p0_ * static_cast<double>(layer.p.size(0));
      layer.p.mul_(layer.p.trace().reciprocal().mul_(limit).clamp_max_(1));
    }
    return h;
  }

  /// Looks at the numbers of all layers at once, because reading one stops a GPU.
  static void check_finite(const std::vector<std::pair<const Layer*, Tensor>>& scales) {
    if (scales.empty()) return;
    std::vector<Tensor> all;
    for (const auto& [layer, h] : scales) all.push_back(h.to(at::kDouble));
    if (at::stack(all).isfinite().all().item<bool>()) return;
    for (const auto& [layer, h] : scales)
      if (!h.isfinite().item<bool>())
        throw Diverged(
            text::cat(kRls, ": the autocorrelation of the inputs of '", layer->weight->name,
                      "' is no longer finite; use a smaller learning rate, or rls.lambda "
                      "nearer to 1"));
  }

  double lambda_ = 1, k_ = 1, p0_ = 1, cap_ = 10;
  int64_t max_inputs_ = 16384;
  std::string rest_ = "refuse";
  std::vector<ParamPtr> params_;
  std::map<std::string, Layer> layers_;  ///< by the weight's name
  std::map<const Param*, std::string> without_rows_;
};

const RegisterDirection registered_recursive_least_squares{
    {.name = kRls,
     .summary = "gradients times the inverse autocorrelation of what each affine map saw, which is "
                "followed along the mean input of every step",
     .source = "Zhang, Song, Zhou, Ou, Deng, Yang 2021, arXiv 2109.03220",
     .make = [] { return std::make_unique<RecursiveLeastSquares>(); },
     .order = 20}};

}  // namespace

}  // namespace altprop

// Recursive least squares: the gradient of every affine map is multiplied by the inverse
// autocorrelation of the map's inputs, which is followed step by step (inverse_correlation.h). Rows
// are the map's inputs with a 1 behind them where a bias learns.
//
// C. Zhang, Q. Song, H. Zhou, Y. Ou, H. Deng, L. T. Yang, "Revisiting Recursive Least Squares for
// Training Deep Neural Networks", 2021, arXiv 2109.03220: the mini-batch form with the average
// approximation (rls.mode=mean), in which one rank-one update stands for a batch. For one row a
// step it is the exact recursion (Sherman-Morrison). The paper derives it for a squared error; that
// any rule's credit may take the gradient's place, and any optimizer the step's, is its own remark.
//
// Rows of a convolution are its windows, of a map over a sequence all steps, and of operations that
// share a weight those of all of them: one P each, or one for each block of rls.max-dim inputs. A
// weight with a number for each feature (norms) has a P for each feature (feature_correlation.h).
#include <algorithm>
#include <map>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/graph.h"
#include "altprop/optim/direction.h"
#include "altprop/optim/directions/feature_correlation.h"
#include "altprop/optim/directions/inverse_correlation.h"

namespace altprop {

namespace {

const char* const kRls = "recursive-least-squares";

class RecursiveLeastSquares : public Direction {
 public:
  void declare(Options& o) override {
    o.choice(
        "rls.mode", c_.mode, {"mean", "mean-post", "exact", "exact-ema"},
        {"what a step teaches P: the mean of its rows, which acts on the next step (mean) or on "
         "this one (mean-post); or all of its rows, summed up (exact) or averaged (exact-ema)",
         "", "Zhang et al. 2021, arXiv 2109.03220 (mean)"});
    o.number("rls.lambda", c_.lambda, {.min = 0, .max = 1, .min_excluded = true},
             {"what is left of the inputs' autocorrelation after a step", "1"});
    o.number("rls.k", c_.k, {.min = 0},
             {"modes mean and mean-post: weight of a step's mean input in their autocorrelation; "
              "with 0 and lambda 1 the direction is p0 times the gradient",
              "1", "Zhang et al. 2021, arXiv 2109.03220"});
    o.number("rls.p0", c_.p0, {.min = 0, .min_excluded = true},
             {"the inverse autocorrelation is this times the identity at first", "1"});
    o.number("rls.cap", c_.cap, {.min = 1},
             {"bound on the trace of the inverse autocorrelation, relative to its first: what a "
              "lambda below 1 winds up where inputs never point is scaled back",
              "1"});
    o.number("rls.damping", c_.damping, {.min = 0, .min_excluded = true},
             {"mode exact-ema: added to the autocorrelation's diagonal before it is inverted",
              "square of the inputs"});
    o.integer("rls.every", c_.every, {.min = 1},
              {"mode exact-ema: the inverse is made anew after so many steps", "steps"});
    o.number(
        "rls.l1", l1_, {.min = 0},
        {"factor on the signs of weights and biases, which are added to their gradients before "
         "the product",
         "1"});
    o.integer(
        "rls.max-dim", max_dim_, {.min = 0},
        {"inputs of wider maps are cut into blocks of this size, each with a P of its own; 0: "
         "never",
         "numbers"});
    o.integer("rls.max-inputs", max_inputs_, {.min = 1},
              {"inputs of one map or block, with the bias's, up to which their square is kept",
               "numbers"});
    o.choice("rls.rest", rest_, {"refuse", "plain"},
             {"parameters that are not those of an affine map (tables, groups): refused, or left to "
              "their plain gradient"});
  }

  void admit(const Graph& net) override {
    without_rows_.clear();
    look_at(net);
  }

  void bind(const std::vector<ParamPtr>& params) override {
    if (c_.mode == "exact-ema" && c_.lambda == 1)
      throw Refusal(kRls, "with rls.lambda=1 the average of rls.mode=exact-ema never moves",
                    "set rls.lambda below 1, for example to 0.95, or use rls.mode=exact");
    params_ = params;
    layers_.clear();
    features_.clear();
    std::set<std::string> names;
    for (const ParamPtr& param : params_) {
      if (!names.insert(param->name).second)
        throw Error(text::cat(kRls, ": two parameters are called '", param->name,
                              "', by which their state is kept; give them names of their own"));
      if (const auto found = without_rows_.find(param.get());
          found != without_rows_.end() && refuses())
        refuse_rest(*param, "is a parameter of " + found->second + ", which shows no rows of a map");
    }
  }

  void absorb(const ParamSignal& signal, Store& gradients) override {
    refuse_twin(*signal.param);
    signal.accumulate(gradients);
  }

  void absorb(const LocalSignal& signal, Store& gradients) override {
    const ParamPtr weight = signal.op->weight() ? signal.op->weight() : signal.op->gain();
    if (signal.stand_in) refuse_twin(*signal.stand_in);
    if (weight) refuse_twin(*weight);
    signal.accumulate(gradients);
    if (!weight || signal.stand_in || !gradients.of(*weight)) return;
    const std::optional<WeightRows> rows = signal.rows();
    if (!rows) return;
    if (rows->samples == 0) return;
    if (rows->elementwise) {
      const ParamPtr bias = bias_of(weight, *signal.op, weight->value.numel(), gradients);
      return features_.of(weight, bias).take(*rows);
    }
    Layer& layer = layers_[weight->name];
    if (!layer.weight) place(layer, weight, *signal.op, rows->of(0, 1).first.size(1), gradients);
    layer.take(*rows, c_.exact());
  }

  void finish(const std::string& group, const StepFacts&, Store& gradients) override {
    std::set<const Param*> done;
    std::vector<std::pair<std::string, Tensor>> sound;
    for (auto& [name, layer] : layers_) {
      if (!layer.has_rows() || layer.weight->group != group) continue;
      advance(layer, gradients);
      done.insert(layer.weight.get());
      if (layer.bias) done.insert(layer.bias.get());
      for (Block& block : layer.blocks) {
        block.seen.clear();
        sound.emplace_back(name, block.p.sound());
      }
    }
    for (auto& [name, features] : features_.all()) {
      if (!features.has_rows() || features.weight()->group != group) continue;
      features.advance(gradients, l1_);
      done.insert(features.weight().get());
      if (features.bias()) done.insert(features.bias().get());
      sound.emplace_back(name, features.sound());
    }
    check_finite(sound);
    for (const ParamPtr& param : params_) {
      if (param->group != group || param->twin || done.count(param.get())) continue;
      if (const Slot* slot = gradients.of(*param); slot && !slot->fresh && refuses())
        refuse_rest(*param, "received a gradient without the inputs of an affine map");
    }
  }

  std::vector<std::string> warnings(const OptimizerSettings& s) const override {
    std::vector<std::string> out;
    const double momentum = s.effective_momentum(), rate = s.lr / std::max(1e-12, 1 - momentum);
    if (c_.mode == "mean" && s.linear_kind() && c_.k > 0 && rate * c_.p0 > 2 * std::min(1.0, c_.k))
      out.push_back(text::cat(kRls, ": lr/(1 - momentum) times rls.p0 is ", rate * c_.p0,
                              ", and steps of more than about twice rls.k or 1 diverge; use a "
                              "smaller lr"));
    if (c_.mode != "mean" && s.linear_kind() && rate > 2)
      out.push_back(
          text::cat(kRls, ": lr/(1 - momentum) is ", rate, ", and with rls.mode=", c_.mode,
                    " steps of more than twice the minimiser's diverge; use a smaller lr"));
    const CorrelationSettings usual;
    const bool ema = c_.mode == "exact-ema";
    const auto unread = [&](bool set, bool read, const char* name) {
      if (set && !read)
        out.push_back(text::cat(kRls, ": ", name, " has no effect with rls.mode=", c_.mode));
    };
    unread(c_.k != usual.k, !c_.exact(), "rls.k");
    unread(c_.cap != usual.cap, !ema, "rls.cap");
    unread(c_.damping != usual.damping, ema, "rls.damping");
    unread(c_.every != usual.every, ema, "rls.every");
    return out;
  }

  void state(StateIO io) override {
    for (const ParamPtr& param : params_) {
      if (!io.is_loading()) {
        if (const auto found = layers_.find(param->name); found != layers_.end())
          found->second.save(io, param->name);
      } else {
        read(io, param->name, param->value.scalar_type());
      }
      features_.state(io, param->name);
    }
  }

 private:
  /// The operation's other parameter with as many numbers as outputs, if it learns.
  static ParamPtr bias_of(const ParamPtr& weight, const Op& op, int64_t outputs, Store& gradients) {
    ParamPtr out;
    for (const ParamPtr& param : op.params())
      if (param != weight && param->value.numel() == outputs && gradients.of(*param)) out = param;
    return out;
  }

  /// Some of a map's inputs, one behind the other.
  struct Block {
    int64_t from;
    InverseCorrelation p;
    SeenRows seen = {};
  };

  struct Layer {
    ParamPtr weight, bias;      ///< bias null: none that learns
    std::vector<Block> blocks;  ///< of the inputs, the bias's behind the others
    int64_t inputs = 0;         ///< without the bias's
    TensorMap loaded = {};      ///< of a checkpoint, until the first signal says what it belongs to

    bool has_rows() const { return !blocks.empty() && blocks[0].seen.count() > 0; }

    void take(const WeightRows& rows, bool all) {
      if (rows.inputs.defined()) return take(rows.inputs, all);
      // A few samples at a time: all windows at once would take many times the memory of the
      // images.
      const int64_t few = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, rows.per_sample));
      Tensor sum;
      for (int64_t from = 0; from < rows.samples; from += few) {
        const Tensor some = rows.of(from, std::min(from + few, rows.samples)).first;
        if (all) {
          take(some, true);
        } else {
          sum = sum.defined() ? sum + some.sum(0) : some.sum(0);
        }
      }
      if (!all) take_sum(sum, rows.samples * rows.per_sample);
    }
    void take(const Tensor& rows, bool all) {
      if (!all) return take_sum(rows.sum(0), rows.size(0));
      const Tensor whole =
          bias ? at::cat({rows, at::ones({rows.size(0), 1}, rows.options())}, 1) : rows.clone();
      for (Block& block : blocks) block.seen.add(whole.narrow(1, block.from, block.p.inputs()));
    }
    void take_sum(Tensor sum, int64_t rows) {
      if (bias) sum = at::cat({sum, at::full({1}, static_cast<double>(rows), sum.options())});
      for (Block& block : blocks)
        block.seen.add_sum(sum.narrow(0, block.from, block.p.inputs()), rows);
    }

    /// "fc1.weight.p", and of further blocks "fc1.weight.p1", ...
    static std::string key(const std::string& name, size_t block) {
      return name + ".p" + (block ? std::to_string(block) : "");
    }
    void save(StateIO io, const std::string& name) {
      for (size_t b = 0; b < blocks.size(); ++b) blocks[b].p.state(io, key(name, b));
      for (auto& [entry, value] : loaded) io.tensor(entry, value);
    }
  };

  void read(StateIO io, const std::string& name, at::ScalarType type) {
    layers_.erase(name);
    for (size_t b = 0; io.has(Layer::key(name, b)); ++b) {
      const std::string key = Layer::key(name, b);
      TensorMap& loaded = layers_[name].loaded;
      for (const char* part : {"", ".sigma", ".age"}) {
        if (!io.has(key + part)) continue;
        Tensor found;
        io.tensor(key + part, found);
        if (*part != '.' &&
            (found.dim() != 2 || found.size(0) != found.size(1) || found.scalar_type() != type))
          throw Error("checkpoint entry '" + key + "' is no square matrix of the run's numbers: " +
                      "it is damaged or another run's");
        loaded[key + part] = found;
      }
    }
  }

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

  /// Notes parameters of operations that are not affine, or whose channels are in groups, with a
  /// name for the operation.
  void look_at(const Graph& net) {
    for (const Node& node : net.nodes()) {
      if (!node.op) continue;
      if (const Graph* parts = node.op->parts()) {
        look_at(*parts);
      } else if (!shows_rows(*node.op)) {
        for (const ParamPtr& param : node.op->params())
          without_rows_[param.get()] = "the " + node.op->type() + " '" + node.name + "'";
      }
    }
  }

  static bool shows_rows(const Op& op) {
    if (op.gain()) return true;
    const std::optional<Channels> channels = op.channels();
    return op.traits().affine && op.weight() && !(channels && channels->groups > 1);
  }

  void place(Layer& layer, const ParamPtr& weight, const Op& op, int64_t inputs,
             Store& gradients) const {
    layer.weight = weight;
    layer.inputs = inputs;
    const int64_t outputs = weight->value.numel() / layer.inputs;
    layer.bias = bias_of(weight, op, outputs, gradients);
    const int64_t all = layer.inputs + (layer.bias ? 1 : 0), most = max_dim_ > 0 ? max_dim_ : all;
    if (std::min(all, most) > max_inputs_)
      throw Refusal(kRls,
                    text::cat("'", weight->name, "' has ", all,
                              " inputs, whose autocorrelation takes the square of that"),
                    "raise rls.max-inputs to have it all the same, or cut it into blocks with "
                    "rls.max-dim");
    for (int64_t from = 0; from < all; from += most)
      layer.blocks.push_back(
          {from, InverseCorrelation(std::min(most, all - from), weight->value.options(), c_)});
    if (layer.loaded.empty()) return;
    size_t known = 0;
    while (layer.loaded.count(Layer::key(weight->name, known))) ++known;
    if (known != layer.blocks.size())
      throw Error(text::cat("the checkpoint has ", known, " blocks of '", weight->name,
                            "', but rls.max-dim makes ", layer.blocks.size(),
                            ": it is another run's"));
    for (size_t b = 0; b < known; ++b)
      layer.blocks[b].p.state(StateIO::loading(layer.loaded), Layer::key(weight->name, b));
    layer.loaded.clear();
  }

  /// The gradient of a layer becomes its direction, and P takes the rows of the step.
  void advance(Layer& layer, Store& gradients) const {
    Slot* to_weight = gradients.of(*layer.weight);
    Slot* to_bias = layer.bias ? gradients.of(*layer.bias) : nullptr;
    to_weight->settle();
    Tensor g = to_weight->into.reshape({-1, layer.inputs});
    if (l1_ > 0) g = g + l1_ * layer.weight->value.sign().reshape({-1, layer.inputs});
    if (to_bias) {
      to_bias->settle();
      Tensor column = to_bias->into.reshape({-1, 1});
      if (l1_ > 0) column = column + l1_ * layer.bias->value.sign().reshape({-1, 1});
      g = at::cat({g, column}, 1);
    }
    std::vector<Tensor> parts;
    for (Block& block : layer.blocks)
      parts.push_back(block.p.advance(g.narrow(1, block.from, block.p.inputs()), block.seen));
    const Tensor along = parts.size() == 1 ? parts[0] : at::cat(parts, 1);
    to_weight->into.copy_(along.narrow(1, 0, layer.inputs).reshape(to_weight->into.sizes()));
    to_weight->fresh = false;
    if (to_bias) {
      to_bias->into.copy_(along.select(1, layer.inputs).reshape(to_bias->into.sizes()));
      to_bias->fresh = false;
    }
  }

  /// Looks at the numbers of all layers at once, because reading one stops a GPU.
  static void check_finite(const std::vector<std::pair<std::string, Tensor>>& sound) {
    std::vector<Tensor> all;
    for (const auto& [weight, number] : sound) all.push_back(number.to(at::kDouble));
    if (all.empty() || at::stack(all).isfinite().all().item<bool>()) return;
    for (const auto& [weight, number] : sound)
      if (!number.isfinite().item<bool>())
        throw Diverged(text::cat(kRls, ": the autocorrelation of the inputs of '", weight,
                                 "' is no longer finite; use a smaller learning rate, or rls.lambda "
                                 "nearer to 1"));
  }

  CorrelationSettings c_;
  double l1_ = 0;
  int64_t max_inputs_ = 16384, max_dim_ = 0;
  std::string rest_ = "refuse";
  std::vector<ParamPtr> params_;
  std::map<std::string, Layer> layers_;  ///< by the weight's name
  FeatureCorrelations features_{c_};
  std::map<const Param*, std::string> without_rows_;
};

const RegisterDirection registered_recursive_least_squares{
    {.name = kRls,
     .summary = "gradients times the inverse autocorrelation of what each affine map saw, which is "
                "followed along the mean input of every step or along all inputs",
     .source = "Zhang, Song, Zhou, Ou, Deng, Yang 2021, arXiv 2109.03220",
     .make = [] { return std::make_unique<RecursiveLeastSquares>(); },
     .order = 20}};

}  // namespace

}  // namespace altprop

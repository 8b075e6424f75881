// Direct feedback alignment: every layer receives a fixed random projection of the output error.
// A. Nokland, "Direct feedback alignment provides learning in deep neural networks", 2016, arXiv
// 1609.01596: h' = e D instead of h' = delta W (its equation 7), e = dLoss/d(network output).
//
// Where the projection enters (dfa.place):
//   weight-input  it replaces the input credit of every weight operation; credit of skip
//                 connections is added (A. Sanfiz, M. Akrout, 2021, arXiv 2108.13446). For a
//                 convolution D is a bank of C kernels, e is spread over all output positions and
//                 D takes the kernel's place in the convolution's own derivative.
//   activation    it replaces the credit of whole activations, and nothing else arrives there
//                 (Nokland).
// What is projected (dfa.error): e; sign(e); or the target (C. Frenkel, M. Lefebvre, D. Bol, 2021,
// arXiv 1909.01311). dfa.shared: one matrix for all layers, each using its first columns (J. Launay
// et al., 2020, arXiv 2006.12878).
//
// All D are columns of one matrix, so that all projections of a step are one product; no credit
// goes through a hidden weight at all.
#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/feedback/kernel_coverage.h"
#include "altprop/rules/registry.h"
#include "altprop/tensor/linear.h"

namespace altprop {

namespace {

class DirectFeedbackAlignment : public FeedbackRule {
 public:
  void declare(Options& o) override {
    FeedbackRule::declare(o);
    o.choice(
        "dfa.place", place_, {"weight-input", "activation"},
        {"what the projected error replaces: the input credit of each weight operation, or the "
         "credit of whole activations",
         "", "Sanfiz & Akrout 2021, arXiv 2108.13446; Nokland 2016, arXiv 1609.01596",
         "networks with more than maps and activations between layers"});
    o.choice("dfa.error", error_, {"e", "sign", "target"},
             {"what is projected: the output error, its sign, or the target", "",
              "Frenkel, Lefebvre, Bol 2021, arXiv 1909.01311 (sign, target)"});
    o.flag("dfa.shared", shared_,
           {"one matrix for all layers, uniform in +-1 / sqrt(widest layer); each layer uses its "
            "first columns",
            "", "Launay et al. 2020, arXiv 2006.12878"});
    o.list("dfa.points", named_points_,
           {"activation placement: operations whose outputs receive the projected error; default: "
            "all that feed a weight operation"});
    o.integer("dfa.max-outputs", max_outputs_, {.min = 1},
              {"largest number of values of a spatial output", "values", "",
               "networks beyond it, which are refused"});
  }

  std::vector<Unread> unread() const override {
    std::vector<Unread> out = FeedbackRule::unread();
    unless(!shared_, out, "feedback.init", "dfa.shared=true, whose matrix is uniform");
    return out;
  }

  void admit(const Graph& net, const Loss& loss) const override {
    if (const size_t n = net.output_nodes().size(); n != 1)
      throw Refusal(
          "network",
          text::cat("direct feedback projects one output error, but there are ", n, " outputs"),
          "use a network with one output");
    FeedbackRule::admit(net, loss);
    const Sites sites(net);
    // A projected error knows nothing of the step size and of the stage's weight.
    for (const SiteInfo& site : sites.all())
      if (site.node->op && site.node->op->parts() && site.node->op->parts() != site.node->op.get())
        throw Refusal("node '" + site.name + "'",
                      "direct feedback would bring the whole error to each of the evaluations that '" +
                          site.node->op->type() + "' makes of its parts",
                      "use feedback-alignment");
    find_points(sites);
  }

  void set_up() override {
    FeedbackRule::set_up();
    const Sites sites(net());
    sources_.clear();
    for (const SiteInfo& site : sites.all()) sources_.push_back(site.inputs);
    output_ = sites.output();
    output_name_ = sites[output_].name;
    output_weight_ = sites[output_].op()->weight();
    std::tie(points_, blocks_) = find_points(sites);
    point_at_.assign(sites.size(), -1);
    for (size_t i = 0; i < points_.size(); ++i)
      point_at_[static_cast<size_t>(points_[i].site)] = static_cast<int>(i);
    tokens_ = sites[output_].node->spec.shape.size() == 2;
    joins_ = false;
    for (const SiteInfo& site : sites.all()) joins_ |= site.inputs.size() > 1;
    point_names_.clear();
    for (const Point& point : points_) point_names_.push_back(sites[point.site].name);
    draw_matrix(net().options());
    for (Point& point : points_)
      if (point.kernel)
        point.coverage = kernel_coverage(*sites[point.site].node, point.shape,
                                         IntArrayRef(blocks_[point.block].shape).slice(1));
  }

  bool needs_loss() const override { return error_ == "target"; }

  /// Only the output layer's D has the shape of a weight.
  std::vector<FeedbackFact> feedback() const override {
    std::vector<FeedbackFact> facts;
    for (const Point& point : points_) {
      const Block& block = blocks_[point.block];
      if (output_weight_ && point.feeds == output_ && !point.kernel &&
          output_weight_->value.sizes() == IntArrayRef(block.shape))
        facts.push_back({output_name_, matrix_of(block), output_weight_->value});
    }
    return facts;
  }

  std::vector<std::string> warnings(const OptimizerSettings& settings) const override {
    std::vector<std::string> out = FeedbackRule::warnings(settings);
    if (place_ == "activation" && joins_)
      out.push_back("dfa.place=activation: skip connections carry no credit past " +
                    text::join(point_names_, ", ") + ", where the projected error replaces it");
    if (joins_)
      out.push_back(
          "direct feedback in a network with skip connections: activations may grow without bound "
          "and hidden layers may learn nothing of use; compare with rule last-layer-only");
    return out;
  }

  bool allows_in_place() const override { return !looks_at_gradients(); }

  void state(StateIO io) override {
    FeedbackRule::state(io);
    if (shared_) {
      io.tensor("feedback.shared", matrix_);
      return;
    }
    for (const Block& block : blocks_) {
      Tensor columns = matrix_.narrow(1, block.offset, block.columns);
      Tensor d = matrix_of(block).contiguous();
      io.tensor("feedback." + block.name, d);
      if (io.is_loading()) columns.copy_(d.view(columns.sizes()));
    }
  }

 protected:
  Credits emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) override {
    if (needs_loss()) targets_ = objective.targets();
    Credits to_inputs = FeedbackRule::emit(trace, objective, wanted, sink);
    projected_ = targets_ = Tensor();
    return to_inputs;
  }

  /// No weight has a substitute of its own shape.
  std::vector<int> substituted(const Sites&) const override { return {}; }

  Credits pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
               Sweep& sweep) override {
    const size_t here = static_cast<size_t>(site.number);
    if (place_ == "activation") {
      // Where the projected error replaces a credit, none needs to be computed.
      std::vector<char> uncut(wanted.begin(), wanted.end());
      const std::vector<int>& sources = sources_[here];
      for (size_t i = 0; i < uncut.size(); ++i)
        if (sources[i] >= 0 && point_at_[static_cast<size_t>(sources[i])] >= 0) uncut[i] = 0;
      return FeedbackRule::pull(site, saved, cot, {uncut.data(), uncut.size()}, sweep);
    }
    const int at = point_at_[here];
    if (at < 0) return FeedbackRule::pull(site, saved, cot, wanted, sweep);
    return {clipped(credit(points_[static_cast<size_t>(at)]))};
  }

  bool makes_credit() const override { return place_ == "activation"; }

  Tensor arrive(const Site& site, Tensor cot) override {
    if (site.number == output_) project(cot);
    const int at = place_ == "activation" ? point_at_[static_cast<size_t>(site.number)] : -1;
    return at < 0 ? cot : clipped(credit(points_[static_cast<size_t>(at)]));
  }

 private:
  /// D of one weight (weight-input placement: tied weights share it) or of one activation: some
  /// columns of the one matrix.
  struct Block {
    std::string name;            ///< of the first operation it serves
    std::vector<int64_t> shape;  ///< [C, ...]
    int64_t offset = 0, columns = 0;
  };
  /// A place where the projected error enters.
  struct Point {
    int site;   ///< weight-input: the weight operation; activation: the operation with this output
    int feeds;  ///< the weight operation behind it, or -1
    std::vector<int64_t> shape;  ///< of the credit of one sample
    size_t block = 0;
    bool kernel = false;   ///< D is a bank of convolution kernels
    Tensor coverage = {};  ///< kernel only: [taps, positions], see kernel_coverage
  };

  std::pair<std::vector<Point>, std::vector<Block>> find_points(const Sites& sites) const;
  void draw_matrix(at::TensorOptions options);
  void project(const Tensor& cot);
  Tensor credit(const Point& point) const;

  Tensor matrix_of(const Block& block) const {
    return matrix_.narrow(1, block.offset, block.columns).reshape(block.shape);
  }

  std::string place_ = "weight-input", error_ = "e";
  bool shared_ = false;
  std::vector<std::string> named_points_;
  int64_t max_outputs_ = 4096;

  int output_ = -1;
  ParamPtr output_weight_;
  std::vector<Point> points_;
  std::vector<Block> blocks_;
  std::vector<int> point_at_;              ///< per site: its point, or -1
  std::vector<std::vector<int>> sources_;  ///< per site: SiteInfo::inputs
  std::string output_name_;
  std::vector<std::string> point_names_;
  bool tokens_ = false;  ///< the output is one error per token
  bool joins_ = false;   ///< some operation has several inputs
  Tensor matrix_;        ///< [C, columns of all blocks]
  Tensor targets_;       ///< of the step in progress
  Tensor projected_;     ///< of the step in progress: [rows of the error, columns of all blocks]
};

std::pair<std::vector<DirectFeedbackAlignment::Point>, std::vector<DirectFeedbackAlignment::Block>>
DirectFeedbackAlignment::find_points(const Sites& sites) const {
  std::vector<Point> points;
  std::vector<Block> blocks;
  const Spec& output = sites[sites.output()].node->spec;
  if (output.shape.size() > 2 && output.numel() > max_outputs_)
    throw Refusal("network",
                  text::cat("its spatial output has ", output.numel(),
                            " values, and every layer would need a matrix with as many rows (the "
                            "limit dfa.max-outputs is ",
                            max_outputs_, ")"),
                  "use feedback-alignment");
  const bool tokens = output.shape.size() == 2;
  const int64_t width = tokens ? output.shape[1] : output.numel();
  std::vector<const Param*> owner;  // per block: the weight it belongs to

  auto add = [&](int site, int feeds, const Spec& spec, const std::string& name) {
    Point point{.site = site, .feeds = feeds, .shape = spec.shape};
    const Op* behind = place_ == "weight-input" ? sites[feeds].op() : nullptr;
    const ParamPtr weight = behind ? behind->weight() : ParamPtr();
    const std::optional<Channels> channels = behind ? behind->channels() : std::nullopt;
    point.kernel = channels && !channels->last;
    if (tokens && (point.kernel || point.shape.size() != 2 || point.shape[0] != output.shape[0]))
      throw Refusal("node '" + name + "'",
                    text::cat("the error of ", output.shape[0],
                              " tokens is projected token by token, but samples have the shape ",
                              shape_text(point.shape), " here"),
                    "use feedback-alignment");
    auto known = std::find(owner.begin(), owner.end(), weight.get());
    point.block = static_cast<size_t>(known - owner.begin());
    if (!weight || known == owner.end()) {
      Block block{.name = name, .shape = {width}};
      if (point.kernel) {
        const auto kernel = weight->value.sizes().slice(1);
        block.shape.insert(block.shape.end(), kernel.begin(), kernel.end());
      } else {
        block.shape.push_back(channels || tokens ? spec.shape.back() : spec.numel());
      }
      block.columns = 1;
      for (size_t i = 1; i < block.shape.size(); ++i) block.columns *= block.shape[i];
      point.block = blocks.size();
      blocks.push_back(std::move(block));
      owner.push_back(weight.get());
    }
    points.push_back(std::move(point));
  };

  const std::vector<int> weighted = FeedbackRule::substituted(sites);
  auto fed_by = [&](int source) {
    for (int id : weighted)
      if (sites[id].inputs[0] == source) return id;
    return -1;
  };
  if (place_ == "weight-input") {
    if (!named_points_.empty())
      throw Refusal("dfa.points", "weight-input placement has a point at every weight operation",
                    "use dfa.place=activation, or feedback.skip to leave operations out");
    for (int id : weighted) {
      const Node& node = *sites[id].node;
      const Spec& in = sites[id].graph->node(node.inputs[0]).spec;
      const std::string& name = sites[id].name;
      const std::optional<Channels> channels = node.op->channels();
      if (!channels && in.shape.size() > 1)
        throw Refusal("node '" + name + "'",
                      "the projected error has no kernel placement in a " + node.op->type() +
                          ", whose weight is not laid out by output channels",
                      "use dfa.place=activation");
      if (channels && channels->groups != 1)
        throw Refusal("node '" + name + "'",
                      "the projected error has no kernel placement in a grouped convolution",
                      "use dfa.place=activation");
      add(id, id, in, name);
    }
    return {points, blocks};
  }
  std::vector<int> sources;
  for (const std::string& name : named_points_) {
    const int id = sites.find(name);
    if (id == sites.output())
      throw Refusal("node '" + name + "'", "it is the output, whose error is known exactly",
                    "name hidden operations in dfa.points");
    if (!sites[id].needs_credit)
      throw Refusal("node '" + name + "'", "no parameter at or before it needs credit",
                    "name an operation behind a weight in dfa.points");
    sources.push_back(id);
  }
  if (named_points_.empty())
    for (int id : weighted)
      if (sites[id].inputs[0] >= 0) sources.push_back(sites[id].inputs[0]);
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  for (int source : sources) {
    const int feeds = fed_by(source);
    // Named after the operation behind it, so that both placements draw the same D in plain nets.
    add(source, feeds, sites[source].node->spec,
        feeds < 0 ? sites[source].name + ".output" : sites[feeds].name);
  }
  return {points, blocks};
}

void DirectFeedbackAlignment::draw_matrix(at::TensorOptions options) {
  int64_t total = 0, widest = 0;
  for (Block& block : blocks_) {
    block.offset = shared_ ? 0 : total;
    total += block.columns;
    widest = std::max(widest, block.columns);
  }
  if (blocks_.empty()) return;
  const int64_t width = blocks_[0].shape[0];
  auto thinned = [&](Tensor d, const std::string& name) {
    d.mul_(scale_);
    if (density_ < 1) d.mul_(stream("mask").at(name).bernoulli(density_, d.sizes(), d.options()));
    return d;
  };
  if (shared_) {
    const double bound = 1 / std::sqrt(static_cast<double>(widest));
    matrix_ = thinned(stream("draw").at("shared").uniform(-bound, bound, {width, widest}, options),
                      "shared");
  } else {
    matrix_ = at::empty({width, total}, options);
    for (const Block& block : blocks_) {
      Tensor d = thinned(
          Initialiser(init_).draw(block.shape, stream("draw").at(block.name), options), block.name);
      matrix_.narrow(1, block.offset, block.columns).copy_(d.view({width, block.columns}));
    }
  }
}

void DirectFeedbackAlignment::project(const Tensor& cot) {
  if (!matrix_.defined()) return;
  const Tensor error = error_ == "e"      ? cot
                       : error_ == "sign" ? cot.sign()
                                          : Loss::as_rows(targets_, cot);
  projected_ = gemm(error.reshape({-1, matrix_.size(0)}), matrix_);
}

Tensor DirectFeedbackAlignment::credit(const Point& point) const {
  if (!projected_.defined()) return {};  // a branch that does not lead to the output
  const Block& block = blocks_[point.block];
  const Tensor rows = projected_.narrow(1, block.offset, block.columns);
  std::vector<int64_t> shape{-1};
  shape.insert(shape.end(), point.shape.begin(), point.shape.end());
  if (point.kernel) {
    const Tensor channels = rows.reshape({-1, point.coverage.size(0)});
    return gemm(channels, point.coverage).view(shape);
  }
  if (block.columns == Spec{point.shape}.numel()) return rows.reshape(shape);
  // A layer of several positions per sample: one error per token, or the sample's error to each.
  if (tokens_) return rows.reshape(shape);
  std::vector<int64_t> one(point.shape.size() + 1, 1);
  one.front() = rows.size(0);
  one.back() = block.columns;
  shape[0] = rows.size(0);
  return rows.reshape(one).expand(shape);
}

const RegisterRule registered_direct_feedback_alignment{
    {.name = "direct-feedback-alignment",
     .aliases = {"dfa"},
     .summary = "each layer receives a fixed random projection of the output error",
     .assumes = "feedback synapses from the output to every layer, fixed",
     .source = "Nokland 2016, arXiv 1609.01596",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<DirectFeedbackAlignment>(); },
     .order = 20,
     .reaches = 0.68,
     .refuses_sequences = true}};

}  // namespace

}  // namespace altprop

#include "altprop/rules/feedback/feedback_rule.h"

#include <set>

#include "altprop/base/error.h"
#include "altprop/network/gradients.h"

namespace altprop {

void FeedbackRule::declare(Options& o) {
  o.checked_text("feedback.init", init_, Initialiser::grammar(),
                 [](const std::string& s) { Initialiser{s}; },
                 {"distribution of the feedback tensors", "",
                  "default of Sanfiz & Akrout 2021, arXiv 2108.13446"});
  o.number("feedback.scale", scale_, {.min = 0, .min_excluded = true},
           {"factor on the feedback tensors", "1"});
  o.number("feedback.density", density_, {.min = 0, .max = 1, .min_excluded = true},
           {"probability that a feedback entry exists; the mask is drawn once", "1"});
  o.integer("feedback.seed", feedback_seed_, {.min = -1},
            {"seed of everything the feedback draws; -1: the run's seed + 1"});
  o.flag("feedback.exact-last", exact_last_,
         {"exact credit through the last operation", "", "Xiao et al. 2018, arXiv 1811.03567"});
  o.list("feedback.skip", skip_, {"operations kept on exact credit, by name"});
  o.number("feedback.grad-clip", grad_clip_, {.min = 0},
           {"bound on the entries of input credits and weight gradients (of the batch-mean loss); "
            "0 is off",
            "1", "Sanfiz & Akrout 2021, arXiv 2108.13446"});
  o.flag("feedback.weight-norm", weight_norm_,
         {"keep every weight's Frobenius norm at its initial value", "",
          "Moskovitz, Litwin-Kumar, Abbott 2018, arXiv 1812.06488"});
  o.choice("feedback.norm-gain", norm_gain_, {"exact", "one"},
           {"credit through batch and layer norm: with the learnt gain, or as if it were one"});
  o.flag("feedback.allow-exact", allow_exact_,
         {"accept operations that hide their weights and pass exact credit through them"});
}

std::vector<Unread> FeedbackRule::unread() const {
  std::vector<Unread> out;
  bool norms = false, hidden = false;
  const Sites sites(net());
  for (int leaf : sites.leaves()) {
    const Op& op = *sites[leaf].op();
    norms |= op.gain() != nullptr;
    hidden |= !op.traits().substitutable && !op.params().empty();
  }
  unless(norms, out, "feedback.norm-gain", "a network without norms");
  unless(hidden, out, "feedback.allow-exact", "a network that hides no weights");
  return out;
}

void FeedbackRule::admit(const Graph& net, const Loss&) const {
  net.output_node();
  const Sites sites(net);
  bool any = false;
  for (const SiteInfo& site : sites.all()) {
    if (!site.is_leaf()) continue;
    any |= site.op()->weight() != nullptr;
    if (!site.op()->traits().substitutable && !allow_exact_ && !site.op()->params().empty())
      throw Refusal("node '" + site.name + "'",
                    "it hides its weights, so they cannot be substituted",
                    "set feedback.allow-exact=true to treat it as exact backprop");
  }
  if (!any)
    throw Refusal("network", "no operation has a weight that a feedback tensor could stand for",
                  "use backprop");
  for (const std::string& name : skip_)
    if (const SiteInfo& site = sites[sites.find(name)]; !site.is_leaf() || !site.op()->weight())
      throw Refusal("node '" + name + "'", "it has no weight, so its credit is exact anyway",
                    "name operations with weights in feedback.skip");
}

void FeedbackRule::set_up() {
  stream_ = Stream(feedback_seed_ >= 0 ? static_cast<uint64_t>(feedback_seed_) : seed() + 1)
                .at("feedback");
  paths_.clear();
  path_index_.clear();
  const Sites sites(net());
  path_at_.assign(sites.size(), -1);
  for (int id : substituted(sites)) {
    const SiteInfo& site = sites[id];
    const ParamPtr weight = site.op()->weight();
    auto [at, fresh] = path_index_.try_emplace(weight.get(), paths_.size());
    if (fresh) {
      Path path{.weight = weight, .name = site.name};
      if (density_ < 1)
        path.mask = stream("mask").at(site.name).bernoulli(density_, weight->value.sizes(),
                                                           weight->value.options());
      path.m = draw(path, stream("draw").at(site.name));
      paths_.push_back(std::move(path));
    }
    paths_[at->second].sites.push_back(id);
    path_at_[static_cast<size_t>(id)] = static_cast<int>(at->second);
  }
  unit_gains_.assign(sites.size(), Tensor());
  if (norm_gain_ == "one")
    for (int leaf : sites.leaves())
      if (const ParamPtr gain = sites[leaf].op()->gain())
        unit_gains_[static_cast<size_t>(leaf)] = at::ones_like(gain->value);
  norms_.clear();
  if (!weight_norm_) return;
  std::set<const Param*> seen;
  for (int leaf : sites.leaves()) {
    const ParamPtr weight = sites[leaf].op()->weight();
    if (!weight || !seen.insert(weight.get()).second) continue;
    // A weight that starts at zero has no norm to keep.
    if (const double norm = weight->value.norm().item<double>(); norm > 0)
      norms_.push_back({weight, norm});
  }
}

std::vector<int> FeedbackRule::substituted(const Sites& sites) const {
  std::vector<int> crossed = sites.crossed_weights(wants_input_credit());
  if (exact_last_ && !crossed.empty()) crossed.pop_back();
  for (const std::string& name : skip_) std::erase(crossed, sites.find(name));
  return crossed;
}

Tensor FeedbackRule::draw_random(const Path& path, const Stream& stream) const {
  Tensor m =
      Initialiser(init_).draw(path.weight->value.sizes(), stream, path.weight->value.options());
  if (scale_ != 1) m.mul_(scale_);
  if (path.mask.defined()) m.mul_(path.mask);
  return m;
}

FeedbackRule::Path* FeedbackRule::path_of(const Param* weight) {
  auto it = path_index_.find(weight);
  return it == path_index_.end() ? nullptr : &paths_[it->second];
}

Credits FeedbackRule::emit(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) {
  for (Path& path : paths_) prepare(path, trace.look);
  clip_at_ = grad_clip_ * objective.samples();
  Credits to_inputs;
  within_bounds(sink, [&](Sink& to) { to_inputs = sweep(trace, objective, wanted, to); });
  return to_inputs;
}

void FeedbackRule::within_bounds(Sink& sink,
                                 const std::function<void(Sink&)>& emit) const {
  if (grad_clip_ == 0) return emit(sink);
  Gradients whole;
  emit(whole);
  for (const ParamPtr& param : net().params())
    if (Tensor found = whole.of_param(*param); found.defined())
      found.clamp_(-grad_clip_, grad_clip_);
  for (const auto& [param, found] : whole.all()) sink.take(ParamSignal{param, found});
}

Credits FeedbackRule::sweep(Trace& trace, const Objective& objective, Wanted wanted, Sink& sink) {
  return sweep_back(trace, objective, wanted, *this, sink);
}

Credits FeedbackRule::pull(const Site& site, const Saved& saved, const Tensor& cot, Wanted wanted,
                           Sweep& sweep) {
  const Tensor& m = substitute_at(site.number);
  Credits out = site.node.op->credit(saved, cot, wanted, m.defined() ? &m : nullptr, sweep);
  return path_at(site.number) ? clipped(std::move(out)) : out;
}

Credits FeedbackRule::clipped(Credits credits) const {
  for (Tensor& credit : credits) credit = clipped(std::move(credit));
  return credits;
}

Tensor FeedbackRule::clipped(Tensor credit) const {
  return clip_at_ > 0 && credit.defined() ? credit.clamp(-clip_at_, clip_at_) : credit;
}

void FeedbackRule::after_update(const StepFacts&, const Step&) {
  for (NormKept& kept : norms_) {
    const double norm = kept.weight->value.norm().item<double>();
    if (norm > 0) kept.weight->value.mul_(kept.norm / norm);
  }
}

std::vector<FeedbackFact> FeedbackRule::feedback() const {
  std::vector<FeedbackFact> facts;
  for (const Path& path : paths_) {
    const Tensor m = substitute(path);
    facts.push_back({path.name, m.defined() ? m : path.weight->value, path.weight->value});
  }
  return facts;
}

void FeedbackRule::state(StateIO io) {
  if (keeps_substitutes())
    for (Path& path : paths_)
      if (path.m.defined()) io.tensor("feedback." + path.name, path.m);
  for (NormKept& kept : norms_) io.number("norm." + kept.weight->name, kept.norm);
}

}  // namespace altprop

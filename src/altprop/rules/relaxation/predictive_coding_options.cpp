#include "altprop/rules/relaxation/predictive_coding_options.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"

namespace altprop {

void PredictiveCodingOptions::declare(Options& o) {
  o.choice("pc.mode", mode, {"fixed", "exact", "strict", "zil", "ipc", "epc"},
           {"what is frozen while values relax"});
  o.number("pc.eta", eta, {.min = 0, .max = 2, .min_excluded = true},
           {"step size of the relaxation; mode zil takes unit steps", "1",
            "code of arXiv 2006.04182 and arXiv 2106.13082"});
  o.integer("pc.steps", steps, {.min = 0},
            {"relaxation steps per batch; 0: 100 in mode fixed, 20 in the others", "steps",
             "code of arXiv 2006.04182 and arXiv 2106.13082"});
  o.choice("pc.schedule", schedule, {"synchronous", "gauss-seidel", "red-black"},
           {"all states from the same old values; each with its newest children; or odd and even "
            "distances from the loss in turn"});
  o.number("pc.momentum", momentum, {.min = 0, .max = 1},
           {"momentum of the value steps in modes strict and ipc", "1"});
  o.number("pc.tolerance", tolerance, {.min = 0},
           {"stop when no state is pulled by more than this part of 1 + its norm (mode fixed: of "
            "its norm); 0: never before pc.steps",
            "1"});
  o.number("pc.beta", beta, {.min = 0, .min_excluded = true},
           {"weight of the loss in the energy (precision of the output); credits are divided by "
            "it",
            "1"});
  o.choice("pc.nudging", nudging, {"positive", "negative", "centred"},
           {"the output is drawn to the target; pushed away from it, with credits of the opposite "
            "sign; or both in turn, averaged",
            "", "Pinchetti et al. 2024, arXiv 2407.01163"});
  o.choice("pc.output", output, {"loss", "clamp"},
           {"the loss is part of the energy; or the output is held at its prediction moved by "
            "pc.beta towards the target"});
  o.list("pc.precision", precision_texts,
         {"precision of the hidden states' errors: one number, or one per hidden state from the "
          "input on",
          "1"});
  o.choice("pc.integrator", integrator, {"euler", "heun", "adaptive"},
           {"modes strict and ipc: fixed steps of first or second order; or steps chosen from an "
            "error estimate until pc.time (strict only)",
            "", "Innocenti et al. 2024, arXiv 2412.03676"});
  o.number("pc.time", time, {.min = 0, .min_excluded = true},
           {"pc.integrator=adaptive: time to integrate to, in which pc.eta is the first step",
            "steps of length 1", "arXiv 2412.03676"});
  o.number("pc.step-error", step_error, {.min = 0, .min_excluded = true},
           {"pc.integrator=adaptive: error of a step that is tolerated, absolute and relative", "1",
            "arXiv 2412.03676"});
  o.integer("pc.most-steps", most_steps, {.min = 1, .max = 1e9},
            {"pc.integrator=adaptive: give up after so many steps, rejected ones among them; it is "
             "said where that happens before pc.time",
             "steps"});
  o.flag("pc.level", level,
         {"insert identity states on short ways, so that credit arrives at each state once", "", "",
          "networks with ways of different length"});
  o.choice("pc.values", values, {"post", "pre"},
           {"a value is what a layer's activation returns, or what enters it", "", "",
            "modes in which Jacobians move, and networks that are no plain chain"});
  o.integer("pc.ipc-warmup", ipc_warmup, {.min = 0},
            {"mode ipc: value steps before the first weight step", "steps"});
  o.integer("pc.ipc-interval", ipc_interval, {.min = 1},
            {"mode ipc: value steps per weight step", "steps"});
  o.choice("pc.engine", engine, {"auto", "loop", "fast-forward"},
           {"mode fixed: iterate, or compute the exact result of all steps at once"});
}

int64_t PredictiveCodingOptions::number_of_steps() const {
  return steps > 0 ? steps : mode == "fixed" ? 100 : 20;
}
Order PredictiveCodingOptions::order() const {
  return schedule == "synchronous"    ? Order::Synchronous
         : schedule == "gauss-seidel" ? Order::GaussSeidel
                                      : Order::RedBlack;
}

std::vector<double> PredictiveCodingOptions::betas() const {
  if (nudging == "centred") return {beta, -beta};
  return {nudging == "negative" ? -beta : beta};
}

std::vector<double> PredictiveCodingOptions::given_precisions() const {
  std::vector<double> given;
  for (const std::string& text : precision_texts) {
    const std::optional<double> number = text::to_number(text);
    if (!number || !(*number > 0) || !std::isfinite(*number))
      throw UsageError("option 'pc.precision' must be numbers above 0, but '" +
                       text::printable(text) + "' is not");
    given.push_back(*number);
  }
  return given;
}

bool PredictiveCodingOptions::uneven() const {
  const std::vector<double> given = given_precisions();
  return std::any_of(given.begin(), given.end(), [&](double p) { return p != given[0]; });
}

double PredictiveCodingOptions::rate() const {
  const std::vector<double> given = given_precisions();
  return given.empty() || uneven() ? eta : eta * given[0];
}

std::vector<double> PredictiveCodingOptions::precisions(const StateGraph& graph) const {
  const std::vector<double> given = given_precisions();
  if (std::all_of(given.begin(), given.end(), [](double p) { return p == 1; })) return {};
  std::vector<double> out(graph.states.size(), 1);
  std::vector<size_t> hidden;
  for (size_t s = 0; s < graph.states.size(); ++s)
    if (!graph.states[s].input && !graph.states[s].output) hidden.push_back(s);
  if (given.size() != 1 && given.size() != hidden.size())
    throw UsageError(text::cat("option 'pc.precision' has ", given.size(), " numbers for ",
                               hidden.size(), " hidden states; give one, or one for each"));
  for (size_t i = 0; i < hidden.size(); ++i) out[hidden[i]] = given[given.size() == 1 ? 0 : i];
  return out;
}

std::vector<Unread> PredictiveCodingOptions::unread() const {
  std::vector<Unread> out;
  const bool adaptive = integrator == "adaptive", ipc = mode == "ipc", fixed = mode == "fixed",
             strict = mode == "strict";
  const std::string by_mode = "pc.mode=" + mode, by_integrator = "pc.integrator=" + integrator;
  for (const char* option : {"pc.time", "pc.step-error", "pc.most-steps"})
    unless(adaptive, out, option, by_integrator);
  unless(!adaptive && mode != "exact" && mode != "zil", out, "pc.steps",
         adaptive ? by_integrator : by_mode);
  unless(mode != "exact" && mode != "zil", out, "pc.eta", by_mode);
  unless(!linear(), out, "pc.beta", by_mode);  // what is divided by it is linear in it
  unless(strict || ipc, out, "pc.momentum", by_mode);
  unless(fixed || strict, out, "pc.tolerance", by_mode);
  unless(fixed || strict || ipc, out, "pc.schedule", by_mode);
  unless(fixed, out, "pc.engine", by_mode);
  if (fixed)
    unless(schedule != "red-black" && tolerance == 0 && !uneven(), out, "pc.engine",
           schedule == "red-black" ? "pc.schedule=red-black"
           : tolerance > 0         ? "pc.tolerance above 0"
                                   : "different numbers in pc.precision");
  unless(mode != "exact", out, "pc.precision", by_mode);
  unless(ipc, out, "pc.ipc-warmup", by_mode);
  unless(ipc, out, "pc.ipc-interval", by_mode);
  return out;
}

void PredictiveCodingOptions::refuse_what_has_no_effect(const Loss& loss) const {
  const std::string here = "pc.mode=" + mode;
  if (linear() && (nudging != "positive" || output != "loss"))
    throw Refusal(
        "predictive-coding",
        "in " + here +
            " the output's error is the loss's gradient, so pc.nudging and pc.output do nothing",
        "use pc.mode=strict or epc");
  if (nudging == "centred" && (mode == "ipc" || mode == "zil"))
    throw Refusal("predictive-coding",
                  "pc.nudging=centred relaxes twice before weights learn, " + here +
                      " lets them learn meanwhile",
                  "use pc.mode=strict or epc");
  if (output == "clamp" && !loss.squared())
    throw Refusal(
        "predictive-coding",
        "pc.output=clamp holds the output at a value, for which only the squared error is a loss",
        "use --loss squared-error or pc.output=loss");
  if (mode == "zil" && !precision_texts.empty())
    throw Refusal("predictive-coding", "pc.mode=zil takes unit steps of unit precision",
                  "leave pc.precision away");
  if (integrator == "euler") return;
  if (mode != "strict" && !(mode == "ipc" && integrator == "heun"))
    throw Refusal("predictive-coding", "pc.integrator=" + integrator + " is not for " + here,
                  "use pc.mode=strict or pc.integrator=euler");
  if (schedule != "synchronous" || momentum > 0)
    throw Refusal("predictive-coding",
                  "pc.integrator=" + integrator + " moves all states at once, without momentum",
                  "use pc.schedule=synchronous and pc.momentum=0");
}

void PredictiveCodingOptions::require_levels(const StateGraph& graph) {
  const std::vector<int> longest = graph.hops_to_output(true),
                         shortest = graph.hops_to_output(false);
  for (size_t s = 0; s < graph.states.size(); ++s)
    if (!graph.states[s].input && longest[s] != shortest[s])
      throw Refusal("node '" + graph.states[s].name + "'",
                    text::cat("its paths to the output have ", shortest[s], " and ", longest[s],
                              " hops, so credit arrives twice"),
                    "use pc.level=true, which inserts identity states on the short way, or "
                    "pc.mode=fixed");
}

}  // namespace altprop

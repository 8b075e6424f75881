#include "altprop/theory/settings.h"

#include <algorithm>

#include "altprop/base/text.h"

namespace altprop::theory {

namespace {

constexpr int64_t kWidest = 1 << 20;
constexpr const char* kSource = "Song, Xu, Lafferty 2021, arXiv 2106.06044";

/// The numbers of a list, each once and in [low, high].
std::vector<double> numbers(const std::string& list, double low, double high, bool whole) {
  std::vector<double> out;
  for (const std::string& part : text::split(list, ',')) {
    const auto value = text::to_number(text::trim(part));
    const bool ok =
        value && *value >= low && *value <= high && (!whole || text::to_integer(text::trim(part)));
    if (!ok || std::count(out.begin(), out.end(), *value))
      throw UsageError(text::cat("different ", whole ? "whole " : "", "numbers in [",
                                 text::from_number(low), ", ", text::from_number(high),
                                 "], separated by commas"));
    out.push_back(*value);
  }
  return out;
}

}  // namespace

void StudySettings::declare(Options& o) {
  o.choice("psi", psi, {"linear", "relu", "tanh", "sigmoid"},
           {"activation of the hidden layer", "", kSource});
  o.choice("data", data, {"auto", "lr", "nn"},
           {"targets: lr, linear in the inputs; nn, of another random network of this width and "
            "psi; auto, lr for "
            "linear psi and nn for others",
            "", kSource});
  o.choice("rule", rule, {"fa", "bp"},
           {"fixed random feedback, or exact backprop for comparison", "", kSource});
  o.checked_text("width", width,
                 text::cat("whole numbers in [1, ", kWidest, "] separated by commas"),
                 [](const std::string& s) { numbers(s, 1, kWidest, true); },
                 {"hidden units p", "units", kSource});
  o.checked_text("lambda", lambda, "numbers in [0, 1000] separated by commas",
                 [](const std::string& s) { numbers(s, 0, 1000, false); },
                 {"decay of the output weights, of the mean loss", "1", kSource});
  o.number("eta", eta, {.min = 0},
           {"learning rate of the mean loss; 0: the published one, 0.001 for linear, 0.01 for "
            "relu, 0.1 for others",
            "1", kSource});
  o.integer("repetitions", repetitions, {.min = 1, .max = 100000},
            {"repetitions of every cell, with data and weights of their own", "1", kSource});
  o.integer("samples", samples, {.min = 1, .max = 10000}, {"samples n", "samples", kSource});
  o.integer("inputs", inputs, {.min = 1, .max = 100000}, {"inputs d", "units", kSource});
  o.integer("steps", steps, {.min = 0, .max = 100000000},
            {"steps of every repetition; 0: the published rule, 5000 sqrt(p) / 14 and until the "
             "loss changes by less "
             "than 0.001 in 1000 steps",
             "steps", kSource});
  o.integer(
      "lambda-cutoff", lambda_cutoff, {.min = 0, .max = 100000000},
      {"the output weights decay in the first so many steps only; 0: in all", "steps", kSource});
  o.choice("form", form, {"auto", "full", "hidden", "reduced"},
           {"how trajectories are computed: full, by the weights; hidden, by the hidden layer's "
            "inputs; reduced, for "
            "linear psi and fa, at a cost that does not depend on the width; auto, the cheapest "
            "that applies"});
  o.choice("dtype", dtype, {"float32", "float64"}, {"precision"});
  o.integer("seed", seed, {.min = 0}, {"seed of everything that is drawn"});
  o.integer("threads", threads, {.min = 0, .max = 4096}, {"threads; 0: all cores", "threads"});
}

void StudySettings::complete() {
  const bool reducible = psi == "linear" && rule == "fa";
  if (form == "auto") form = reducible ? "reduced" : "hidden";
  if (form == "reduced" && !reducible)
    throw Refusal("option 'form'", "the reduced form is of linear psi and random feedback only",
                  "use --form hidden or --form auto");
  if (data == "auto") data = psi == "linear" ? "lr" : "nn";
  if (eta == 0) eta = psi == "linear" ? 1e-3 : psi == "relu" ? 1e-2 : 0.1;
}

std::vector<int64_t> StudySettings::widths() const {
  std::vector<int64_t> out;
  for (double w : numbers(width, 1, kWidest, true)) out.push_back(static_cast<int64_t>(w));
  return out;
}

std::vector<double> StudySettings::lambdas() const { return numbers(lambda, 0, 1000, false); }

CellSettings StudySettings::cell(int64_t p, double lambda_value) const {
  CellSettings out;
  out.psi = psi_of(psi);
  out.teacher = data;
  out.exact = rule == "bp";
  out.size = {samples, inputs, p};
  out.eta = eta;
  out.lambda = lambda_value;
  out.lambda_cutoff = lambda_cutoff;
  out.repetitions = repetitions;
  out.stop = StopRule::published(p);
  if (steps > 0) {
    out.stop.steps = steps;
    out.stop.settle = false;
  }
  out.form = form == "full" ? Form::Full : form == "hidden" ? Form::Hidden : Form::Reduced;
  out.dtype = dtype == "float32" ? at::kFloat : at::kDouble;
  out.seed = static_cast<uint64_t>(seed);
  return out;
}

nlohmann::json StudySettings::shared() const {
  return {
      {"psi", psi},         {"data", data},     {"rule", rule},   {"eta", eta},
      {"samples", samples}, {"inputs", inputs}, {"steps", steps}, {"lambda-cutoff", lambda_cutoff},
      {"dtype", dtype},     {"seed", seed}};
}

}  // namespace altprop::theory

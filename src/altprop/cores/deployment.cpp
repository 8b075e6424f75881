#include "altprop/cores/deployment.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/member.h"

namespace altprop::cores {

namespace {

constexpr int64_t kMostMembers = 100'000;
/// Images whose lines and counts are in memory at once.
constexpr int64_t kImagesInMemory = 1000;

struct Moments {
  double mean = 0, deviation = 0, least = 0, most = 0;
};

Moments moments_of(const std::vector<double>& values) {
  Moments out;
  if (values.empty()) return out;
  const double n = static_cast<double>(values.size());
  for (const double v : values) out.mean += v / n;
  for (const double v : values) out.deviation += (v - out.mean) * (v - out.mean);
  out.deviation = values.size() > 1 ? std::sqrt(out.deviation / (n - 1)) : 0;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  out.least = *least;
  out.most = *most;
  return out;
}

/// Position of a word in a list of choices.
template <class Enum>
Enum one_of(const std::string& word, const std::vector<std::string>& words) {
  return static_cast<Enum>(std::find(words.begin(), words.end(), word) - words.begin());
}

/// What a block of members fires for all images: int32 [members, N, classes].
class Block {
 public:
  Block(const Mapping& mapping, const DeploySettings& settings, int64_t first, int64_t members)
      : settings_(settings), block_(first / kMembersAtOnce), classes_(mapping.classes) {
    engine_ = make_engine(settings.engine_kind(), mapping);
    const LeakMode leaks = one_of<LeakMode>(settings.leak, {"round", "stochastic"});
    for (int64_t m = 0; m < members; ++m)
      engine_->add(draw_member(mapping, static_cast<uint64_t>(settings.seed), first + m, leaks));
  }

  Tensor counts(const Tensor& values, const Tensor& ids) const {
    const Encoding encoding = settings_.encoding();
    std::vector<Tensor> parts;
    for (int64_t from = 0; from < values.size(0); from += kImagesInMemory) {
      const int64_t n = std::min(kImagesInMemory, values.size(0) - from);
      const Tensor some = values.narrow(0, from, n), numbers = ids.narrow(0, from, n).contiguous();
      Tensor sum = at::zeros({engine_->members(), n, classes_}, at::kInt);
      for (int64_t tick = 0; tick < settings_.ticks; ++tick)
        engine_->run(chances(some, encoding, tick, settings_.ticks), numbers,
                     spike_key(static_cast<uint64_t>(settings_.seed), block_, tick), sum);
      parts.push_back(std::move(sum));
    }
    return at::cat(parts, 1);
  }

 private:
  const DeploySettings& settings_;
  int64_t block_, classes_;
  std::unique_ptr<Engine> engine_;
};

void check_images(const Mapping& mapping, const Tensor& values, const Tensor& ids,
                  const Tensor& targets) {
  const int64_t n = values.size(0);
  if (n == 0) throw UsageError("deploy: there are no images");
  if (values.numel() / n != mapping.inputs())
    throw UsageError(text::cat("deploy: the cores have inputs for ", mapping.inputs(),
                               " values of an image, but images have ", values.numel() / n));
  if (ids.scalar_type() != at::kLong || ids.sizes() != IntArrayRef({n}) ||
      targets.scalar_type() != at::kLong || targets.sizes() != IntArrayRef({n}))
    throw UsageError("deploy: images have a number and a class each");
  const auto [low, high] = at::aminmax(targets);
  if (low.item<int64_t>() < 0 || high.item<int64_t>() >= mapping.classes)
    throw UsageError(text::cat("deploy: classes from ", low.item<int64_t>(), " to ",
                               high.item<int64_t>(), " do not fit cores that vote for ",
                               mapping.classes));
}

}  // namespace

void DeploySettings::declare(Options& o) {
  o.checked_text("members", members, "numbers joined by commas",
                 [](const std::string& s) { DeploySettings{.members = s}.sizes(); },
                 {"sizes of the ensembles", "members", "Esser et al. 2015"});
  o.integer("draws", draws, {.min = 1, .max = 10'000},
            {"ensembles of each size, over which mean and deviation are taken"});
  o.integer("ticks", ticks, {.min = 1, .max = 1000}, {"of input for each image", "ticks"});
  o.choice(
      "input", input, encoding_names(),
      {"what a value in [0, 1] becomes: a spike with that chance, one above 1/2, as many as its "
       "share of the ticks, evenly spread or in the first ticks, or one the sooner it is large",
       "", "Esser et al. 2015"});
  o.choice(
      "leak", leak, {"round", "stochastic"},
      {"leaks as whole numbers: the nearest, or drawn for each member so that the mean is right"});
  o.choice("engine", engine, {"auto", "popcount", "float"},
           {"what runs the cores: bits, or products of matrices; spikes are the same"});
  o.number("energy.core-power", core_power, {.min = 0, .max = 1},
           {"what a core takes, for the estimate of the energy; 63e-6 to 82e-6 by the published "
            "figures",
            "watts", "Esser et al. 2015"});
  o.integer("seed", seed, {.min = 0}, {"of all draws"});
}

std::vector<int64_t> DeploySettings::sizes() const {
  std::set<int64_t> out;
  for (const std::string& part : text::split(members, ',')) {
    const auto size = text::to_integer(text::trim(part));
    if (!size || *size < 1 || *size > kMostMembers)
      throw UsageError(text::cat("whole numbers from 1 to ", kMostMembers,
                                 " joined by commas, as in 1,4,16,64"));
    out.insert(*size);
  }
  return {out.begin(), out.end()};
}

EngineKind DeploySettings::engine_kind() const {
  return engine == "float" ? EngineKind::Float : EngineKind::Popcount;
}

Encoding DeploySettings::encoding() const { return one_of<Encoding>(input, encoding_names()); }

double EnsembleScore::rms_distance() const {
  double squares = 0;
  for (const double d : distance) squares += d * d;
  return std::sqrt(squares / static_cast<double>(distance.size()));
}

Tensor decisions(const Tensor& counts) {
  const Tensor rows = counts.to(at::kInt).contiguous();
  const int64_t classes = rows.size(1);
  Tensor out = at::empty({rows.size(0)}, at::kLong);
  const int32_t* from = rows.const_data_ptr<int32_t>();
  int64_t* to = out.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows.size(0); ++i, from += classes)
    to[i] = std::max_element(from, from + classes) - from;  // the first of equal ones
  return out;
}

Deployed deploy(const Mapping& mapping, const Tensor& values, const Tensor& ids,
                const Tensor& targets, const DeploySettings& settings,
                const std::function<bool()>& goes_on, const Tensor& sums) {
  validate(mapping);
  check_images(mapping, values, ids, targets);
  const std::vector<int64_t> sizes = settings.sizes();
  const int64_t most = sizes.back(), all = most * settings.draws;
  Deployed out{.cores = static_cast<int64_t>(mapping.cores.size()),
               .images = values.size(0),
               .core_power = settings.core_power};
  for (const int64_t size : sizes)
    out.scores.push_back({.members = size,
                          .energy = static_cast<double>(out.cores * size * settings.ticks) *
                                    settings.core_power * kTick});
  Tensor sum;  // of the ensemble that is being added up
  for (int64_t first = 0; first < all; first += kMembersAtOnce) {
    if (goes_on && !goes_on()) break;
    const int64_t members = std::min(kMembersAtOnce, all - first);
    const Tensor counts = Block(mapping, settings, first, members).counts(values, ids);
    for (int64_t m = 0; m < members; ++m) {
      const int64_t in_draw = (first + m) % most;
      sum = in_draw == 0 ? counts[m].clone() : sum.add_(counts[m]);
      for (EnsembleScore& score : out.scores) {
        if (score.members != in_draw + 1) continue;
        score.accuracy.push_back(decisions(sum).eq(targets).to(at::kDouble).mean().item<double>());
        if (!sums.defined()) continue;
        const auto n = static_cast<double>(score.members * settings.ticks);
        const Tensor each = sum.to(at::kDouble) / n;
        score.distance.push_back((each - sums).square().mean().sqrt().item<double>());
      }
    }
  }
  return out;
}

std::optional<EnsembleLimit> Deployed::limit() const {
  std::vector<std::pair<int64_t, double>> distances;
  for (const EnsembleScore& score : scores)
    if (!score.distance.empty()) distances.emplace_back(score.members, score.rms_distance());
  return ensemble_limit(distances);
}

nlohmann::json Deployed::json() const {
  nlohmann::json rows = nlohmann::json::array();
  for (const EnsembleScore& score : scores) {
    const Moments m = moments_of(score.accuracy);
    rows.push_back({{"members", score.members},
                    {"accuracy", m.mean},
                    {"deviation", m.deviation},
                    {"least", m.least},
                    {"most", m.most},
                    {"draws", score.accuracy.size()},
                    {"accuracies", score.accuracy},
                    {"energy_estimate", score.energy}});
    if (!score.distance.empty()) rows.back()["rms_distance"] = score.rms_distance();
  }
  nlohmann::json out{{"cores", cores},
                     {"images", images},
                     {"core_power", core_power},
                     {"core_power_range", {kLeastCorePower, kMostCorePower}},
                     {"ensembles", std::move(rows)}};
  if (const auto fitted = limit())
    out["limit"] = {{"rest", fitted->rest}, {"spread", fitted->spread}};
  return out;
}

std::string Deployed::table() const {
  const bool compared = std::any_of(scores.begin(), scores.end(),
                                    [](const EnsembleScore& s) { return !s.distance.empty(); });
  std::string out = text::cat("members  accuracy %  deviation  least   most    ",
                              compared ? "distance  " : "", "energy (estimate)\n");
  char line[200];
  for (const EnsembleScore& score : scores) {
    const Moments m = moments_of(score.accuracy);
    std::snprintf(line, sizeof line, "%-7lld  %-10.2f  %-9.2f  %-6.2f  %-6.2f  ",
                  static_cast<long long>(score.members), m.mean * 100, m.deviation * 100,
                  m.least * 100, m.most * 100);
    out += line;
    if (compared && score.distance.empty()) out += "          ";
    if (!score.distance.empty()) {
      std::snprintf(line, sizeof line, "%-8.3g  ", score.rms_distance());
      out += line;
    }
    std::snprintf(line, sizeof line, "%.3g uJ an image\n", score.energy * 1e6);
    out += line;
  }
  if (const auto fitted = limit()) {
    std::snprintf(line, sizeof line,
                  "distance: of a member's class sums from the network's, root mean square; as "
                  "sqrt(a^2 + b^2 / members) with a = %.3g, b = %.3g\n",
                  fitted->rest, fitted->spread);
    out += line;
  }
  std::snprintf(line, sizeof line,
                "energy: at %.3g uW a core; the published figures make %.3g to %.3g uW\n",
                core_power * 1e6, kLeastCorePower * 1e6, kMostCorePower * 1e6);
  return out + line;
}

}  // namespace altprop::cores

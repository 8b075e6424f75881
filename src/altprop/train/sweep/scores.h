// What a run of a sweep is worth at some length of its training: from its records, so that a sweep
// that goes on decides as it would have.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace altprop::sweeps {

/// The score that points are chosen by.
struct Choice {
  std::string name;  ///< without the part of the data: "accuracy"
  bool more_is_better = false;
};
/// Of a record of an epoch. @param wanted "": the learner's primary score if that is not the loss,
/// else accuracy where there is one, else loss. @throws UsageError if the record has none of it
Choice choice_of(const nlohmann::json& record, const std::string& wanted);
/// @throws UsageError for scores of test data, of which a choice would learn the answer
std::string checked_score(const std::string& written);

/// Records of a run, in order; of one that has none, none.
std::vector<nlohmann::json> records_of(const std::filesystem::path& dir);
/// Whether it has trained so long.
bool has_reached(const std::vector<nlohmann::json>& records, int64_t epochs);
/// The best of the first epochs; nothing where nothing finite was recorded.
std::optional<double> best_score(const std::vector<nlohmann::json>& records, int64_t epochs,
                                 const Choice& choice);

}  // namespace altprop::sweeps

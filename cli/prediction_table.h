// How predictions are written: a line of CSV or an object of JSON for each row.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "altprop/data/dataset.h"
#include "altprop/train/predictions.h"

namespace altprop::cli {

class PredictionTable {
 public:
  /// All of these must outlive it. @param ids names of the samples; empty: they are numbered
  PredictionTable(const Predictions& predictions, const data::Dataset& data,
                  const std::vector<std::string>& ids)
      : predictions_(predictions), data_(data), ids_(ids) {}

  /// id, step, target, prediction, score and the outputs, each column where there is something for
  /// it; a class is written by its name if it has one.
  std::string csv() const;
  /// Classes are numbers here, with their names beside them.
  nlohmann::json rows() const;
  /// "accuracy 97.50 %, loss 0.0712"; "" where no targets are known.
  std::string scores() const;

 private:
  std::string header() const;
  std::string class_text(int64_t id) const;

  const Predictions& predictions_;
  const data::Dataset& data_;
  const std::vector<std::string>& ids_;
};

}  // namespace altprop::cli

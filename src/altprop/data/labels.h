// What the labels of a training set mean as classes, so that those of a test set mean the same.
//
// Whole numbers that are 0, 1, ..., K - 1 are class ids as they are. Other whole numbers (from 1
// on, with gaps) and names become classes in their order, with the labels as class names.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "altprop/tensor/tensor.h"

namespace altprop::data {

class Labels {
 public:
  /// How the owner of the labels complains of the label number i: throws.
  using Fail = std::function<void(size_t i, const std::string& what)>;

  static constexpr int64_t kMostClasses = 65536;

  /// Labels as text. "1.0" is the class 1; where one label has leading zeros ("007"), all are
  /// names.
  /// @param classes how many there have to be, with whole numbers below it as ids; 0: as many as
  /// there are. @param option what that is called in sentences: "option csv.classes"
  static Labels of(const std::vector<std::string>& texts, int64_t classes,
                   const std::string& option, const Fail& fail);
  /// Labels as int64 [N]; negative ones are refused, except a pair -1, 1.
  static Labels of(const Tensor& numbers, int64_t classes, const std::string& option,
                   const Fail& fail);

  int64_t classes() const { return classes_; }
  /// Empty if labels are class ids.
  const std::vector<std::string>& names() const { return names_; }

  /// int64 [N]. `fail` is told the first label that the training set does not have.
  Tensor ids(const std::vector<std::string>& texts, const Fail& fail) const;
  Tensor ids(const Tensor& numbers, const Fail& fail) const;

 private:
  void number(std::vector<int64_t> distinct, int64_t samples, int64_t classes,
              const std::string& option, const std::function<void(int64_t, const std::string&)>&);
  int64_t id_of(int64_t value) const;
  std::string unknown() const;

  int64_t classes_ = 0;
  std::vector<std::string> names_;  // of classes; sorted if they are texts
  std::vector<int64_t> values_;     // of classes, sorted; empty if ids are the labels, or texts are
  bool texts_ = false;
};

}  // namespace altprop::data

#include "altprop/data/labels.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>

#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/read/csv_number.h"

namespace altprop::data {

namespace {

// Where more labels than this are different in most samples, they hardly are classes.
constexpr int64_t kFewLabels = 100;

/// The whole number that a text is, also as "1.0" or "1e0"; nothing beyond what float64 has
/// exactly.
std::optional<int64_t> whole_number(const std::string& text) {
  if (const auto exact = text::to_integer(text); exact && parse_number(text)) return exact;
  const auto value = parse_number(text);
  if (!value || *value != std::floor(*value) || std::abs(*value) > 9007199254740992.0)
    return std::nullopt;
  return static_cast<int64_t>(*value);
}

/// A code as "007", whose zeros mean something.
bool has_leading_zeros(const std::string& text) {
  const size_t first = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  return text.size() > first + 1 && text[first] == '0' &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(first), text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Labels Labels::of(const std::vector<std::string>& texts, int64_t classes, const std::string& option,
                  const Fail& fail) {
  std::map<std::string, size_t> first;  // where each spelling stands first
  {
    std::unordered_map<std::string, size_t> seen;
    for (size_t i = 0; i < texts.size(); ++i) seen.emplace(texts[i], i);
    first.insert(seen.begin(), seen.end());
  }
  bool all_whole = true, codes = false;
  std::map<int64_t, std::string> spelt;  // a number's first spelling
  std::pair<std::string, std::string> twice;
  size_t wrong = texts.size();
  for (const auto& [text, i] : first) {
    const auto whole = whole_number(text);
    all_whole = all_whole && whole.has_value();
    codes = codes || has_leading_zeros(text);
    if (whole)
      if (const auto [there, fresh] = spelt.emplace(*whole, text); !fresh)
        twice = {there->second, text};
    if (!whole && (is_infinite(text) ||
                   (parse_number(text) && *parse_number(text) != std::floor(*parse_number(text)))))
      wrong = std::min(wrong, i);
  }
  const auto samples = static_cast<int64_t>(texts.size());
  if (wrong < texts.size())
    fail(wrong, is_infinite(texts[wrong])
                    ? "which is not a finite number"
                    : "which is no class; set option csv.task to regression if it is a number");
  Labels out;
  if (all_whole && !codes) {
    std::vector<int64_t> distinct;
    for (const auto& [value, text] : spelt) distinct.push_back(value);
    out.number(std::move(distinct), samples, classes, option,
               [&](int64_t value, const std::string& what) {
                 for (size_t i = 0; i < texts.size(); ++i)
                   if (*whole_number(texts[i]) == value) fail(i, what);
               });
    return out;
  }
  if (!twice.first.empty())
    fail(first.at(twice.second),
         "and '" + twice.first +
             "' stands there too: the same number in two spellings is not told "
             "from two names; write all labels in one way");
  out.texts_ = true;
  for (const auto& [text, i] : first) out.names_.push_back(text);
  out.classes_ = static_cast<int64_t>(out.names_.size());
  if (classes != 0 && classes != out.classes_)
    fail(first.at(out.names_.back()),
         text::cat("and there are ", out.classes_, " different class names, but ", option, " says ",
                   classes));
  if (out.classes_ > kMostClasses)
    fail(first.at(out.names_.back()),
         text::cat("and there are ", out.classes_, " different class names, more than ",
                   kMostClasses, ": is it the right column?"));
  if (classes == 0 && out.classes_ > kFewLabels && 2 * out.classes_ > samples)
    fail(first.at(out.names_.back()),
         text::cat("and there are ", out.classes_, " different ones in ", samples,
                   " samples, which hardly are classes; if they are, set ", option, " to ",
                   out.classes_));
  return out;
}

Labels Labels::of(const Tensor& numbers, int64_t classes, const std::string& option,
                  const Fail& fail) {
  const Tensor values = numbers.contiguous();
  const int64_t* data = values.const_data_ptr<int64_t>();
  std::vector<int64_t> distinct(data, data + values.numel());
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  Labels out;
  const bool signs = distinct == std::vector<int64_t>{-1, 1};
  const auto fail_at = [&](int64_t value, const std::string& what) {
    fail(static_cast<size_t>(std::find(data, data + values.numel(), value) - data), what);
  };
  if (!distinct.empty() && distinct.front() < 0 && !signs)
    fail_at(distinct.front(),
            text::cat("and labels go from ", distinct.front(), " to ", distinct.back(),
                      ", but one below 0 is no class: leave samples without a class out, or count "
                      "labels from 0"));
  out.number(std::move(distinct), values.numel(), classes, option, fail_at);
  return out;
}

void Labels::number(std::vector<int64_t> distinct, int64_t samples, int64_t classes,
                    const std::string& option,
                    const std::function<void(int64_t, const std::string&)>& fail) {
  const auto n = static_cast<int64_t>(distinct.size());
  if (n == 0) {
    classes_ = std::max<int64_t>(classes, 1);
    return;
  }
  const bool ids = distinct.front() == 0 && distinct.back() == n - 1;
  if (ids ? classes == 0 || n <= classes
          : classes > 0 && distinct.front() >= 0 && distinct.back() < classes) {
    classes_ = std::max(n, classes);
    return;
  }
  if (classes != 0 && classes != n) {
    const auto outside = std::find_if(distinct.begin(), distinct.end(),
                                      [&](int64_t v) { return v < 0 || v >= classes; });
    fail(*outside, text::cat("but ", option, " says ", classes, ", whose ids are 0 to ",
                             classes - 1, ", and there are ", n, " different labels"));
  }
  if (n > kMostClasses || (classes == 0 && n > kFewLabels && 2 * n > samples))
    fail(distinct.back(),
         text::cat(
             "and there are ", n, " different ones in ", samples,
             " samples, which look like numbers to be predicted and not like classes: that is "
             "a task of regression",
             n > kMostClasses ? "" : text::cat("; if they are classes, set ", option, " to ", n)));
  classes_ = n;
  values_ = std::move(distinct);
  for (int64_t value : values_) names_.push_back(std::to_string(value));
}

int64_t Labels::id_of(int64_t value) const {
  if (values_.empty()) return value >= 0 && value < classes_ ? value : -1;
  const auto at = std::lower_bound(values_.begin(), values_.end(), value);
  return at != values_.end() && *at == value ? at - values_.begin() : -1;
}

std::string Labels::unknown() const {
  if (texts_ || !values_.empty()) return "a class that the training file does not have";
  return text::cat("but the training file has classes 0 to ", classes_ - 1);
}

Tensor Labels::ids(const std::vector<std::string>& texts, const Fail& fail) const {
  const Tensor out = at::empty({static_cast<int64_t>(texts.size())}, at::kLong);
  auto* ids = out.data_ptr<int64_t>();
  for (size_t i = 0; i < texts.size(); ++i) {
    int64_t id = -1;
    if (texts_) {
      const auto at = std::lower_bound(names_.begin(), names_.end(), texts[i]);
      if (at != names_.end() && *at == texts[i]) id = at - names_.begin();
    } else if (const auto whole = whole_number(texts[i])) {
      id = id_of(*whole);
    }
    if (id < 0) fail(i, unknown());
    ids[i] = id;
  }
  return out;
}

Tensor Labels::ids(const Tensor& numbers, const Fail& fail) const {
  if (values_.empty()) {
    const Tensor outside = numbers.lt(0).logical_or(numbers.ge(classes_));
    if (outside.any().item<bool>())
      fail(static_cast<size_t>(outside.to(at::kByte).argmax().item<int64_t>()), unknown());
    return numbers;
  }
  const Tensor out = at::empty_like(numbers, at::MemoryFormat::Contiguous);
  const Tensor from = numbers.contiguous();
  const int64_t* values = from.const_data_ptr<int64_t>();
  auto* ids = out.data_ptr<int64_t>();
  for (int64_t i = 0; i < from.numel(); ++i) {
    ids[i] = id_of(values[i]);
    if (ids[i] < 0) fail(static_cast<size_t>(i), unknown());
  }
  return out;
}

}  // namespace altprop::data

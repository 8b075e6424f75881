#include "altprop/ode/tableau.h"

#include <algorithm>
#include <memory>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::ode {

namespace {

std::vector<std::unique_ptr<Tableau>>& all_tableaux() {
  static std::vector<std::unique_ptr<Tableau>> all;
  return all;
}

/// True if the last row of a is b and the last weight is 0.
bool ends_where_the_next_begins(const TableauText& text) {
  if (text.a.empty() || text.b.back().over != 0) return false;
  const std::vector<Fraction>& last = text.a.back();
  for (size_t j = 0; j < last.size(); ++j)
    if (last[j].over != text.b[j].over || last[j].under != text.b[j].under) return false;
  return true;
}

}  // namespace

Tableau::Tableau(TableauText text) : text_(std::move(text)) {
  const size_t rows = text_.b.size();
  if (rows == 0 || text_.a.size() + 1 != rows ||
      (!text_.b_hat.empty() && text_.b_hat.size() != rows))
    throw Error("the tableau '" + text_.name + "' has rows that do not fit each other");
  a_.resize(rows);
  c_.assign(rows, 0);
  for (size_t i = 1; i < rows; ++i) {
    if (text_.a[i - 1].size() != i)
      throw Error(text::cat("row ", i + 1, " of the tableau '", text_.name, "' has ",
                            text_.a[i - 1].size(), " entries and not ", i));
    long double sum = 0;
    for (const Fraction& entry : text_.a[i - 1]) {
      a_[i].push_back(static_cast<double>(entry.value()));
      sum += entry.value();
    }
    c_[i] = static_cast<double>(sum);
  }
  for (size_t i = 0; i < rows; ++i) {
    b_.push_back(static_cast<double>(text_.b[i].value()));
    if (!text_.b_hat.empty())
      d_.push_back(static_cast<double>(text_.b[i].value() - text_.b_hat[i].value()));
  }
  stages_ = static_cast<int>(rows) - (ends_where_the_next_begins(text_) ? 1 : 0);
}

RegisterTableau::RegisterTableau(TableauText text) {
  all_tableaux().push_back(std::make_unique<Tableau>(std::move(text)));
}

std::vector<std::string> tableau_names() {
  std::vector<const Tableau*> sorted;
  for (const auto& one : all_tableaux()) sorted.push_back(one.get());
  std::sort(sorted.begin(), sorted.end(),
            [](const Tableau* a, const Tableau* b) { return a->text().place < b->text().place; });
  std::vector<std::string> names;
  for (const Tableau* one : sorted) names.push_back(one->name());
  return names;
}

const Tableau& tableau(const std::string& name) {
  for (const auto& one : all_tableaux())
    if (one->name() == name) return *one;
  throw UsageError("there is no solver '" + name + "'" + text::suggestion(name, tableau_names()));
}

}  // namespace altprop::ode

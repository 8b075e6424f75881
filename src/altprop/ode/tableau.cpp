#include "altprop/ode/tableau.h"

#include <memory>

#include "altprop/base/error.h"
#include "altprop/base/registry.h"
#include "altprop/base/text.h"

namespace altprop::ode {

namespace {

struct Solver {
  std::string name;
  std::shared_ptr<const Tableau> tableau;
  int order;  ///< in listings
};

Registry<Solver>& solvers() {
  static Registry<Solver> all("solver");
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
  const int place = text.place;
  const std::string name = text.name;
  solvers().add({name, std::make_shared<Tableau>(std::move(text)), place});
}

std::vector<std::string> tableau_names() { return solvers().names(); }

const Tableau& tableau(const std::string& name) { return *solvers().at(name).tableau; }

}  // namespace altprop::ode

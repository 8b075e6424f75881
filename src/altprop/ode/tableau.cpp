#include "altprop/ode/tableau.h"

#include <algorithm>
#include <memory>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/ode/combine.h"

namespace altprop::ode {

namespace {

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

Tensor Tableau::stage_state(const Tensor& y, double h, const Evaluations& k, int i) const {
  return combine(y, h, k, i, [&](int j) { return a(i, j); });
}

Tensor Tableau::end(const Tensor& y, double h, const Evaluations& k) const {
  return combine(y, h, k, stages_, [&](int i) { return b(i); });
}

Tensor Tableau::by_length(const Tensor&, double, const Evaluations& k, int i) const {
  WeightedSum sum;
  for (int j = 0; j < std::min(i, stages_); ++j)
    sum.add(k[static_cast<size_t>(j)].slope, i == stages_ ? b(j) : a(i, j));
  return sum.take();
}

Tensor Tableau::error(const Tensor&, double h, const Evaluations& k, const Evaluation& last) const {
  WeightedSum sum;
  for (int i = 0; i < rows(); ++i)
    sum.add(i < stages_ ? k[static_cast<size_t>(i)].slope : last.slope, h * d(i));
  return sum.take();
}

Tensor Tableau::credit_of_slope(int i, double h, const Tensor& lambda,
                                const std::vector<Tensor>& xi) const {
  WeightedSum sum;
  sum.add(lambda, h * b(i));
  for (int j = i + 1; j < stages_; ++j) sum.add(xi[static_cast<size_t>(j)], h * a(j, i));
  return sum.take();
}

Tensor Tableau::credit_of_begin(double, const Tensor& lambda, const std::vector<Tensor>& xi) const {
  WeightedSum sum;
  sum.add(lambda, 1);
  for (const Tensor& part : xi) sum.add(part, 1);
  return sum.take();
}

RegisterTableau::RegisterTableau(TableauText text) {
  const int place = text.place;
  const std::string name = text.name;
  RegisterScheme(name, place, std::make_shared<Tableau>(std::move(text)));
}

std::vector<std::string> tableau_names() {
  std::vector<std::string> out;
  for (const std::string& name : scheme_names())
    if (std::dynamic_pointer_cast<const Tableau>(scheme(name))) out.push_back(name);
  return out;
}

const Tableau& tableau(const std::string& name) {
  const auto found = std::dynamic_pointer_cast<const Tableau>(scheme(name));
  if (!found) throw UsageError("solver '" + name + "' is no Runge-Kutta method");
  return *found;  // the registry keeps it
}

}  // namespace altprop::ode

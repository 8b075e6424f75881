#include "altprop/ode/tableau.h"

#include <algorithm>
#include <cmath>
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
  find_stability();
  find_between();
}

// With y_0, y_1, f_0, f_1 at the ends Hermite's  y_0 + (3 u^2 - 2 u^3)(y_1 - y_0) + h f_0 (u - 2
// u^2 + u^3) + h f_1 (u^3 - u^2), where y_1 - y_0 = h sum b_i k_i. With y_m at the middle there is
// added 16 u^2 (1 - u)^2 times what Hermite's misses there.
void Tableau::find_between() {
  const size_t s = static_cast<size_t>(stages_);
  between_.assign(s + 1, {});
  for (size_t i = 0; i < s; ++i) between_[i] = {0, 3 * b_[i], -2 * b_[i], 0};
  between_[0][0] += 1;
  between_[0][1] -= 2;
  between_[0][2] += 1;
  between_[s][1] -= 1;
  between_[s][2] += 1;
  if (text_.middle.empty()) return;
  if (text_.middle.size() != s + 1)
    throw Error("the tableau '" + text_.name + "' has a middle of another number of slopes");
  for (size_t i = 0; i <= s; ++i) {
    const auto& w = between_[i];
    const double hermite = w[0] / 2 + w[1] / 4 + w[2] / 8,
                 missed = 16 * (static_cast<double>(text_.middle[i].value()) - hermite);
    between_[i][1] += missed;
    between_[i][2] -= 2 * missed;
    between_[i][3] += missed;
  }
}

std::vector<double> Tableau::between(double theta) const {
  std::vector<double> out;
  for (const auto& w : between_)
    out.push_back(theta * (w[0] + theta * (w[1] + theta * (w[2] + theta * w[3]))));
  return out;
}

std::vector<double> Tableau::between_rate(double theta) const {
  std::vector<double> out;
  for (const auto& w : between_)
    out.push_back(w[0] + theta * (2 * w[1] + theta * (3 * w[2] + theta * 4 * w[3])));
  return out;
}

// R(z) = 1 + sum_k (b^T A^(k-1) 1) z^k
void Tableau::find_stability() {
  const size_t s = static_cast<size_t>(stages_);
  std::vector<double> v(s, 1);
  polynomial_ = {1};
  for (size_t k = 0; k < s; ++k) {
    double sum = 0;
    std::vector<double> next(s, 0);
    for (size_t i = 0; i < s; ++i) {
      sum += b_[i] * v[i];
      for (size_t j = 0; j < i; ++j) next[i] += a_[i][j] * v[j];
    }
    polynomial_.push_back(sum);
    v = next;
  }
  constexpr double kGrowth = 1 + 1e-9, kGrid = 1e-3, kFarthest = 100;
  double at = 0;
  while (at < kFarthest && std::abs(stability(-at - kGrid)) <= kGrowth) at += kGrid;
  stability_bound_ = at;
}

double Tableau::stability(double z) const {
  double out = 0;
  for (size_t k = polynomial_.size(); k-- > 0;) out = out * z + polynomial_[k];
  return out;
}

Tensor Tableau::stage_state(const Tensor& y, const Length& h, const Evaluations& k, int i) const {
  return combine(y, h, k, i, [&](int j) { return a(i, j); });
}

Tensor Tableau::end(const Tensor& y, const Length& h, const Evaluations& k) const {
  return combine(y, h, k, stages_, [&](int i) { return b(i); });
}

Tensor Tableau::by_length(const Tensor&, const Length&, const Evaluations& k, int i) const {
  WeightedSum sum;
  for (int j = 0; j < std::min(i, stages_); ++j)
    sum.add(k[static_cast<size_t>(j)].slope, i == stages_ ? b(j) : a(i, j));
  return sum.take();
}

Tensor Tableau::error(const Tensor&, const Length& h, const Evaluations& k,
                      const Evaluation& last) const {
  ScaledSum sum(h);
  for (int i = 0; i < rows(); ++i)
    sum.add(i < stages_ ? k[static_cast<size_t>(i)].slope : last.slope, d(i));
  return sum.take();
}

Tensor Tableau::credit_of_slope(int i, const Length& h, const Tensor& lambda,
                                const std::vector<Tensor>& xi) const {
  ScaledSum sum(h);
  sum.add(lambda, b(i));
  for (int j = i + 1; j < stages_; ++j) sum.add(xi[static_cast<size_t>(j)], a(j, i));
  return sum.take();
}

Tensor Tableau::credit_of_begin(const Length&, const Tensor& lambda,
                                const std::vector<Tensor>& xi) const {
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

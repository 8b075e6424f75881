#include "altprop/report/confusion.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/report/show.h"

namespace altprop::report {

using nlohmann::json;

namespace {

constexpr size_t kMostInAMatrix = 20;

std::string percent_of(double share) {
  if (!std::isfinite(share)) return "-";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f", 100 * share);
  return buffer;
}

std::string taken_for(const Confusion& table, size_t c) {
  size_t most = c == 0 ? 1 : 0;
  for (size_t other = 0; other < table.counts.size(); ++other)
    if (other != c && table.counts[c][other] > table.counts[c][most]) most = other;
  const double n = table.counts[c][most];
  return n > 0 ? text::cat(table.names[most], " (", text::from_number(n), ")") : "-";
}

}  // namespace

double Confusion::samples(size_t c) const {
  double sum = 0;
  for (const double n : counts[c]) sum += n;
  return sum;
}

double Confusion::accuracy(size_t c) const {
  const double n = samples(c);
  return n > 0 ? counts[c][c] / n : NAN;
}

std::optional<Confusion> confusion_of(const Run& run) {
  const json found = run.summary.value("confusion", json(nullptr));
  if (!found.is_object() || !found.contains("counts") || !found["counts"].is_array() ||
      found["counts"].size() < 2)
    return std::nullopt;
  Confusion out{.part = text_of(found, "part")};
  const size_t classes = found["counts"].size();
  for (const json& row : found["counts"]) {
    if (!row.is_array() || row.size() != classes) return std::nullopt;
    std::vector<double> counts;
    for (const json& n : row) {
      if (!n.is_number() || n.get<double>() < 0) return std::nullopt;
      counts.push_back(n.get<double>());
    }
    out.counts.push_back(std::move(counts));
  }
  const json names = found.value("names", json(nullptr));
  for (size_t c = 0; c < classes; ++c) {
    const bool named = names.is_array() && names.size() == classes && names[c].is_string();
    out.names.push_back(named ? text::printable(names[c].get<std::string>(), 40)
                              : std::to_string(c));
  }
  return out;
}

std::string confusion_text(const Confusion& table, const TerminalLook& look) {
  const size_t classes = table.counts.size();
  std::vector<size_t> order(classes);
  for (size_t c = 0; c < classes; ++c) order[c] = c;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double x = table.accuracy(a), y = table.accuracy(b);
    return std::isfinite(x) && (!std::isfinite(y) || x < y);
  });
  std::vector<std::vector<std::string>> rows = {
      {"class", "accuracy %", "samples", "most often taken for"}};
  for (const size_t c : order)
    rows.push_back({table.names[c], percent_of(table.accuracy(c)),
                    text::from_number(table.samples(c)), taken_for(table, c)});
  std::string out = "of the " + (table.part.empty() ? std::string("held-out") : table.part) +
                    " data, after the last epoch\n" +
                    table_of(rows, {false, true, true, false}, look);
  if (classes > kMostInAMatrix) return out;
  std::vector<std::string> head = {"is / taken for"};
  std::vector<bool> right(classes + 1, true);
  right[0] = false;
  for (const std::string& name : table.names) head.push_back(padded(name, std::min<size_t>(8, columns_of(name))));
  rows = {head};
  for (size_t c = 0; c < classes; ++c) {
    std::vector<std::string> row = {table.names[c]};
    for (const double n : table.counts[c]) row.push_back(n > 0 ? text::from_number(n) : ".");
    rows.push_back(std::move(row));
  }
  return out + "\n" + table_of(rows, right, look);
}

}  // namespace altprop::report

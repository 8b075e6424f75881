// The user's tables.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/read/csv.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

constexpr int64_t kMostClasses = 65536;

struct Csv : Reader {
  std::string train, test, task = "classification", separator = "auto", shape;
  std::string header = "auto", target = "last";
  int64_t classes = 0;

  void declare(Options& o) override {
    o.text(
        "csv.train", train,
        {"file of the training samples, one a line; relative to data-dir if not found as given"});
    o.text("csv.test", test, {"file of the test samples; empty: no test set"});
    o.choice("csv.separator", separator, {"auto", "comma", "semicolon", "tab", "space"},
             {"what stands between fields"});
    o.choice(
        "csv.header", header, {"auto", "yes", "no"},
        {"whether the first line holds column names; auto: if its features are not all numbers"});
    o.text("csv.target", target,
           {"column of the target: first, last, its name or its number from 0"});
    o.choice("csv.task", task, {"classification", "regression"},
             {"whether the target is a class or a number"});
    o.integer("csv.classes", classes, {.min = 0, .max = kMostClasses},
              {"number of classes; 0: as many as the training file shows"});
    o.text("csv.shape", shape, {"shape of a sample, e.g. 1x28x28; empty: a vector"});
  }

  Splits read(const std::string& folder) const override {
    if (train.empty())
      throw UsageError(
          "data source 'csv' needs option csv.train, the file of the training samples");
    static const std::map<std::string, char> separators{
        {"auto", 0}, {"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"space", ' '}};
    const CsvFormat format{separators.at(separator), header, target};
    auto path_of = [&](const std::string& path) {
      std::error_code ignored;
      return std::filesystem::exists(path, ignored)
                 ? path
                 : (std::filesystem::path(folder) / path).string();
    };
    const std::string train_path = path_of(train);
    const CsvTable train_table = read_csv(train_path, format);
    Splits out;
    Classes known{classes, {}};
    out.train = to_data(train_table, train_path, known, true);
    if (!test.empty())
      out.test = to_data(read_csv(path_of(test), format), path_of(test), known, false);
    return out;
  }

  struct Classes {
    int64_t count = 0;
    std::vector<std::string> names;  // sorted; empty if the ids themselves stand in the file
  };

  [[noreturn]] static void fail(const CsvTable& table, size_t i, const std::string& path,
                                const std::string& what) {
    throw Error(text::cat("'", path, "' line ", table.lines[i], " has target '",
                          table.targets[i].substr(0, 40), "', ", what));
  }

  Dataset to_data(const CsvTable& table, const std::string& path, Classes& known,
                  bool defining) const {
    Dataset out;
    out.name = "csv (" + path + ")";
    out.inputs = shape.empty() ? table.features : shaped(table.features, path);
    if (task == "regression") {
      out.targets = numbers(table, path);
      return out;
    }
    if (defining) define(table, path, known);
    const auto n = static_cast<int64_t>(table.targets.size());
    out.targets = at::empty({n}, at::kLong);
    auto* ids = out.targets.data_ptr<int64_t>();
    for (size_t i = 0; i < table.targets.size(); ++i) ids[i] = id_of(table, i, path, known);
    out.classes = known.count;
    out.class_names = known.names;
    return out;
  }

  Tensor shaped(const Tensor& features, const std::string& path) const {
    std::vector<int64_t> sizes{features.size(0)};
    int64_t product = 1;
    for (const std::string& part : text::split(shape, 'x')) {
      const auto value = text::to_integer(part);
      if (!value || *value < 1 || __builtin_mul_overflow(product, *value, &product))
        throw UsageError(
            "option 'csv.shape' must be numbers with x between them, like 1x28x28, but is '" +
            shape + "'");
      sizes.push_back(*value);
    }
    if (product != features.size(1))
      throw UsageError(text::cat("option 'csv.shape' ", shape, " has ", product, " values, but '",
                                 path, "' has ", features.size(1), " features a line"));
    return features.view(sizes);
  }

  static Tensor numbers(const CsvTable& table, const std::string& path) {
    Tensor out = at::empty({static_cast<int64_t>(table.targets.size()), 1}, at::kFloat);
    auto* values = out.data_ptr<float>();
    for (size_t i = 0; i < table.targets.size(); ++i) {
      const auto value = text::to_number(table.targets[i]);
      if (!value || !std::isfinite(static_cast<float>(*value)))
        fail(table, i, path, "which is not a finite number");
      values[i] = static_cast<float>(*value);
    }
    return out;
  }

  /// Ids if all targets are whole numbers from 0 on, else names.
  static void define(const CsvTable& table, const std::string& path, Classes& known) {
    int64_t largest = -1;
    bool ids = true;
    for (size_t i = 0; i < table.targets.size(); ++i) {
      const auto id = text::to_integer(table.targets[i]);
      if (!id && text::to_number(table.targets[i]))
        fail(table, i, path, "which is no class; set option csv.task to regression");
      if (id && *id >= kMostClasses)
        fail(table, i, path,
             text::cat("but class ids end at ", kMostClasses - 1,
                       "; set option csv.task to regression if it is a number"));
      ids = ids && id && *id >= 0;
      largest = std::max(largest, id.value_or(-1));
    }
    if (ids) {
      if (known.count == 0) known.count = largest + 1;
      return;
    }
    known.names = table.targets;
    std::sort(known.names.begin(), known.names.end());
    known.names.erase(std::unique(known.names.begin(), known.names.end()), known.names.end());
    const auto found = static_cast<int64_t>(known.names.size());
    if (known.count != 0 && known.count != found)
      throw Error(text::cat("'", path, "' has ", found,
                            " different class names, but option csv.classes says ", known.count));
    known.count = found;
  }

  static int64_t id_of(const CsvTable& table, size_t i, const std::string& path,
                       const Classes& known) {
    if (known.names.empty()) {
      const auto id = text::to_integer(table.targets[i]);
      if (!id || *id < 0 || *id >= known.count)
        fail(table, i, path, text::cat("but class ids are 0 to ", known.count - 1));
      return *id;
    }
    const auto at = std::lower_bound(known.names.begin(), known.names.end(), table.targets[i]);
    if (at == known.names.end() || *at != table.targets[i])
      fail(table, i, path, "a class the training file does not have");
    return at - known.names.begin();
  }
};

const Register csv{
    {"csv", {}, "your own tables as text, one sample a line, features and a target", [] {
       return std::make_unique<Csv>();
     }}};

}  // namespace
}  // namespace altprop::data

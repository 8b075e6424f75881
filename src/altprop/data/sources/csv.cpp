// The user's tables.
#include "altprop/data/read/csv.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/labels.h"
#include "altprop/data/read/csv_number.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

struct Csv : Reader {
  std::string train, test, task = "classification", separator = "auto", shape;
  std::string header = "auto", target = "last", decimal = "point", missing = "words";
  std::vector<std::string> leave_out;
  int64_t classes = 0;

  void declare(Options& o) override {
    o.file(
        "csv.train", train,
        {"file of the training samples, one a line; relative to data-dir if not found as given"});
    o.file("csv.test", test, {"file of the test samples; empty: no test set"});
    o.choice("csv.separator", separator, {"auto", "comma", "semicolon", "tab", "space"},
             {"what stands between fields"});
    o.choice("csv.decimal", decimal, {"point", "comma"},
             {"what stands in front of a number's decimals"});
    o.choice("csv.header", header, {"auto", "yes", "no"},
             {"whether the first line holds column names; auto: if it has names over numbers"});
    o.text("csv.target", target,
           {"column of the target: first, last, its name or its number from 0"});
    o.list("csv.leave-out", leave_out,
           {"columns that are no features, such as ids: names or numbers from 0"});
    o.choice("csv.missing", missing, {"words", "empty"},
             {"what is no value: words: an empty field, NA, nan, null, None, ? and the like; "
              "empty: an empty field alone"});
    o.choice(
        "csv.task", task, {"classification", "regression", "unlabelled"},
        {"whether the target is a class or a number; unlabelled: there is none, and all columns "
         "are features"});
    o.integer("csv.classes", classes, {.min = 0, .max = Labels::kMostClasses},
              {"number of classes; 0: as many as the training file has labels"});
    o.text("csv.shape", shape, {"shape of a sample, e.g. 1x28x28; empty: a vector"});
  }

  CsvFormat format() const {
    if (train.empty())
      throw UsageError(
          "data source 'csv' needs option csv.train, the file of the training samples");
    if (task == "unlabelled" && target != "last")
      throw UsageError(
          "option 'csv.target' names a column, but with csv.task unlabelled there is no target; "
          "put columns that are no features into csv.leave-out");
    static const std::map<std::string, char> separators{
        {"auto", 0}, {"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"space", ' '}};
    if (decimal == "comma" && separator == "comma")
      throw UsageError(
          "option 'csv.decimal' is comma, and so is option 'csv.separator'; one of them must "
          "differ");
    return {.separator = separators.at(separator),
            .header = header,
            .target = task == "unlabelled" ? "" : target,
            .leave_out = leave_out,
            .decimal_comma = decimal == "comma",
            .missing_words = missing == "words"};
  }

  Splits read(const std::string& folder) const override {
    const CsvFormat how = format();
    const File first(path_in(folder, train), how, nullptr);
    Splits out;
    std::shared_ptr<const Labels> labels;
    if (task == "classification")
      labels = std::make_shared<const Labels>(
          Labels::of(first.table.targets, classes, "option csv.classes", first.complaint()));
    out.train = to_data(first, labels);
    if (!test.empty())
      out.test = to_data(File(path_in(folder, test), how, &first.table.columns), labels);
    return out;
  }

  NewSamples read_new(const std::string& folder, const NewFiles& files,
                      const Dataset& trained) const override {
    if (!files.targets.empty())
      throw UsageError("the targets of a table are a column of it, so that there is no file '" +
                       text::printable(files.targets, 200) + "' to be read; leave it out");
    CsvFormat how = format();
    const CsvTable::Columns columns = read_csv_columns(path_in(folder, train), how);
    how.applied = true;
    how.id = files.id;
    how.leave_out.insert(how.leave_out.end(), files.leave_out.begin(), files.leave_out.end());
    if (!files.id.empty()) how.leave_out.push_back(files.id);
    for (const std::string& name : files.leave_out)
      if (const auto place = place_of(name, columns.names); place && *place == columns.target)
        how.target = "";
    File file(files.inputs, how, &columns);
    require_to_be_left_out(files, file, columns);
    NewSamples out{to_data(file, trained.labels), std::move(file.table.ids)};
    return out;
  }

  struct File {
    std::string path;
    CsvTable table;

    File(std::string from, const CsvFormat& format, const CsvTable::Columns* like)
        : path(std::move(from)), table(read_csv(path, format, like)) {}

    [[noreturn]] void fail(size_t i, const std::string& what) const {
      throw Error(text::cat("'", path, "' line ", table.lines[i], " has target '",
                            text::printable(table.targets[i], 40), "', ", what));
    }
    Labels::Fail complaint() const {
      return [this](size_t i, const std::string& what) { fail(i, what); };
    }
  };

  static std::optional<int64_t> place_of(const std::string& name,
                                         const std::vector<std::string>& names) {
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? std::nullopt : std::optional<int64_t>(found - names.begin());
  }

  /// @throws UsageError for columns that are not there, or that the network needs
  static void require_to_be_left_out(const NewFiles& files, const File& file,
                                     const CsvTable::Columns& trained) {
    for (const std::string& name : files.leave_out) {
      const std::string shown =
          "option 'leave-out' names column '" + text::printable(name, 40) + "', ";
      if (!place_of(name, file.table.columns.names))
        throw UsageError(
            text::cat(shown, "but '", file.path, "' has none of that name",
                      file.table.columns.names.empty() ? ", because it has no header" : "",
                      "; leave it out"));
      const auto place = place_of(name, trained.names);
      if (place && std::count(trained.features.begin(), trained.features.end(), *place))
        throw UsageError(shown +
                         "which is a feature that the network was trained on; it is needed");
    }
  }

  /// @param labels null for numbers
  Dataset to_data(const File& file, const std::shared_ptr<const Labels>& labels) const {
    Dataset out;
    out.name = "csv (" + file.path + ")";
    out.inputs = shape.empty() ? file.table.features : shaped(file.table.features, file.path);
    const bool labelled = file.table.columns.target >= 0;
    if (task == "unlabelled") out.targets = no_targets(out.size());
    if (!labels) {
      if (labelled) out.targets = numbers(file);
      return out;
    }
    if (labelled) out.targets = labels->ids(file.table.targets, file.complaint());
    out.classes = labels->classes();
    for (const std::string& name : labels->names())
      out.class_names.push_back(text::printable(name));
    out.labels = labels;
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
    constexpr int64_t kSmallestImage = 8;
    if (sizes.size() == 4 && (sizes[3] == 1 || sizes[3] == 3 || sizes[3] == 4) &&
        sizes[1] >= kSmallestImage && sizes[2] >= kSmallestImage)
      throw UsageError(text::cat("option 'csv.shape' ", shape, " would be ", sizes[1],
                                 " channels of ", sizes[2], "x", sizes[3],
                                 " pixels; shapes are channels x height x width, here ", sizes[3],
                                 "x", sizes[1], "x", sizes[2], " with one plane behind the other"));
    return features.view(sizes);
  }

  static Tensor numbers(const File& file) {
    const std::vector<std::string>& targets = file.table.targets;
    Tensor out = at::empty({static_cast<int64_t>(targets.size()), 1}, at::kDouble);
    auto* values = out.data_ptr<double>();
    for (size_t i = 0; i < targets.size(); ++i) {
      const auto value = parse_number(targets[i]);
      if (!value || std::abs(*value) > std::numeric_limits<float>::max())
        file.fail(i, "which is not a finite number");
      values[i] = *value;
    }
    return out;
  }
};

const Register csv{
    {"csv", {}, "your own tables as text, one sample a line, features and a target", [] {
       return std::make_unique<Csv>();
     }}};

}  // namespace
}  // namespace altprop::data

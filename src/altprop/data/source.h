// Where data come from. A source is one file that registers itself by name; adding one needs no
// edit elsewhere:
//
//   struct Mnist : Reader {
//     Splits read(const std::string& folder) const override { ... }
//   };
//   const Register mnist{{"mnist", {}, "handwritten digits", [] { return std::make_unique<Mnist>();
//   }}};
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "altprop/base/options.h"
#include "altprop/base/registry.h"
#include "altprop/data/dataset.h"
#include "altprop/data/new_samples.h"
#include "altprop/data/prepare.h"

namespace altprop {

namespace data {

/// One use of a source: its options and the reading. It delivers values as stored, with `scale`
/// and, where they are published, `mean` and `stddev`; prepare() does the rest.
struct Reader {
  virtual ~Reader() = default;
  virtual void declare(Options&) {}
  /// @param folder of all data sets; a source has its own folder in it. @throws Error naming the
  /// file that is wrong
  virtual Splits read(const std::string& folder) const = 0;
  /// Samples that a trained network is to be applied to, as stored; see new_samples.h. By default
  /// arrays, in NPY or IDX. @param train what was trained on, prepared. @throws Error naming the
  /// file that is wrong
  virtual NewSamples read_new(const std::string& folder, const NewFiles& files,
                              const Dataset& train) const;
};

struct Source {
  std::string name;
  std::vector<std::string> aliases;
  std::string help;  ///< one sentence
  std::function<std::unique_ptr<Reader>()> make;
  int order = 0;  ///< position in listings, which are by name where it is the same
};

}  // namespace data

template <>
Registry<data::Source>& registry_of();

namespace data {

using Register = Registration<Source>;

/// All sources, in listing order.
const std::vector<Source>& list();

/// By name or alias; null if there is none.
const Source* find_or_null(const std::string& name);
/// By name or alias. @throws UsageError with the nearest name
const Source& find(const std::string& name);

/// A source with its options, those of PrepareOptions among them, ready to be set and loaded. Not
/// copyable: the options refer to variables inside.
class Request {
 public:
  /// @throws UsageError for an unknown name
  explicit Request(const std::string& name);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  const Source& source() const { return source_; }
  Options& options() { return options_; }
  /// Reads and prepares. @throws Error, UsageError
  Splits load() const;
  /// Reads and prepares other samples as `train`, which `load` has returned. @throws Error,
  /// UsageError
  NewSamples load_new(const NewFiles& files, const Dataset& train) const;

 private:
  const Source& source_;
  std::unique_ptr<Reader> reader_;
  PrepareOptions prepare_;
  Options options_;
};

/// Request, options, load in one call: load("mnist", {{"data-dir", "data"}, {"validation",
/// "5000"}}).
Splits load(const std::string& name, const OptionValues& values = {});

}  // namespace data

}  // namespace altprop

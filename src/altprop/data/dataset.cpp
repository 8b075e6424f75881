#include "altprop/data/dataset.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/labels.h"

namespace altprop::data {

std::vector<int64_t> Dataset::sample_shape() const {
  return inputs.defined() ? inputs.sizes().slice(1).vec() : std::vector<int64_t>{};
}

int64_t Dataset::channels() const {
  return inputs.defined() && inputs.dim() > 1 ? inputs.size(1) : 1;
}

Tensor no_targets(int64_t n) { return at::empty({n, 0}, at::kFloat); }

Dataset subset(const Dataset& data, const Tensor& ids) {
  if (ids.numel() > 0 &&
      (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= data.size()))
    throw UsageError(text::cat("data set '", data.name, "' has samples 0 to ", data.size() - 1,
                               ", but the subset asks for samples outside of it"));
  Dataset out = data;
  out.inputs = data.inputs.index_select(0, ids);
  if (data.labelled()) out.targets = data.targets.index_select(0, ids);
  return out;
}

Dataset first(const Dataset& data, int64_t n) {
  Dataset out = data;
  if (n < data.size()) {
    out.inputs = data.inputs.narrow(0, 0, n);
    if (data.labelled()) out.targets = data.targets.narrow(0, 0, n);
  }
  return out;
}

namespace {

[[noreturn]] void fail(const Dataset& data, const std::string& what) {
  throw Error("data set '" + data.name + "' " + what);
}

/// @param good per value of `values`: it is one
void check_finite(const Dataset& data, const Tensor& good, const std::string& what) {
  if (good.all().item<bool>()) return;
  const Tensor lost = good.reshape({good.size(0), -1}).all(1).logical_not();
  fail(data,
       text::cat("has ", what, " that are not finite numbers, in ", lost.sum().item<int64_t>(),
                 " of its ", data.size(), " samples; the first is number ",
                 lost.to(at::kByte).argmax().item<int64_t>(), ", counted from 0"));
}

void check_targets(const Dataset& data) {
  const Tensor& y = data.targets;
  if (data.classes > 0) {
    if (y.scalar_type() != at::kLong || (y.dim() != 1 && y.dim() != 2))
      fail(data,
           "needs class ids as int64 [N] or, for steps of sequences, [N, T], but its targets "
           "are " +
               text::cat(y.scalar_type(), " ", shape_text(y.sizes())));
    if (y.dim() == 2 && (data.inputs.dim() < 2 || y.size(1) != data.inputs.size(1)))
      fail(data, text::cat("has targets for ", y.size(1), " steps, but samples of shape ",
                           shape_text(data.sample_shape())));
    const int64_t low = y.min().item<int64_t>(), high = y.max().item<int64_t>();
    if (low < (y.dim() == 2 ? -1 : 0) || high >= data.classes)
      fail(data, text::cat("has class ids from ", low, " to ", high, ", but ", data.classes,
                           " classes are numbered 0 to ", data.classes - 1));
    if (y.dim() == 2 && !y.ge(0).any(1).all().item<bool>())
      fail(data, "has a sequence without a target at any step");
  } else if (!y.is_floating_point() || y.dim() != 2) {
    fail(data,
         text::cat("needs regression targets as floating [N, K], but they are ", y.scalar_type(),
                   " ", shape_text(y.sizes()), "; for class ids give the number of classes"));
  } else {
    check_finite(data, y.isfinite(), "targets");
  }
}

/// Token numbers of sequences that begin at the first step and have no holes.
void check_tokens(const Dataset& data) {
  const Tensor& x = data.inputs;
  if (x.scalar_type() != at::kLong || x.dim() != 2)
    fail(data, text::cat("needs token numbers as int64 [N, T], but its inputs are ",
                         x.scalar_type(), " ", shape_text(x.sizes())));
  const int64_t low = x.min().item<int64_t>(), high = x.max().item<int64_t>();
  if (low < -1 || high >= data.vocabulary)
    fail(data, text::cat("has token numbers from ", low, " to ", high, ", but its vocabulary of ",
                         data.vocabulary, " is numbered 0 to ", data.vocabulary - 1));
  const Tensor there = x.ge(0);
  if (!there.select(1, 0).all().item<bool>()) fail(data, "has a sequence without any token");
  if (there.narrow(1, 1, x.size(1) - 1)
          .logical_and(there.narrow(1, 0, x.size(1) - 1).logical_not())
          .any()
          .item<bool>())
    fail(data, "has a sequence with a hole: -1 may only stand behind its last token");
}

}  // namespace

void check(const Dataset& data, bool needs_targets) {
  if (!data.inputs.defined() && !data.labelled()) return;
  if (!data.inputs.defined()) fail(data, "has no inputs");
  if (!data.labelled() && needs_targets) fail(data, "has no targets");
  if (data.inputs.dim() < 1 || (data.labelled() && data.targets.dim() < 1))
    fail(data, "is a single number; inputs are [N, ...] and targets [N] or [N, K]");
  if (data.labelled() && data.inputs.size(0) != data.targets.size(0))
    fail(data,
         text::cat("has ", data.inputs.size(0), " inputs, but ", data.targets.size(0), " targets"));
  if (data.vocabulary == 0 && data.inputs.scalar_type() != at::kByte &&
      !data.inputs.is_floating_point())
    fail(data,
         text::cat("has inputs of type ", data.inputs.scalar_type(), "; give uint8 or floating"));
  if (data.empty()) return;
  if (data.inputs.numel() == 0)
    fail(data, "has samples without values: its inputs are " + shape_text(data.inputs.sizes()));
  if (data.vocabulary > 0) check_tokens(data);
  if (data.labelled()) check_targets(data);
  if (data.inputs.is_floating_point())
    check_finite(data, data.inputs.gt(-INFINITY), "inputs");  // which NaN is not
  const auto channels = static_cast<size_t>(data.channels());
  if (data.mean.size() != data.stddev.size() ||
      (!data.mean.empty() && data.mean.size() != channels))
    fail(data, text::cat("has ", channels, " channels, but ", data.mean.size(), " means and ",
                         data.stddev.size(), " standard deviations"));
  if (!data.class_names.empty() && static_cast<int64_t>(data.class_names.size()) != data.classes)
    fail(data, text::cat("has ", data.classes, " classes, but ", data.class_names.size(),
                         " class names"));
}

void require_finite(const Dataset& data) {
  if (!data.empty() && data.inputs.is_floating_point())
    check_finite(data, data.inputs.isfinite(), "inputs");
}

void check_alike(const Dataset& data, const Dataset& train) {
  if (data.sample_shape() != train.sample_shape())
    fail(data, text::cat("has training samples of shape ", shape_text(train.sample_shape()),
                         ", but others of shape ", shape_text(data.sample_shape())));
  const auto type = [](const Dataset& of) {
    return of.inputs.scalar_type() == at::kByte ? "bytes (uint8)" : "other numbers than bytes";
  };
  const std::string here = type(data), there = type(train);
  if (here != there)
    fail(data, text::cat("has samples of ", here, ", but the training samples are ", there,
                         ", and it is not known how the ones are scaled against the others; save "
                         "all of them in one type"));
}

void check(const Splits& splits) {
  check(splits.train);
  if (splits.train.empty()) fail(splits.train, "has no training samples");
  for (const Dataset* other : {&splits.validation, &splits.test}) {
    check(*other);
    if (other->empty()) continue;
    check_alike(*other, splits.train);
    if (other->vocabulary != splits.train.vocabulary)
      fail(*other, "has another vocabulary in its training part than elsewhere");
    if (other->classes != splits.train.classes || other->per_step() != splits.train.per_step() ||
        (other->classes == 0 && other->targets.size(1) != splits.train.targets.size(1)))
      fail(*other, "has other targets in its training part than elsewhere");
  }
}

namespace {

/// Integers as the floating type that has them all.
Tensor floating(const Tensor& x, const Dataset& data) {
  if (x.is_complex()) fail(data, "has complex numbers; give real ones");
  if (x.is_floating_point() || x.scalar_type() == at::kByte) return x;
  if (x.scalar_type() == at::kBool || x.numel() == 0) return x.to(at::kFloat);
  const Tensor whole = x.to(at::kLong);
  const int64_t low = whole.min().item<int64_t>(), high = whole.max().item<int64_t>();
  const auto beyond = [&](int64_t most) { return low < -most || high > most; };
  if (beyond(int64_t{1} << 53))
    fail(data, text::cat("has integers from ", low, " to ", high,
                         " as inputs, beyond 2^53, which no floating number tells apart; subtract "
                         "an offset or leave them out"));
  return whole.to(beyond(int64_t{1} << 24) ? at::kDouble : at::kFloat);
}

Dataset wrap(const Tensor& x, const Tensor& y, int64_t classes, const std::string& name) {
  Dataset out;
  out.name = name;
  out.classes = classes;
  out.inputs = x;
  out.targets = y;
  if (!x.defined() || !y.defined()) return out;
  if (y.is_complex()) fail(out, "has complex numbers; give real ones");
  out.inputs = floating(x, out).detach().cpu().contiguous();
  out.targets = (y.is_floating_point() ? y : y.to(at::kLong)).detach().cpu().contiguous();
  if (out.classes == 0 && y.is_floating_point() && y.dim() == 1)
    out.targets = out.targets.unsqueeze(1);
  return out;
}

bool holds_labels(const Dataset& data) {
  return data.targets.defined() && data.targets.scalar_type() == at::kLong &&
         data.targets.numel() > 0;
}

/// Class ids in place of labels, those of the training part deciding.
void number_labels(Splits& splits) {
  const auto complain = [](const Dataset& data) {
    return [&data](size_t i, const std::string& what) {
      fail(data, text::cat("has label ", data.targets[static_cast<int64_t>(i)].item<int64_t>(),
                           " at sample ", i, ", counted from 0, ", what));
    };
  };
  Dataset &train = splits.train, &test = splits.test;
  if (!holds_labels(train)) return;
  if (train.targets.dim() == 2 && train.classes == 0) {
    if (is_one_hot(train.targets))
      fail(train, text::cat("has one-hot targets ", shape_text(train.targets.sizes()),
                            "; give class ids [N], their argmax over the last dimension"));
    int64_t most = train.targets.max().item<int64_t>();
    if (holds_labels(test)) most = std::max(most, test.targets.max().item<int64_t>());
    train.classes = test.classes = std::max<int64_t>(1, most + 1);
  }
  if (train.targets.dim() != 1) return;
  const auto labels = std::make_shared<const Labels>(
      Labels::of(train.targets, train.classes, "the number of classes", complain(train)));
  for (Dataset* part : {&train, &test}) {
    if (part == &test && !(holds_labels(test) && test.targets.dim() == 1)) continue;
    part->targets = labels->ids(part->targets, complain(*part));
    part->classes = labels->classes();
    part->class_names = labels->names();
    part->labels = labels;
  }
}

}  // namespace

Tensor as_inputs(const Tensor& x, const std::string& name) {
  Dataset owner;
  owner.name = name;
  return floating(x, owner).detach().cpu().contiguous();
}

bool is_one_hot(const Tensor& targets) {
  if (targets.dim() != 2 || targets.size(1) < 2 || targets.numel() == 0) return false;
  const Tensor ones = targets.eq(1);
  return ones.logical_or(targets.eq(0)).all().item<bool>() && ones.sum(1).eq(1).all().item<bool>();
}

Splits from_tensors(const Tensor& train_x, const Tensor& train_y, const Tensor& test_x,
                    const Tensor& test_y, int64_t classes, const std::string& name) {
  Splits out{wrap(train_x, train_y, classes, name), {}, wrap(test_x, test_y, classes, name)};
  number_labels(out);
  check(out);
  return out;
}

}  // namespace altprop::data

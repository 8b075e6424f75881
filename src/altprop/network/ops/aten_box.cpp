#include "altprop/network/ops/aten_box.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/ScalarOps.h>

#include <nlohmann/json.hpp>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

using nlohmann::json;

struct AtenCall {
  c10::OperatorHandle op;
  std::vector<json> args;
  std::string name;
};

/// Operators that draw from ATen's generator are tagged so by PyTorch.
bool draws_numbers(const c10::OperatorHandle& op) {
  return op.hasTag(at::Tag::nondeterministic_seeded);
}

class AtenProgram {
 public:
  explicit AtenProgram(const std::string& text) {
    json calls;
    try {
      calls = json::parse(text);
    } catch (const json::exception& e) {
      throw UsageError(std::string("aten box: the program is no JSON: ") + e.what());
    }
    if (!calls.is_array() || calls.empty())
      throw UsageError("aten box: the program is a list of calls, at least one");
    for (const json& call : calls) {
      if (!call.is_object() || !call.contains("op") || !call["op"].is_string() ||
          !call.contains("args") || !call["args"].is_array())
        throw UsageError("aten box: a call has an \"op\", an \"overload\" and \"args\", but here is " +
                         call.dump().substr(0, 200));
      const std::string name = call["op"], overload = call.value("overload", "");
      const auto op = c10::Dispatcher::singleton().findSchema({name, overload});
      if (!op)
        throw UsageError("aten box: libtorch has no operator '" + name +
                         (overload.empty() ? "" : "." + overload) + "'");
      const size_t wanted = op->schema().arguments().size();
      if (call["args"].size() != wanted)
        throw UsageError(text::cat("aten box: ", name, " takes ", wanted, " arguments, but is given ",
                                   call["args"].size()));
      calls_.push_back({*op, call["args"].get<std::vector<json>>(), name});
      draws_ |= draws_numbers(*op);
    }
  }

  bool draws() const { return draws_; }

  Tensor run(std::vector<c10::IValue> values, int64_t batch) const {
    for (const AtenCall& call : calls_) {
      torch::jit::Stack stack;
      const auto& schema = call.op.schema().arguments();
      for (size_t i = 0; i < schema.size(); ++i) {
        try {
          stack.push_back(argument(call.args[i], *schema[i].real_type(), values, batch));
        } catch (const json::exception&) {
          throw UsageError(text::cat("aten box: argument '", schema[i].name(), "' of ", call.name,
                                     " is of type ", schema[i].real_type()->str(), ", but written is ",
                                     call.args[i].dump().substr(0, 200)));
        }
      }
      call.op.callBoxed(&stack);
      for (c10::IValue& one : stack) {
        if (one.isTensorList()) {
          for (const Tensor& part : one.toTensorVector()) values.emplace_back(part);
        } else {
          values.push_back(std::move(one));
        }
      }
    }
    if (values.empty() || !values.back().isTensor())
      throw UsageError("aten box: the last call makes no tensor");
    return values.back().toTensor();
  }

  std::string names() const {
    std::vector<std::string> out;
    for (const AtenCall& call : calls_) out.push_back(call.name.substr(call.name.find("::") + 2));
    return text::join(out, ", ");
  }

 private:
  static const c10::IValue& value_of(const json& written, const std::vector<c10::IValue>& values) {
    const auto n = written.get<size_t>();
    if (n >= values.size())
      throw UsageError(text::cat("aten box: value ", n, " is used before it is there"));
    return values[n];
  }

  static int64_t integer(const json& written, const std::vector<c10::IValue>& values,
                         int64_t batch) {
    if (written.is_object() && written.contains("batch"))
      return written["batch"].get<int64_t>() * batch;
    if (written.is_object() && written.contains("v")) return value_of(written["v"], values).toInt();
    return written.get<int64_t>();
  }

  /// JSON has no infinity and no NaN: they are texts, "-inf".
  static double real(const json& written) {
    if (!written.is_string()) return written.get<double>();
    return std::strtod(written.get_ref<const std::string&>().c_str(), nullptr);
  }

  /// What is written, as the type that the schema asks for.
  static c10::IValue argument(const json& written, const c10::Type& type,
                              const std::vector<c10::IValue>& values, int64_t batch) {
    if (written.is_null()) return {};
    if (const auto* optional = type.castRaw<c10::OptionalType>())
      return argument(written, *optional->getElementType(), values, batch);
    if (const auto* list = type.castRaw<c10::ListType>()) return list_of(written, *list, values, batch);
    if (written.is_object() && written.contains("v")) {
      const c10::IValue& found = value_of(written["v"], values);
      return found;
    }
    switch (type.kind()) {
      case c10::TypeKind::TensorType:  // a number in a tensor's place has no say in the type
        return at::native::wrapped_scalar_tensor(written.is_boolean() ? c10::Scalar(written.get<bool>())
                                                 : written.is_number_integer() || written.is_object()
                                                     ? c10::Scalar(integer(written, values, batch))
                                                     : c10::Scalar(real(written)));
      case c10::TypeKind::SymIntType:
        return c10::SymInt(integer(written, values, batch));
      case c10::TypeKind::FloatType:
        return real(written);
      case c10::TypeKind::BoolType:
        return written.get<bool>();
      case c10::TypeKind::StringType:
        return written.get<std::string>();
      case c10::TypeKind::NumberType:
        if (written.is_boolean()) return written.get<bool>();
        if (written.is_number_float() || written.is_string()) return real(written);
        return integer(written, values, batch);
      case c10::TypeKind::DeviceObjType:
        return c10::Device(written.get<std::string>());
      default:  // int, and what is coded as one: a dtype, a layout, a memory format
        return integer(written, values, batch);
    }
  }

  static c10::IValue list_of(const json& written, const c10::ListType& list,
                             const std::vector<c10::IValue>& values, int64_t batch) {
    const c10::Type& type = *list.getElementType();
    // One number may stand for as many as the operator wants.
    const std::vector<json> items =
        written.is_array() ? written.get<std::vector<json>>() : std::vector<json>{written};
    switch (type.kind()) {
      case c10::TypeKind::TensorType: {
        c10::List<Tensor> out;
        for (const json& one : items) out.push_back(value_of(one.at("v"), values).toTensor());
        return out;
      }
      case c10::TypeKind::OptionalType: {
        c10::List<std::optional<Tensor>> out;
        for (const json& one : items)
          out.push_back(one.is_null() ? std::optional<Tensor>()
                                      : value_of(one.at("v"), values).toTensor());
        return out;
      }
      case c10::TypeKind::FloatType: {
        c10::List<double> out;
        for (const json& one : items) out.push_back(one.get<double>());
        return out;
      }
      case c10::TypeKind::BoolType: {
        c10::List<bool> out;
        for (const json& one : items) out.push_back(one.get<bool>());
        return out;
      }
      default: {
        c10::List<int64_t> out;
        for (const json& one : items) out.push_back(integer(one, values, batch));
        return out;
      }
    }
  }

  std::vector<AtenCall> calls_;
  bool draws_ = false;
};

class AtenBox : public AutogradOp {
 public:
  explicit AtenBox(AtenBoxParts parts)
      : AutogradOp("aten_box", nullptr, parts.inputs),
        program_(parts.program),
        constants_(std::move(parts.constants)),
        params_(std::move(parts.params)) {}

  std::string settings() const override { return program_.names(); }
  std::vector<ParamPtr> params() const override { return params_; }
  Traits traits() const override {
    return {.substitutable = params_.empty(),
            .draws_for_batch = program_.draws(),
            .couples_samples = couples_samples_,
            .reuses = !params_.empty()};
  }
  void build(std::span<const Spec> inputs) override {
    AutogradOp::build(inputs);
    // Of a box that draws nothing can be seen: a part of the batch draws other numbers.
    if (!program_.draws()) couples_samples_ |= mixes_samples(inputs);
  }

 protected:
  Tensor run(std::span<const Tensor> inputs, std::span<const Tensor> leaves) const override {
    std::vector<c10::IValue> values(inputs.begin(), inputs.end());
    values.insert(values.end(), constants_.begin(), constants_.end());
    values.insert(values.end(), leaves.begin(), leaves.end());
    return program_.run(std::move(values), inputs[0].size(0));
  }
  bool may_draw() const override { return program_.draws(); }
  std::vector<Tensor> leaves() const override {
    std::vector<Tensor> out;
    for (const ParamPtr& param : params_)
      out.push_back(param->value.detach().requires_grad_(param->value.is_floating_point()));
    return out;
  }

 private:
  bool mixes_samples(std::span<const Spec> inputs) const;
  std::vector<Tensor> probe(std::span<const Spec> inputs, bool positive, bool integers) const;

  AtenProgram program_;
  std::vector<Tensor> constants_;
  std::vector<ParamPtr> params_;
  bool couples_samples_ = false;
};

/// Two of these make the batch of the probe: an odd number, so that operators which take samples by
/// pairs show.
constexpr int64_t kProbeRows = 3;

/// Inputs that say something about samples. @param positive real values between 0 and 1, where
/// logarithms and roots have values @param integers false: zeros, where 1 is no index
std::vector<Tensor> AtenBox::probe(std::span<const Spec> inputs, bool positive,
                                   bool integers) const {
  const auto options = params_.empty() ? at::TensorOptions(at::kFloat)
                                       : params_[0]->value.options().requires_grad(false);
  std::vector<Tensor> out;
  for (const Spec& spec : inputs) {
    std::vector<int64_t> shape = spec.shape;
    if (spec.batched) shape.insert(shape.begin(), 2 * kProbeRows);
    const Stream draw = Stream(1).at("samples").at(static_cast<int64_t>(out.size()));
    if (spec.dtype == Dtype::Float) {
      out.push_back(positive ? draw.uniform(0.1, 0.9, shape, options)
                             : draw.normal(shape, options));
    } else {
      const Tensor bits = draw.uniform(0, integers ? 2 : 1, shape, options).floor();
      out.push_back(bits.to(spec.dtype == Dtype::Bool ? at::kBool : at::kLong));
    }
  }
  return out;
}

/// A batch is given whole and in parts. What fails on a part, too, is not of single samples.
bool AtenBox::mixes_samples(std::span<const Spec> inputs) const {
  const at::NoGradGuard off;
  const auto differs = [&](const std::vector<Tensor>& whole) {
    const std::vector<Tensor> used = leaves();
    const Tensor together = run(whole, used);
    std::vector<Tensor> apart;
    for (const int64_t from : {int64_t{0}, kProbeRows}) {
      std::vector<Tensor> rows;
      for (size_t i = 0; i < whole.size(); ++i)
        rows.push_back(inputs[i].batched ? whole[i].narrow(0, from, kProbeRows) : whole[i]);
      apart.push_back(run(rows, used));
    }
    const Tensor beside = at::cat(apart);
    if (beside.sizes() != together.sizes()) return true;
    if (!together.is_floating_point()) return !at::equal(beside, together);
    // Products of fewer rows may sum in another order, or of shorter numbers on a GPU.
    const bool exact = together.is_cpu() && !at::isReducedFloatingType(together.scalar_type());
    const double rounding = exact ? 1e-4 : 1e-2;
    const Tensor finite = together.masked_select(together.isfinite());
    const double size = finite.numel() ? finite.abs().mean().item<double>() : 0;
    return !at::allclose(beside, together, rounding, rounding * size, /*equal_nan=*/true);
  };
  for (const bool positive : {false, true}) {
    bool found = true;
    for (const bool integers : {true, false}) {
      try {
        found = differs(probe(inputs, positive, integers));
        break;
      } catch (const c10::Error&) {
        // With zeros for integers then; where these fail, too, the worse is taken for true.
      }
    }
    if (found) return true;
  }
  return false;
}

}  // namespace

OpPtr aten_box(AtenBoxParts parts) {
  if (parts.inputs < 1)
    throw UsageError("aten box: it has at least one input, which says how many samples there are");
  return std::make_shared<AtenBox>(std::move(parts));
}

}  // namespace altprop

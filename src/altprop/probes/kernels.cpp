#include "altprop/probes/kernels.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string_view>

#include "altprop/base/text.h"

namespace altprop {

namespace {

using Inputs = c10::ArrayRef<const c10::IValue>;

int64_t product_of(const std::vector<int64_t>& v) {
  int64_t n = 1;
  for (int64_t x : v) n *= x;
  return n;
}

std::vector<int64_t> shape_of(const c10::IValue& value) { return value.toTensor().sizes().vec(); }

/// @returns a product of these operands, each with or without a leading batch dimension
Kernel product(std::vector<int64_t> a, std::vector<int64_t> b) {
  Kernel out;
  if (a.size() == 3 && b.size() == 3) {
    out.batch = a[0];
    a.erase(a.begin());
    b.erase(b.begin());
  }
  if (b.size() == 1) b.push_back(1);  // matrix times vector
  if (a.size() != 2 || b.size() != 2) return {};
  out.rows = a[0];
  out.inner = a[1];
  out.columns = b[1];
  return out;
}

Kernel convolution(Kernel::Kind kind, Inputs in, size_t input, size_t weight, size_t settings) {
  Kernel out;
  out.kind = kind;
  out.input = shape_of(in[input]);
  out.weight = shape_of(in[weight]);
  out.stride = in[settings].toIntVector();
  out.padding = in[settings + 1].toIntVector();
  out.dilation = in[settings + 2].toIntVector();
  out.transposed = in[settings + 3].toBool();
  out.output_padding = in[settings + 4].toIntVector();
  out.groups = in[settings + 5].toInt();
  return out;
}

/// The kernels of one call; empty if the operator is none that counts.
std::vector<Kernel> kernels_of(std::string_view op, Inputs in) {
  if (op == "aten::mm" || op == "aten::bmm" || op == "aten::mv" || op == "altprop::product")
    return {product(shape_of(in[0]), shape_of(in[1]))};
  if (op == "altprop::packed_product")  // operands: the left factor, the result
    return {product(shape_of(in[0]), {shape_of(in[0])[1], shape_of(in[1])[1]})};
  if (op == "altprop::settle_pair") {  // there and back in every step
    const std::vector<int64_t> wide = shape_of(in[0]), weight = shape_of(in[1]);
    const auto steps = static_cast<size_t>(in[2].toInt());
    std::vector<Kernel> out(steps, product(wide, {weight[1], weight[0]}));
    out.resize(2 * steps, product({wide[0], weight[0]}, weight));
    return out;
  }
  if (op == "aten::addmm" || op == "aten::addmm_" || op == "aten::_addmm_activation" ||
      op == "aten::addmv" || op == "aten::addmv_" || op == "aten::baddbmm" ||
      op == "aten::baddbmm_")
    return {product(shape_of(in[1]), shape_of(in[2]))};
  if (op == "mkldnn::_linear_pointwise") {
    const std::vector<int64_t> x = shape_of(in[0]), w = shape_of(in[1]);
    return {product({product_of(x) / std::max<int64_t>(1, x.back()), x.back()}, {w[1], w[0]})};
  }
  if (op == "altprop::narrow_credit") {
    const std::vector<int64_t> credit = shape_of(in[0]), weight = shape_of(in[1]);
    const int64_t padding = in[2].toInt();
    Kernel out{.kind = Kernel::Kind::InputCredit,
               .input = {credit[0], weight[1], credit[2] + weight[2] - 1 - 2 * padding,
                         credit[3] + weight[3] - 1 - 2 * padding},
               .weight = weight,
               .stride = {1, 1},
               .padding = {padding, padding},
               .dilation = {1, 1},
               .output_padding = {0, 0}};
    return {out};
  }
  if (op == "aten::convolution") return {convolution(Kernel::Kind::Forward, in, 0, 1, 3)};
  if (op == "aten::convolution_backward") {
    std::vector<Kernel> out;
    const auto mask = in[10].toBoolList();
    if (mask[0]) out.push_back(convolution(Kernel::Kind::InputCredit, in, 1, 2, 4));
    if (mask[1]) out.push_back(convolution(Kernel::Kind::WeightGradient, in, 1, 2, 4));
    return out;
  }
  return {};
}

/// One count at a time; only threads that work for it call back.
struct Recorder {
  std::map<std::string, CountedKernel> seen;
  std::mutex taking;
};

Recorder* recorder = nullptr;
thread_local int depth = 0;  ///< kernels that a kernel calls in turn are part of it

struct Inside : at::ObserverContext {};

std::unique_ptr<at::ObserverContext> on_call(const at::RecordFunction& call) {
  std::vector<Kernel> kernels = kernels_of(call.name(), call.inputs());
  if (kernels.empty()) return nullptr;
  if (depth++ == 0) {
    const std::lock_guard lock(recorder->taking);
    for (Kernel& kernel : kernels)
      if (kernel.flops() > 0) {
        CountedKernel& entry = recorder->seen[kernel.name()];
        entry.kernel = std::move(kernel);
        ++entry.count;
      }
  }
  return std::make_unique<Inside>();
}

void on_return(const at::RecordFunction&, at::ObserverContext* inside) {
  if (inside) --depth;
}

}  // namespace

double Kernel::flops() const {
  if (kind == Kind::Product)
    return 2.0 * static_cast<double>(batch) * static_cast<double>(rows) *
           static_cast<double>(inner) * static_cast<double>(columns);
  // Every weight of a group is used once per position of the window: on the input of a transposed
  // convolution, on the output of a plain one.
  int64_t positions = input[0];
  for (size_t d = 2; d < input.size(); ++d)
    positions *= transposed ? input[d]
                            : (input[d] + 2 * padding[d - 2] - dilation[d - 2] * (weight[d] - 1) -
                               1) / stride[d - 2] +
                                  1;
  return 2.0 * static_cast<double>(positions) * static_cast<double>(product_of(weight));
}

std::string Kernel::name() const {
  if (kind == Kind::Product)
    return text::cat("product ", batch > 1 ? text::cat(batch, " times ") : "",
                     std::min(rows, columns), "x", inner, "x", std::max(rows, columns));
  const char* names[] = {"", "conv forward ", "conv input credit ", "conv weight gradient "};
  return text::cat(names[static_cast<int>(kind)], shape_text(input), " * ", shape_text(weight),
                   transposed ? " transposed" : "", " stride ", shape_text(stride), " padding ",
                   shape_text(padding), " dilation ", shape_text(dilation), " groups ", groups,
                   " output padding ", shape_text(output_padding));
}

std::vector<CountedKernel> count_kernels(const std::function<void()>& work) {
  static std::mutex one_at_a_time;
  const std::lock_guard alone(one_at_a_time);
  Recorder mine;
  recorder = &mine;
  const at::CallbackHandle handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(on_call, on_return)
                                     .needsInputs(true)
                                     .scopes({at::RecordScope::FUNCTION}));
  struct Stop {
    at::CallbackHandle handle;
    ~Stop() {
      at::removeCallback(handle);
      recorder = nullptr;
    }
  } stop{handle};
  work();
  std::vector<CountedKernel> out;
  for (auto& [name, counted] : mine.seen) out.push_back(std::move(counted));
  return out;
}

double flops_of(const std::vector<CountedKernel>& kernels) {
  double total = 0;
  for (const CountedKernel& c : kernels) total += static_cast<double>(c.count) * c.kernel.flops();
  return total;
}

}  // namespace altprop

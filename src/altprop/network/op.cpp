#include "altprop/network/op.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/graph.h"

namespace altprop {

void Saved::clear() {
  t.clear();
  shape.clear();
  extra.reset();
}

Credits Op::credit(const Saved& saved, const Tensor& cot, Wanted wanted, const Tensor* substitute,
                   Sweep&) const {
  Credits out(wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i]) out[i] = vjp(saved, cot, static_cast<int>(i), substitute);
  return out;
}

Tensor Op::jvp_params(const Saved&, const ParamTangents& of) const {
  for (const ParamPtr& param : params())
    if (of(*param).defined())
      throw Refusal(type(), "it has no tangent along its parameters",
                    "leave '" + param->name + "' where it is");
  return {};
}

bool Op::has_jvp_vjp() const {
  const Traits own = traits();
  return !parts() && own.response == Response::Linear && (own.affine || params().empty());
}

namespace {
[[noreturn]] void refuse_second(const std::string& type) {
  throw Refusal(type, "its second derivatives are not known",
                "use linear maps, convolutions and smooth activations such as tanh or softplus");
}
}  // namespace

Tensor Op::jvp_vjp(const Saved&, std::span<const Tensor>, const Tensor&, int) const {
  if (!has_jvp_vjp()) refuse_second(type());
  return {};
}

void Op::jvp_accumulate(const Saved&, std::span<const Tensor> tangents, const Tensor& cot,
                        double scale, Store& store) const {
  if (!has_jvp_vjp()) refuse_second(type());
  const ParamPtr weight = this->weight();
  if (!weight || params().empty()) return;
  // W maps the tangents as it maps the input, and the bias is not there.
  OnlyOf of_weight(store, {weight.get()});
  accumulate(saved_for(tangents[0]), cot, scale, of_weight);
}

TangentCredits Op::credit_of_tangent(const Saved&, std::span<const Tensor>, const Tensor&, Wanted,
                                     Wanted, Sweep&) const {
  refuse_second(type());
}

std::optional<Channels> Op::channels() const {
  const std::optional<DenseMap> map = dense();
  return map ? std::optional(Channels{map->weight->value.size(0)}) : std::nullopt;
}

void Op::penalise(double share, Sink& sink) const {
  if (const Graph* inside = parts()) inside->penalise(share, sink);
}

void Op::visit_parts(const Saved&, const Visit& visit) const {
  throw Refusal(visit.around ? "'" + visit.around->name() + "' (" + type() + ")" : type(),
                "what its parts see is made and lost inside of it",
                "use a rule that sends credit back through the network, such as backprop");
}

Tensor Op::jvp_sites(const Saved&, std::span<const SiteTangent>) const {
  throw Refusal(type(), "no tangent can begin at its parts, whose values are made and lost inside",
                "use a rule that sends credit back through the network, such as backprop");
}

namespace {
[[noreturn]] void refuse_mask(const std::string& type) {
  throw Refusal(type, "it says that it masks its input (Traits::masks), and has no mask",
                "override Op::mask and Op::saved_with");
}
}  // namespace

Tensor Op::mask(const Stream&, const RowIds&, IntArrayRef, at::TensorOptions) const {
  refuse_mask(type());
}

Saved Op::saved_with(const Tensor&) const { refuse_mask(type()); }

Saved Op::saved_for(const Tensor&) const {
  throw Refusal(type(), "what its parameters learn does not follow from an input alone",
                "send a signal with what the operation has saved");
}

namespace {
/// How many cotangents per sample there are. @throws UsageError if the rows do not fit
int64_t blocks(int64_t rows_of_cotangent, int64_t rows) {
  if (rows == 0 || rows_of_cotangent % rows != 0)
    throw UsageError(text::cat("a cotangent of ", rows_of_cotangent,
                               " rows does not fit an activity of ", rows, " rows"));
  return rows_of_cotangent / rows;
}
}  // namespace

Tensor match_rows(const Tensor& saved, const Tensor& cot) {
  if (saved.size(0) == cot.size(0)) return saved;
  std::vector<int64_t> repeats(static_cast<size_t>(saved.dim()), 1);
  repeats[0] = blocks(cot.size(0), saved.size(0));
  return saved.repeat(repeats);
}

Tensor sum_to_unbatched(const Tensor& cot_rows, int64_t batch) {
  const int64_t k = blocks(cot_rows.size(0), batch);
  return cot_rows.unflatten(0, {k, batch}).sum(1);
}

Tensor spread_over_batch(const Tensor& tangents, int64_t batch) {
  return tangents.repeat_interleave(batch, 0);
}

Tensor fold_tangents(const Tensor& rows, int64_t tangents, int64_t batch) {
  const int64_t k = blocks(tangents, batch), m = blocks(rows.size(0), tangents);
  if (k == 1) return rows;
  return rows.unflatten(0, {m, k, batch}).sum(1).flatten(0, 1);
}

Tensor fold_rows(const Tensor& cot, int64_t rows) {
  if (cot.size(0) == rows) return cot;
  std::vector<int64_t> shape = cot.sizes().vec();
  shape[0] = rows;
  shape.insert(shape.begin(), blocks(cot.size(0), rows));
  return cot.reshape(shape).sum(0);
}

}  // namespace altprop

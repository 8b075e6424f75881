#include "altprop/spiking/window.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/spiking/window_times.h"

namespace altprop::spiking {

WindowSettings WindowSettings::unbounded_at_zero() const {
  WindowSettings out = *this;
  if (clamp == 0) out.clamp = INFINITY;
  return out;
}

Window::Window(const WindowSettings& settings)
    : s_(settings),
      form_(settings.kernel.height > 0 ? "relpsp_window_conv" : "relpsp_window", settings.out,
            settings.kernel) {
  if (!(s_.window > 0) || !std::isfinite(s_.window))
    throw Refusal(type(), text::cat("the window must be positive and finite, but is ", s_.window));
  if (!(s_.clamp > 0))
    throw Refusal(type(),
                  text::cat("the clamp of derivatives must be positive, but is ", s_.clamp));
}

std::string Window::settings() const {
  const WindowSettings usual;
  std::string out = form_.settings();
  if (s_.window != usual.window) out += ",T=" + text::from_number(s_.window);
  if (s_.clamp != usual.clamp)
    out += ",clamp=" + text::from_number(std::isfinite(s_.clamp) ? s_.clamp : 0);
  return out;
}

Takes Window::takes(int) const {
  return {.kinds = {Kind::SpikeTime},
          .instead = "put latency or direct-code in front, which make spike times of values"};
}

Spec Window::infer(std::span<const Spec> inputs) const {
  if (weight_) form_.expect_weight(weight_->value, inputs[0]);
  return {.shape = form_.output_shape(inputs[0]), .kind = Kind::SpikeTime};
}

void Window::build(std::span<const Spec> inputs) {
  if (weight_) return;
  weight_ = std::make_shared<Param>("weight", at::zeros(form_.weight_shape(inputs[0])));
  weight_->init = "he";
}

std::vector<ParamPtr> Window::params() const {
  return weight_ ? std::vector<ParamPtr>{weight_} : std::vector<ParamPtr>();
}

Tensor Window::forward(std::span<const Tensor> inputs, Saved& saved, const Pass&) const {
  // Both sums at once: the weight is read once.
  const Tensor seen = spikes_and_times(inputs[0]);
  WindowTimes found = window_times(form_.apply(seen, weight_->value), s_.window, s_.clamp);
  saved.t = {seen, found.by_times, found.by_spikes};
  return found.times;
}

Tensor Window::spikes(const Saved& saved, const Tensor& rows) const {
  return match_rows(saved.t[0].narrow(0, 0, saved.t[0].size(0) / 2), rows);
}

Tensor Window::vjp(const Saved& saved, const Tensor& cot, int, const Tensor* substitute) const {
  const Tensor by_times = match_rows(saved.t[1], cot);
  const Tensor q = (cot * by_times).masked_fill_(by_times.eq(0), 0);
  Tensor out = form_.pull(q, substitute ? *substitute : weight_->value, saved.t[0].sizes());
  return out.masked_fill_(spikes(saved, cot).eq(0), 0);
}

Tensor Window::jvp(const Saved& saved, const Tensor& tangent, int) const {
  const Tensor by_times = match_rows(saved.t[1], tangent);
  const Tensor moved = tangent.masked_fill(spikes(saved, tangent).eq(0), 0);
  return (form_.apply(moved, weight_->value) * by_times).masked_fill_(by_times.eq(0), 0);
}

Tensor Window::jvp_params(const Saved& saved, const ParamTangents& of) const {
  const Tensor dw = of(*weight_);
  if (!dw.defined()) return {};
  const Tensor moved = form_.apply(saved.t[0], dw);
  const int64_t b = moved.size(0) / 2;
  return moved.narrow(0, 0, b) * saved.t[2] + moved.narrow(0, b, b) * saved.t[1];
}

void Window::accumulate(const Saved& saved, const Tensor& cot, double scale, Store& store,
                        const Tensor*, const Shared*) const {
  Slot* slot = store.of(*weight_);
  if (!slot) return;
  const Tensor folded = fold_rows(cot, saved.t[0].size(0) / 2);
  form_.add_weight_credit(*slot, sums_credit(folded, saved.t[2], saved.t[1]), saved.t[0], scale);
}

}  // namespace altprop::spiking

// The promises of the operation contract, checked for one operation on given input shapes: every
// derivative against central differences, and against each other.
#pragma once

#include <ATen/Parallel.h>

#include <map>

#include "network/op_under_test.h"

namespace altprop {

class OpCheck : public OpUnderTest {
 public:
  using OpUnderTest::OpUnderTest;

  void run() {
    Tensor y = forward(x_, saved_);
    ASSERT_EQ(shape_text(y.sizes().slice(1)), shape_text(out_.shape));
    cot_ = stream_.at("cotangent").normal(y.sizes(), test::on_device(at::kDouble));
    if (!differentiable()) {
      EXPECT_THROW(op_->vjp(saved_, cot_, 0), Refusal);
      EXPECT_THROW(op_->jvp(saved_, cot_, 0), Refusal);
    }
    for (int i = 0; i < differentiable(); ++i) derivatives(i);
    parameters();
    credits();
    rows();
    many_cotangents();
    second_derivatives();
    substitute();
    traits(y);
    draws(y);
    samples();
    strides(y);
    replay(y);
    if (options_.has_float32) float32(y);
  }

 private:
  void derivatives(int i) {
    const std::string at_input = text::cat(" of input ", i);
    Tensor& x = x_[static_cast<size_t>(i)];
    const Tensor pulled = op_->vjp(saved_, cot_, i);
    expect_close(pulled, differences(x), 1e-7, "vjp" + at_input);
    const Tensor t = stream_.at("tangent").at(i).normal(x.sizes(), test::on_device(at::kDouble));
    const Tensor pushed = op_->jvp(saved_, t, i), kept = x;
    Saved scratch;
    x = kept + options_.step * t;
    const Tensor above = forward(x_, scratch);
    x = kept - options_.step * t;
    const Tensor below = forward(x_, scratch);
    x = kept;
    expect_close(pushed, (above - below) / (2 * options_.step), 1e-7, "jvp" + at_input);
    const double a = dot_product(cot_, pushed), b = dot_product(pulled, t);
    EXPECT_NEAR(a, b, 1e-10 * std::max(1.0, std::abs(a)))
        << "<cot, J t> = <J^T cot, t>" << at_input;
  }

  void parameters() {
    const std::vector<ParamPtr> params = op_->params();
    if (params.empty()) return;
    const std::vector<Tensor> once = gradients(saved_, cot_, 0.5);
    for (size_t i = 0; i < params.size(); ++i) {
      ASSERT_TRUE(once[i].defined()) << params[i]->name;
      expect_close(once[i], 0.5 * differences(params[i]->value), 1e-7, params[i]->name);
      const std::vector<Tensor> alone = gradients(saved_, cot_, 0.5, params[i].get());
      for (size_t j = 0; j < params.size(); ++j) {
        EXPECT_EQ(alone[j].defined(), i == j) << "only " << params[i]->name;
        if (i == j) expect_close(alone[j], once[i], 1e-12, "only " + params[i]->name);
      }
    }
    slots(once);
    parameter_tangents();
    if (!differentiable()) return;
    // Behind the pull of all inputs at once, which may leave what the parameters need.
    Feedback exact;
    Gradients sink, behind;
    Shared shared;
    Sweep sweep{exact, &sink};
    sweep.shared = &shared;
    op_->credit(saved_, cot_, all_wanted(), nullptr, sweep);
    op_->accumulate(saved_, cot_, 0.5, behind, nullptr, &shared);
    for (size_t i = 0; i < params.size(); ++i)
      expect_close(behind.of_param(*params[i]), once[i], 1e-12, "after credit, " + params[i]->name);
  }

  std::vector<char> all_wanted() const { return std::vector<char>(x_.size(), 1); }

  /// All inputs at once give what each alone gives, and none where none is wanted.
  void credits() {
    if (differentiable() < static_cast<int>(x_.size())) return;
    Feedback exact;
    Sweep sweep{exact};
    std::vector<char> wanted = all_wanted();
    const Credits together = op_->credit(saved_, cot_, wanted, nullptr, sweep);
    ASSERT_EQ(together.size(), x_.size());
    for (size_t i = 0; i < x_.size(); ++i)
      expect_close(together[i], op_->vjp(saved_, cot_, static_cast<int>(i)), 1e-13,
                   text::cat("credit of input ", i));
    for (size_t i = 0; i < x_.size(); ++i) {
      wanted.assign(x_.size(), 0);
      wanted[i] = 1;
      const Credits one = op_->credit(saved_, cot_, wanted, nullptr, sweep);
      for (size_t j = 0; j < x_.size(); ++j) EXPECT_EQ(one[j].defined(), i == j);
    }
  }

  /// The gradient of the weight, or of the gain, is what its rows make, all of them or sample by
  /// sample.
  void rows() {
    const std::optional<WeightRows> rows = op_->rows(saved_, cot_);
    if (!rows) return;
    const Tensor whole = gradients(saved_, cot_, 1)[0];
    const auto product = [&](const std::pair<Tensor, Tensor>& of) {
      const auto& [inputs, credits] = of;
      return (rows->elementwise ? (credits * inputs).sum(0) : credits.t().mm(inputs))
          .view(whole.sizes());
    };
    Tensor sum = at::zeros_like(whole);
    for (int64_t i = 0; i < rows->samples; ++i) {
      const auto one = rows->of(i, i + 1);
      EXPECT_EQ(one.first.size(0), rows->per_sample);
      sum += product(one);
    }
    expect_close(sum, whole, 1e-12, "rows, sample by sample");
    expect_close(product(rows->of(0, rows->samples)), whole, 1e-12, "rows");
    if (rows->inputs.defined())
      expect_close(product({rows->inputs, rows->credits}), whole, 1e-12, "rows at hand");
  }

  /// <cot, J_p t> = <J_p^T cot, t>, for all parameters together and for each alone.
  void parameter_tangents() {
    const std::vector<ParamPtr> params = op_->params();
    const std::vector<Tensor> found = gradients(saved_, cot_, 1);
    std::map<const Param*, Tensor> t;
    if (!options_.along_parameters) {
      EXPECT_THROW(op_->jvp_params(saved_, [](const Param& p) { return p.value; }), Refusal);
      return;
    }
    for (const ParamPtr& p : params)
      t[p.get()] =
          stream_.at("tangent of").at(p->name).normal(p->value.sizes(), p->value.options());
    double together = 0;
    for (size_t i = 0; i < params.size(); ++i) {
      const double expected = dot_product(found[i], t.at(params[i].get()));
      const Tensor pushed = op_->jvp_params(
          saved_, [&](const Param& p) { return &p == params[i].get() ? t.at(&p) : Tensor(); });
      ASSERT_TRUE(pushed.defined()) << params[i]->name;
      EXPECT_NEAR(dot_product(cot_, pushed), expected, 1e-10 * std::max(1.0, std::abs(expected)))
          << "tangent along " << params[i]->name;
      together += expected;
    }
    const Tensor pushed = op_->jvp_params(saved_, [&](const Param& p) { return t.at(&p); });
    EXPECT_NEAR(dot_product(cot_, pushed), together, 1e-10 * std::max(1.0, std::abs(together)));
    EXPECT_FALSE(op_->jvp_params(saved_, [](const Param&) { return Tensor(); }).defined());
  }

  /// What a store may ask for: a second call, tensors of somebody else that lie otherwise in memory
  /// and hold something already, and momentum's factor on it.
  void slots(const std::vector<Tensor>& once) {
    const std::vector<ParamPtr> params = op_->params();
    Gradients twice, strided = Gradients::none();
    op_->accumulate(saved_, cot_, 0.5, twice);
    op_->accumulate(saved_, cot_.clone(), -2, twice);
    std::vector<Tensor> held;
    for (const ParamPtr& p : params) {
      held.push_back(stream_.at("held").normal(p->value.sizes(), p->value.options()));
      strided.bind(*p, restrided(held.back().clone()), 0.9);
    }
    op_->accumulate(saved_, cot_, 0.5, strided);
    for (size_t i = 0; i < params.size(); ++i) {
      expect_close(twice.of_param(*params[i]), -3 * once[i], 1e-12,
                   "second call for " + params[i]->name);
      expect_close(strided.of_param(*params[i]), 0.9 * held[i] + once[i], 1e-12,
                   "strided slot of " + params[i]->name);
    }
  }

  void many_cotangents() {
    const int64_t rows = cot_.size(0), k = 3;
    std::vector<int64_t> shape = cot_.sizes().vec();
    shape[0] *= k;
    const Tensor cots = stream_.at("many").normal(shape, test::on_device(at::kDouble));
    if (!options_.many_cotangents) {
      EXPECT_THROW(op_->vjp(saved_, cots, 0), Refusal);
      return;
    }
    for (int input = 0; input < differentiable(); ++input) {
      const Tensor all = op_->vjp(saved_, cots, input);
      shape = x_[static_cast<size_t>(input)].sizes().vec();
      shape[0] *= k;
      const Tensor tangents = stream_.at("tangents").normal(shape, test::on_device(at::kDouble));
      const Tensor pushed = op_->jvp(saved_, tangents, input);
      ASSERT_EQ(shape_text(all.sizes()), shape_text(shape));
      ASSERT_EQ(pushed.size(0), k * rows);
      for (int64_t j = 0; j < k; ++j) {
        expect_close(all.narrow(0, j * rows, rows),
                     op_->vjp(saved_, cots.narrow(0, j * rows, rows), input), 1e-12,
                     text::cat("block ", j, " of vjp"));
        expect_close(pushed.narrow(0, j * rows, rows),
                     op_->jvp(saved_, tangents.narrow(0, j * rows, rows), input), 1e-12,
                     text::cat("block ", j, " of jvp"));
      }
    }
    const std::vector<Tensor> together = gradients(saved_, cots, 1);
    Gradients apart;
    for (int64_t j = 0; j < k; ++j)
      op_->accumulate(saved_, cots.narrow(0, j * rows, rows), 1, apart);
    for (size_t i = 0; i < together.size(); ++i)
      expect_close(together[i], apart.of_param(*op_->params()[i]), 1e-12, "blocks of accumulate");
  }

  /// The reverse pass of the tangent, of K tangents and M cotangents of each, with and without
  /// those of single inputs: against central differences of <cot, J t>.
  void second_derivatives() {
    if (!op_->has_jvp_vjp()) {
      if (op_->parts() && differentiable()) return;  // asks its parts
      Gradients none;
      EXPECT_THROW(op_->jvp_vjp(saved_, x_, cot_, 0), Refusal);
      EXPECT_THROW(op_->jvp_accumulate(saved_, x_, cot_, 1, none), Refusal);
      return;
    }
    const int n = static_cast<int>(x_.size());
    for (int without = n > 1 ? 0 : n; without <= n; ++without)
      for (const int64_t k : {1, 3}) second_derivatives(k, without);
  }

  void second_derivatives(int64_t k, int without) {
    SCOPED_TRACE(text::cat("second derivatives along ", k, " tangents, none of input ", without));
    constexpr int64_t kCots = 2;
    const Stream stream = stream_.at("second").at(k);
    const auto many = [&](const Tensor& like, int64_t times, const Stream& draw) {
      std::vector<int64_t> shape = like.sizes().vec();
      shape[0] *= times;
      return draw.normal(shape, test::on_device(at::kDouble));
    };
    std::vector<Tensor> tangents;
    for (size_t i = 0; i < x_.size(); ++i)
      tangents.push_back(static_cast<int>(i) == without
                             ? Tensor()
                             : many(x_[i], k, stream.at(static_cast<int64_t>(i))));
    const Tensor cots = many(cot_, k * kCots, stream.at("cots"));
    const auto block = [&](int64_t m) {
      return cots.narrow(0, m * k * cot_.size(0), k * cot_.size(0));
    };
    const auto product = [&](int64_t m) {
      Saved saved;
      forward(x_, saved);
      double sum = 0;
      for (size_t i = 0; i < x_.size(); ++i)
        if (tangents[i].defined())
          sum += dot_product(op_->jvp(saved, tangents[i], static_cast<int>(i)), block(m));
      return sum;
    };
    for (size_t i = 0; i < x_.size(); ++i) {
      const Tensor found = op_->jvp_vjp(saved_, tangents, cots, static_cast<int>(i));
      for (int64_t m = 0; m < kCots; ++m) {
        const Tensor expected = differences(x_[i], [&] { return product(m); });
        if (!found.defined()) {
          EXPECT_LE(largest(expected), 1e-8) << "no credit of input " << i;
        } else {
          expect_close(found.narrow(0, m * x_[i].size(0), x_[i].size(0)), expected, 1e-7,
                       text::cat("second derivative by input ", i, ", cotangent ", m));
        }
      }
    }
    Gradients sink;
    op_->jvp_accumulate(saved_, tangents, cots, 0.5, sink);
    for (const ParamPtr& param : op_->params()) {
      const Tensor expected =
          0.5 * differences(param->value, [&] { return product(0) + product(1); });
      expect_close(
          sink.of_param(*param).defined() ? sink.of_param(*param) : at::zeros_like(expected),
          expected, 1e-7, "second derivative by " + param->name);
    }
  }

  void substitute() {
    const ParamPtr weight = op_->weight();
    if (!op_->traits().substitutable) {
      EXPECT_EQ(weight, nullptr) << "a weight that is hidden is none";
      const Tensor any = at::ones_like(cot_);
      if (differentiable()) {
        EXPECT_THROW(op_->vjp(saved_, cot_, 0, &any), Refusal);
      }
    }
    if (!weight || !options_.whole_substitute) return;
    const Tensor other =
        stream_.at("other").normal(weight->value.sizes(), test::on_device(at::kDouble));
    const Tensor substituted = op_->vjp(saved_, cot_, 0, &other), kept = weight->value;
    Gradients with;
    op_->accumulate(saved_, cot_, 1, with, &other);
    weight->value = other;
    // Saved holds no weights: the same activity with other weights in the operation is the same.
    expect_close(substituted, op_->vjp(saved_, cot_, 0), 1e-14, "substitute");
    const std::vector<Tensor> replaced = gradients(saved_, cot_, 1);
    for (size_t i = 0; i < replaced.size(); ++i)
      expect_close(with.of_param(*op_->params()[i]), replaced[i], 1e-14,
                   "accumulate with a substitute, " + op_->params()[i]->name);
    weight->value = kept;
  }

  /// What the operation says of itself is so.
  void traits(const Tensor& y) {
    const Traits traits = op_->traits();
    if (traits.affine) {
      EXPECT_EQ(traits.response, Response::Linear);
      EXPECT_TRUE(at::equal(saved_.t.at(0), x_[0])) << "Saved.t[0] of an affine map is its input";
    }
    EXPECT_TRUE(!traits.reshapes || at::equal(y.flatten(1), x_[0].flatten(1))) << "reshapes";
    EXPECT_TRUE(!traits.views || y.storage().is_alias_of(x_[0].storage())) << "views";
    if (traits.activation) {
      EXPECT_EQ(y.sizes(), x_[0].sizes());
      expect_close(op_->vjp(saved_, at::ones_like(y)) * cot_, op_->vjp(saved_, cot_), 1e-12,
                   "an activation's Jacobian is diagonal");
    }
    std::vector<Tensor> other;
    for (const Tensor& t : x_) other.push_back(t.is_floating_point() ? at::tanh(t) : t);
    Saved saved;
    const Tensor elsewhere = forward(other, saved);
    EXPECT_TRUE(traits.response != Response::Selects || at::equal(elsewhere, at::tanh(y)))
        << "Response::Selects";
    if (traits.response == Response::Linear)
      for (int i = 0; i < differentiable(); ++i)
        expect_close(op_->vjp(saved, cot_, i), op_->vjp(saved_, cot_, i), 1e-12,
                     "a linear response has one Jacobian");
    if (const ParamPtr weight = op_->weight(); weight && op_->with_weight(weight)) {
      const OpPtr bare = op_->with_weight(weight);
      Saved of_bare;
      const Tensor zero = at::zeros_like(x_[0]);
      const Tensor value = bare->forward({&zero, 1}, of_bare, {options_.mode, stream_.at("draws")});
      EXPECT_EQ(largest(value), 0) << "with_weight has no bias";
      expect_close(bare->vjp(of_bare, cot_), op_->vjp(saved_, cot_), 1e-12, "with_weight");
    }
    if (const auto channels = op_->channels()) {
      EXPECT_EQ(op_->weight()->value.size(0), channels->outputs);
      EXPECT_EQ(channels->last ? y.size(-1) : y.size(1), channels->outputs);
    }
  }

  /// Other random numbers make the same output in training where the operation draws none.
  void draws(const Tensor& y) {
    const Traits traits = op_->traits();
    if (traits.draws || traits.draws_for_batch) return;
    Saved saved;
    EXPECT_TRUE(at::equal(op_->forward(x_, saved, {options_.mode, stream_.at("other draws")}), y))
        << "draws";
  }

  /// Row by row is what the whole batch gives, unless samples may depend on each other. What is
  /// drawn for the whole batch is left out of it.
  void samples() {
    const Traits traits = op_->traits();
    if (traits.couples_samples) return;
    const Mode mode = traits.draws_for_batch ? Mode::Eval : options_.mode;
    const auto on = [&](const std::vector<Tensor>& x, int64_t first_row) {
      Saved saved;
      return op_->forward(
          x, saved, {.mode = mode, .draws = stream_.at("draws"), .first_row = first_row});
    };
    std::vector<Tensor> rows;
    for (int64_t b = 0; b < x_[0].size(0); ++b) {
      std::vector<Tensor> row;
      for (const Tensor& t : x_) row.push_back(t.narrow(0, b, 1));
      rows.push_back(on(row, b));
    }
    expect_close(at::cat(rows), on(x_, 0), 1e-12, "row by row without couples_samples");
  }

  void strides(const Tensor& y) {
    std::vector<Tensor> x;
    for (const Tensor& t : x_) x.push_back(restrided(t));
    Saved saved;
    expect_close(forward(x, saved), y, 1e-12, "forward of strided inputs");
    const Tensor cot = restrided(cot_);
    for (int i = 0; i < differentiable(); ++i)
      expect_close(op_->vjp(saved, cot, i), op_->vjp(saved_, cot_, i), 1e-12,
                   "vjp of strided tensors");
    const std::vector<Tensor> plain = gradients(saved_, cot_, 1),
                              strided = gradients(saved, cot, 1);
    for (size_t i = 0; i < plain.size(); ++i)
      expect_close(strided[i], plain[i], 1e-12, "accumulate of strided tensors");
  }

  void replay(const Tensor& y) {
    std::vector<Tensor> before;
    for (auto& [name, buffer] : op_->buffers()) before.push_back(buffer->clone());
    const Tensor pulled = differentiable() ? op_->vjp(saved_, cot_, 0) : Tensor();
    const Tensor again = op_->forward(x_, saved_, {Mode::Replay, stream_.at("other draws")});
    expect_close(again, y, 1e-12, "replay");
    if (differentiable())
      expect_close(op_->vjp(saved_, cot_, 0), pulled, 1e-12, "vjp after replay");
    size_t i = 0;
    for (auto& [name, buffer] : op_->buffers())
      EXPECT_TRUE(at::equal(*buffer, before[i++])) << "replay moved " << name;
  }

  void float32(const Tensor& y) {
    std::vector<Tensor> x, pulled;
    for (const Tensor& t : x_) x.push_back(t.is_floating_point() ? t.to(at::kFloat) : t);
    for (int i = 0; i < differentiable(); ++i) pulled.push_back(op_->vjp(saved_, cot_, i));
    for (const ParamPtr& p : op_->params()) p->value = p->value.to(at::kFloat);
    for (auto& [name, buffer] : op_->buffers())
      if (buffer->is_floating_point()) *buffer = buffer->to(at::kFloat);
    Saved saved;
    const Tensor y32 = forward(x, saved);
    EXPECT_EQ(y32.scalar_type(), at::kFloat);
    expect_close(y32, y, options_.float_tolerance, "float32 forward");
    const Tensor cot = cot_.to(at::kFloat);
    for (int i = 0; i < differentiable(); ++i)
      expect_close(op_->vjp(saved, cot, i), pulled[static_cast<size_t>(i)],
                   options_.float_tolerance, "float32 vjp");
  }
};

/// Runs every check. @param shapes of the inputs, batch included; keep them small
inline void check_op(const OpPtr& op, const std::vector<std::vector<int64_t>>& shapes,
                     CheckOptions options = {}) {
  std::string what = op->type() + "(" + op->settings() + ") of";
  for (const auto& shape : shapes) what += " " + shape_text(shape);
  SCOPED_TRACE(what);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);  // thousands of calls on tiny tensors: waking threads would take longest
  OpCheck(op, shapes, options).run();
  at::set_num_threads(threads);
}

}  // namespace altprop

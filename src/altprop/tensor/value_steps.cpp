#include "altprop/tensor/value_steps.h"

#include "altprop/base/error.h"
#include "altprop/tensor/announced.h"
#include "altprop/tensor/packed_avx512.h"
#include "altprop/tensor/row_blocks.h"

namespace altprop {

bool value_steps_know(Epilogue f) { return f != Epilogue::Tanh; }

#if defined(ALTPROP_HAS_AVX512_CODE)

bool value_steps_fit(const Tensor& rows) {
  return avx512_runs(OwnKernel::ValueSteps) && PackedMatrix::has_panels(rows.options()) &&
         !WholeBatches::wanted();
}

ALTPROP_AVX512_BEGIN

namespace {

using namespace avx512;

Strided<const float> rows_of(const Tensor& t) { return {t.const_data_ptr<float>(), t.stride(0)}; }
Strided<float> rows_into(Tensor& t) { return {t.mutable_data_ptr<float>(), t.stride(0)}; }

template <Epilogue F>
void predict(const PredictedLayer& layer, Tensor& credit, Tensor& sent) {
  const Announced as("altprop::packed_product", layer.below, layer.value);
  const Strided<const float> value = rows_of(layer.value);
  const Strided<float> errors = rows_into(credit), behind = rows_into(sent);
  const float* const bias = layer.bias.defined() ? layer.bias.const_data_ptr<float>() : nullptr;
  const __m512 precision = _mm512_set1_ps(static_cast<float>(layer.precision));
  const __m512 one = _mm512_set1_ps(1), zero = _mm512_setzero_ps();
  const auto sink = [&](int64_t row, int64_t column, __mmask16 lanes, __m512 a) {
    if (bias) a = _mm512_add_ps(a, _mm512_maskz_loadu_ps(lanes, bias + column));
    // NaN stays: of two numbers one of which is NaN, max returns the second.
    const __m512 p = F == Epilogue::Relu      ? _mm512_max_ps(zero, a)
                     : F == Epilogue::Sigmoid ? sigmoid(a)
                                              : a;
    const __m512 held = _mm512_maskz_loadu_ps(lanes, value.at(row, column));
    const __m512 error = _mm512_mul_ps(precision, _mm512_sub_ps(p, held));
    _mm512_mask_storeu_ps(errors.at(row, column), lanes, error);
    __m512 through = error;
    if (F == Epilogue::Relu)
      through = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(p, zero, _CMP_NLE_UQ), error);
    if (F == Epilogue::Sigmoid)
      through = _mm512_mul_ps(error, _mm512_mul_ps(p, _mm512_sub_ps(one, p)));
    _mm512_mask_storeu_ps(behind.at(row, column), lanes, through);
  };
  multiply_panels(rows_of(layer.below), layer.below.size(0), layer.weight, 0,
                  panels_of(layer.weight), sink);
}

}  // namespace

void predict_values(const PredictedLayer& layer, Tensor& credit, Tensor& sent) {
  switch (layer.f) {
    case Epilogue::None:
      return predict<Epilogue::None>(layer, credit, sent);
    case Epilogue::Relu:
      return predict<Epilogue::Relu>(layer, credit, sent);
    case Epilogue::Sigmoid:
      return predict<Epilogue::Sigmoid>(layer, credit, sent);
    case Epilogue::Tanh:
      break;
  }
  throw Error("predict_values does not know tanh; ask value_steps_know before");
}

void move_values(Tensor& value, const Tensor& base, const Tensor& sent, const PackedMatrix& weight,
                 double keep, double share, double eta) {
  const Announced as("altprop::packed_product", sent, value);
  const Strided<float> to = rows_into(value);
  const Strided<const float> from = rows_of(base);
  const __m512 kept = _mm512_set1_ps(static_cast<float>(keep)),
               shared = _mm512_set1_ps(static_cast<float>(share)),
               step = _mm512_set1_ps(static_cast<float>(eta));
  const auto sink = [&](int64_t row, int64_t column, __mmask16 lanes, __m512 sum) {
    float* const place = to.at(row, column);
    __m512 v = _mm512_mul_ps(kept, _mm512_maskz_loadu_ps(lanes, place));
    v = _mm512_fmadd_ps(shared, _mm512_maskz_loadu_ps(lanes, from.at(row, column)), v);
    _mm512_mask_storeu_ps(place, lanes, _mm512_fnmadd_ps(step, sum, v));
  };
  multiply_panels(rows_of(sent), sent.size(0), weight, 0, panels_of(weight), sink);
}

ALTPROP_AVX512_END

#else

bool value_steps_fit(const Tensor&) { return false; }
void predict_values(const PredictedLayer&, Tensor&, Tensor&) {
  throw Error("kernels for AVX-512 are not compiled in; ask whether they fit before calling them");
}
void move_values(Tensor&, const Tensor&, const Tensor&, const PackedMatrix&, double, double,
                 double) {
  throw Error("kernels for AVX-512 are not compiled in; ask whether they fit before calling them");
}

#endif

}  // namespace altprop

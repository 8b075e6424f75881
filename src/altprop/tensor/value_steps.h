// The two products of a layer whose units hold values and are predicted from the layer below, with
// everything that happens to a unit in the same pass: all that a step of predictive coding on
// moving values needs (rules/relaxation/value_chain.h).
#pragma once

#include "altprop/tensor/linear.h"
#include "altprop/tensor/packed_matrix.h"

namespace altprop {

/// True if the functions below may be called on rows like these: float32 on the CPU, AVX-512, and
/// nobody who wants to see single products (WholeBatches).
bool value_steps_fit(const Tensor& rows);
/// The functions that they know: none, relu, sigmoid.
bool value_steps_know(Epilogue f);

/// A layer that is predicted. Rows [rows, n] without gaps between their numbers.
struct PredictedLayer {
  Tensor below;                 ///< [rows, k]
  const PackedMatrix& weight;   ///< [k, n]: the transpose of the layer's
  Tensor bias;                  ///< [n] or undefined
  Epilogue f = Epilogue::None;  ///< prediction = f(below weight + bias)
  Tensor value;                 ///< [rows, n]
  double precision = 1;
};
/// credit <- precision (prediction - value), sent <- credit * f'(.).
void predict_values(const PredictedLayer& layer, Tensor& credit, Tensor& sent);

/// value <- keep value + share base - eta sent weight.
/// @param value, base [rows, n]; sent [rows, k]; weight [k, n]
void move_values(Tensor& value, const Tensor& base, const Tensor& sent, const PackedMatrix& weight,
                 double keep, double share, double eta);

}  // namespace altprop

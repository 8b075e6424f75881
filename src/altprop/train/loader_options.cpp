#include "altprop/train/loader_options.h"

namespace altprop {

namespace {

at::ScalarType dtype_of(const RunSettings& settings) {
  return settings.dtype == "float64" ? at::kDouble : at::kFloat;
}

}  // namespace

data::LoaderOptions training_options(const RunSettings& s, const Stream& stream) {
  data::LoaderOptions o;
  o.batch = s.batch;
  o.shuffle = s.shuffle;
  o.drop_last = s.drop_last;
  o.stream = stream.at("data");
  o.augment = {.crop = s.crop, .fill = s.crop_fill, .flip = s.flip};
  o.dtype = dtype_of(s);
  o.device = at::Device(s.device);
  o.prefetch = s.prefetch;
  return o;
}

data::LoaderOptions evaluation_options(const RunSettings& s) {
  data::LoaderOptions o;
  o.batch = 1000;
  o.shuffle = false;
  o.dtype = dtype_of(s);
  o.device = at::Device(s.device);
  return o;
}

}  // namespace altprop

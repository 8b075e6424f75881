#include "altprop/weight_flow/weight_flow.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/weight_flow/group_flow.h"

namespace altprop::weight_flow {

std::shared_ptr<WeightFlow> make_plain_flow(const Settings& settings);  // plain_flows.cpp

std::vector<Tensor> zero_gradients(const std::vector<ParamPtr>& params) {
  std::vector<Tensor> out;
  for (const ParamPtr& param : params) out.push_back(at::zeros_like(param->value));
  return out;
}

std::vector<std::string> flow_names() { return {"iso", "gated", "basis", "free", "constant"}; }

std::shared_ptr<WeightFlow> make_flow(const Settings& settings) {
  if (settings.flow == "iso") return std::make_shared<GroupFlow>(settings, iso_generator());
  if (settings.flow == "gated")
    return std::make_shared<GroupFlow>(settings, gated_generator(settings));
  if (auto plain = make_plain_flow(settings)) return plain;
  throw UsageError("there is no flow '" + settings.flow + "'" +
                   text::suggestion(settings.flow, flow_names()));
}

}  // namespace altprop::weight_flow

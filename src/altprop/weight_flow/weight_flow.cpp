#include "altprop/weight_flow/weight_flow.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/weight_flow/group_flow.h"
#include "altprop/weight_flow/plain_flows.h"

namespace altprop::weight_flow {

namespace {

std::shared_ptr<WeightFlow> iso_flow(const Settings& settings) {
  return std::make_shared<GroupFlow>(settings, iso_generator());
}
std::shared_ptr<WeightFlow> gated_flow(const Settings& settings) {
  return std::make_shared<GroupFlow>(settings, gated_generator(settings));
}

using MakeFlow = std::shared_ptr<WeightFlow> (*)(const Settings&);
const std::vector<std::pair<std::string, MakeFlow>>& all_flows() {
  static const std::vector<std::pair<std::string, MakeFlow>> all{{"iso", iso_flow},
                                                                 {"gated", gated_flow},
                                                                 {"basis", basis_flow},
                                                                 {"free", free_flow},
                                                                 {"constant", constant_flow}};
  return all;
}

}  // namespace

std::vector<Tensor> zero_gradients(const std::vector<ParamPtr>& params) {
  std::vector<Tensor> out;
  for (const ParamPtr& param : params) out.push_back(at::zeros_like(param->value));
  return out;
}

std::vector<std::string> flow_names() {
  std::vector<std::string> out;
  for (const auto& [name, make] : all_flows()) out.push_back(name);
  return out;
}

std::shared_ptr<WeightFlow> make_flow(const Settings& settings) {
  for (const auto& [name, make] : all_flows())
    if (name == settings.flow) return make(settings);
  throw UsageError("there is no flow '" + settings.flow + "'" +
                   text::suggestion(settings.flow, flow_names()));
}

}  // namespace altprop::weight_flow

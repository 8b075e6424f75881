#include "altprop/optim/updater.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

void Updater::refuse(const std::string& why, const std::string& instead) const {
  throw Refusal("optimizer '" + settings().kind + "'", why, instead);
}

void Updater::set_group(GroupSettings settings) {
  refuse("it steps all parameters alike, but the group '" + settings.name +
             "' is to have settings of its own",
         "use one of the library's optimizers, or the same settings for all");
}

void Updater::set_direction(std::shared_ptr<Direction> direction) {
  if (direction)
    refuse("it takes gradients and leaves no place for a direction to make them",
           "use one of the library's optimizers, or direction=accumulate");
}

void Updater::set_exchange(std::shared_ptr<Exchange> exchange, const Traits&) {
  if (exchange)
    refuse("it exchanges nothing with other learners", "use one of the library's optimizers");
}

void Updater::set_steps_alone(bool wanted) {
  if (wanted)
    refuse("it steps whole groups, but the rule steps one operation after the other",
           "use one of the library's optimizers, or another rule");
}

void Updater::apply_to(const Op&) {
  refuse("it steps whole groups and not one operation alone",
         "use one of the library's optimizers");
}

void Updater::set_weight_decay(double decay) {
  if (decay >= 0)
    refuse("its weight decay cannot be changed while it trains, which the rule asks for",
           "use one of the library's optimizers, or options of the rule that leave decay as it is");
}

void Updater::set_weight_decay(const std::string&, double decay) { set_weight_decay(decay); }

void Updater::refuse_bounds(const std::vector<ParamPtr>& params) const {
  if (keeps_bounds()) return;
  for (const ParamPtr& param : params)
    if (param->bounds && param->learnt)
      refuse(text::cat("'", param->name, "' has to stay in [", param->bounds->low, ", ",
                       param->bounds->high, "], but it carries no value back"),
             "use one of the library's optimizers, or say keeps_bounds where it does");
}

void Updater::refuse_twins(const std::vector<ParamPtr>& params) const {
  for (const ParamPtr& param : params)
    if (param->twin)
      refuse("'" + param->name + "' is to step as '" + param->twin->name +
                 "' does, but it steps every parameter by its own gradient",
             "use one of the library's optimizers, or a rule without such feedback");
}

}  // namespace altprop

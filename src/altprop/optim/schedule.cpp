#include "altprop/optim/schedule.h"

#include "altprop/optim/idle.h"

namespace altprop {

template <>
Registry<ScheduleEntry>& registry_of() {
  static Registry<ScheduleEntry> all("schedule");
  return all;
}

std::vector<std::string> schedule_names() { return registry_of<ScheduleEntry>().names(); }

void Schedule::declare(Options& o) {
  o.choice("schedule", kind, schedule_names(), {"learning rate over the epochs"});
  o.list("milestones", milestones,
         {"step schedule: epochs after which the rate is multiplied by gamma", "epochs"});
  o.number("gamma", gamma, {.min = 0},
           {"step schedule: factor at each milestone; exponential: factor of every epoch", "1"});
  o.integer(
      "late-from", late_from, {.min = 0},
      {"exponential schedule: epoch (from 0) from which late-gamma to the power of the epoch is "
       "the factor; 0: never",
       "epochs"});
  o.number("late-gamma", late_gamma, {.min = 0},
           {"exponential schedule: what takes the place of gamma from late-from on", "1",
            "code of arXiv 2306.04810"});
  o.integer("warmup-steps", warmup_steps, {.min = 0},
            {"steps over which the rate grows linearly from 0", "steps"});
}

std::vector<std::string> Schedule::without_effect() const {
  Schedule mine = *this, usual;
  return text_of_idle(mine, usual, {"milestones", "gamma", "late-from", "late-gamma"},
                      registry_of<ScheduleEntry>().at(kind).uses, "--schedule " + kind);
}

void Schedule::check() const { registry_of<ScheduleEntry>().at(kind).curve->check(*this); }

double Schedule::factor(int64_t epoch, double fraction, int64_t epochs, int64_t step) const {
  double factor =
      registry_of<ScheduleEntry>().at(kind).curve->factor(*this, epoch, fraction, epochs);
  if (step < warmup_steps)
    factor *= static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  return factor;
}

}  // namespace altprop

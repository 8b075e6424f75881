// How far a rule's credit is from the exact one inside of ODE blocks, by step and stage: what a
// gradient summed over all of them does not show.
#pragma once

#include <string>
#include <vector>

#include "altprop/probes/similarity.h"
#include "altprop/rules/rule.h"

namespace altprop {

struct OdeCreditRow {
  std::string name;             ///< of an operation with parameters, "ode1.fc2"
  int64_t step = 0, stage = 0;  ///< from 0, of the block around it
  Similarity s;                 ///< of the credit of its output, over the whole batch
};

/// One row for each evaluation of each operation with parameters in an ODE block, in the order of
/// the network, of time and of stages; none if there is no block. Blocks inside of blocks are left
/// out. Changes nothing. @param step the batch to look at; its updater is ignored
std::vector<OdeCreditRow> compare_ode_credit(Rule& rule, const Step& step);

}  // namespace altprop

// What a graph derives from its structure once: for its own source files alone.
#pragma once

#include <algorithm>

#include "altprop/network/graph.h"

namespace altprop {

/// Facts derived from the structure once, after the last node was added.
struct Graph::Plan {
  std::vector<char> needs_credit;  ///< per node
  std::vector<char> learns;        ///< per node: it has parameters that are not frozen
  std::vector<char> composite;     ///< per node: it is made of others
  std::vector<int> site_of;        ///< per node
  int sites = 0;
  std::vector<char> may_overwrite;   ///< per node: its forward may reuse its input's memory
  std::vector<int> fused_with;       ///< per node: the activation applied together with it, or -1
  std::vector<char> done_by_fusion;  ///< per node: its forward was done by its producer
  std::vector<int> last_use;         ///< per node: the last consumer, or -1
  std::vector<char> is_output;
  std::vector<std::pair<ParamPtr, bool>> learnt;  ///< what this was made for
  std::shared_ptr<const Plan> before;             ///< kept for whoever still looks at it

  bool still_holds() const {
    return std::all_of(learnt.begin(), learnt.end(),
                       [](const auto& p) { return p.first->learnt == p.second; });
  }
};

}  // namespace altprop

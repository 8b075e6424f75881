// A run of the trainer in one piece, and the same run interrupted and resumed from its checkpoint.
#pragma once

#include <gtest/gtest.h>

#include "altprop/train/experiment.h"
#include "altprop/train/interrupt.h"

namespace altprop::testing {

inline std::vector<Tensor> weights_after(Experiment& e) {
  e.trainer().run();
  std::vector<Tensor> out;
  for (const ParamPtr& param : e.net().params()) out.push_back(param->value.clone());
  return out;
}

struct Interrupt : Observer {
  int64_t at;
  explicit Interrupt(int64_t at) : at(at) {}
  void on_step(const Trainer& trainer) override {
    if (trainer.position().step == at) interrupt::request(true);
  }
};

template <class Data>
void expect_resumed_run_is_whole(RunSettings s, const Data& data,
                                 std::initializer_list<int64_t> stops) {
  Experiment whole(s, data);
  const std::vector<Tensor> expected = weights_after(whole);
  for (const int64_t stop : stops) {
    TensorMap map;
    {
      Experiment part(s, data);
      Interrupt observer(stop);
      part.trainer().observe(observer);
      EXPECT_EQ(part.trainer().run(), "interrupted");
      interrupt::request(false);
      part.trainer().state(StateIO::saving(map));
    }
    Experiment rest(s, data);
    rest.trainer().state(StateIO::loading(map));
    const std::vector<Tensor> found = weights_after(rest);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(found[i], expected[i])) << i;
  }
}

}  // namespace altprop::testing

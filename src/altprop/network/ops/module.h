// Any torch::nn::Module with forward(Tensor) as an operation. The only header of the library that
// includes torch's C++ modules: files that do not need it should not include it.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "altprop/network/ops/autograd.h"

namespace altprop {

/// Parameters share storage with the module's: an update through Param::value is seen by the
/// module, and where a Param is given another tensor (a view of a flat buffer, another type or
/// device) the module's parameter is pointed at it before the next pass. Do not train the module by
/// other means meanwhile.
///
/// Mode::Train and Replay put the module into training, Eval into evaluation. Replay repeats draws
/// exactly; a batch norm inside the module normalises by the statistics of the input that it is
/// given, also on a moved state (batch_norm() of this library keeps those of the repeated pass).
class ModuleOp : public AutogradOp {
 public:
  ModuleOp(std::shared_ptr<torch::nn::Module> module, Function function,
           Samples samples = Samples::Unknown);
  std::vector<ParamPtr> params() const override { return params_; }
  std::vector<std::pair<std::string, Tensor*>> buffers() override;

 protected:
  std::vector<Tensor> leaves() const override;
  void set_training(bool training) const override;
  std::vector<Tensor> by_products() const override;

 private:
  std::shared_ptr<torch::nn::Module> module_;
  std::vector<ParamPtr> params_;
  std::vector<Tensor> leaves_;  ///< the module's own parameters, as params_
  std::vector<std::string> buffer_names_;
  std::vector<Tensor> buffers_, module_buffers_;
};

/// `module(std::make_shared<MyModuleImpl>(...))`
template <class M>
OpPtr module(std::shared_ptr<M> m, Samples samples = Samples::Unknown) {
  return std::make_shared<ModuleOp>(
      m, [m](std::span<const Tensor> x) -> Tensor { return m->forward(x[0]); }, samples);
}
/// `module(torch::nn::Linear(3, 4), Samples::Apart)`
template <class M>
OpPtr module(const torch::nn::ModuleHolder<M>& holder, Samples samples = Samples::Unknown) {
  return module(holder.ptr(), samples);
}

}  // namespace altprop

#include "altprop/network/ops/module.h"

namespace altprop {

namespace {
/// Makes `mine` show the contents of `value` if it does not already.
void point_at(const Tensor& mine, const Tensor& value) {
  if (mine.data_ptr() == value.data_ptr() && mine.sizes() == value.sizes() &&
      mine.strides() == value.strides() && mine.scalar_type() == value.scalar_type())
    return;
  const_cast<Tensor&>(mine).set_data(value.detach());
}
}  // namespace

ModuleOp::ModuleOp(std::shared_ptr<torch::nn::Module> module, Function function, Samples samples)
    : AutogradOp("module", std::move(function), 1, samples), module_(std::move(module)) {
  for (const auto& entry : module_->named_parameters()) {
    if (!entry.value().requires_grad()) continue;
    leaves_.push_back(entry.value());
    params_.push_back(std::make_shared<Param>(entry.key(), entry.value().detach()));
  }
  for (const auto& entry : module_->named_buffers()) {
    buffer_names_.push_back(entry.key());
    module_buffers_.push_back(entry.value());
    buffers_.push_back(entry.value().detach());
  }
}

std::vector<std::pair<std::string, Tensor*>> ModuleOp::buffers() {
  std::vector<std::pair<std::string, Tensor*>> out;
  for (size_t i = 0; i < buffers_.size(); ++i) out.emplace_back(buffer_names_[i], &buffers_[i]);
  return out;
}

std::vector<Tensor> ModuleOp::leaves() const {
  for (size_t i = 0; i < leaves_.size(); ++i) point_at(leaves_[i], params_[i]->value);
  for (size_t i = 0; i < buffers_.size(); ++i) point_at(module_buffers_[i], buffers_[i]);
  return leaves_;
}

void ModuleOp::set_training(bool training) const {
  if (module_->is_training() != training) module_->train(training);
}

std::vector<Tensor> ModuleOp::by_products() const { return buffers_; }

}  // namespace altprop

#include "altprop/cores/float_engine.h"

#include "altprop/tensor/linear.h"

namespace altprop::cores {

FloatEngine::FloatEngine(const Mapping& mapping)
    : lines_(mapping), fire_on_zero_(mapping.fire_on_zero) {
  for (const MappedCore& core : mapping.cores) {
    std::vector<int64_t> lines;
    for (const AxonSource& source : core.axons) lines.push_back(lines_.of(source));
    sources_.push_back(at::tensor(lines, at::kLong));
  }
  std::vector<int64_t> counted, classes;
  for (const Vote& vote : mapping.votes) {
    counted.push_back(lines_.of(vote));
    classes.push_back(vote.of_class);
  }
  votes_ = at::tensor(counted, at::kLong);
  of_class_ = at::zeros({votes_.size(0), mapping.classes})
                  .scatter_(1, at::tensor(classes, at::kLong).unsqueeze(1), 1);
}

void FloatEngine::take(const Mapping& member) {
  std::vector<DrawnCore>& cores = drawn_.emplace_back();
  for (const MappedCore& core : member.cores) {
    Tensor strengths = at::empty_like(core.connections);
    float* s = strengths.mutable_data_ptr<float>();
    for (const auto& table : core.strengths)
      for (const int type : core.types) *s++ = static_cast<float>(table[static_cast<size_t>(type)]);
    cores.push_back({core.connections * strengths, at::tensor(core.leaks, at::kFloat)});
  }
}

void FloatEngine::run(const Tensor& chance, const Tensor& ids, uint64_t key, Tensor& counts,
                      Tensor* votes) const {
  const int64_t images = chance.size(0);
  Tensor drawn = at::empty({images, lines_.inputs}, at::kLong);
  for (int64_t b = 0; b < images; ++b)
    draw_spikes(key, ids[b].item<int64_t>(), chance.const_data_ptr<int32_t>() + b * lines_.inputs,
                lines_.inputs,
                reinterpret_cast<uint64_t*>(drawn.mutable_data_ptr<int64_t>()) + b * lines_.inputs);
  Tensor all = at::zeros({images, lines_.all});
  for (int64_t m = 0; m < members(); ++m) {
    const uint64_t* from = reinterpret_cast<const uint64_t*>(drawn.const_data_ptr<int64_t>());
    float* to = all.mutable_data_ptr<float>();
    for (int64_t b = 0; b < images; ++b, from += lines_.inputs, to += lines_.all)
      for (int64_t i = 0; i < lines_.inputs; ++i) to[i] = static_cast<float>(from[i] >> m & 1);
    for (size_t k = 0; k < sources_.size(); ++k) {
      const DrawnCore& core = drawn_[static_cast<size_t>(m)][k];
      const Tensor sum = gemm(all.index_select(1, sources_[k]), core.synapses.t()).add_(core.leaks);
      all.narrow(1, lines_.first[k], sum.size(1)).copy_(fire_on_zero_ ? sum.ge(0) : sum.gt(0));
    }
    const Tensor fired = all.index_select(1, votes_);
    counts[m].add_(gemm(fired, of_class_).to(at::kInt));
    if (votes) (*votes)[m].copy_(fired);
  }
}

}  // namespace altprop::cores

#include "altprop/weight_flow/group_flow.h"

#include <algorithm>
#include <numbers>

#include "altprop/weight_flow/skew.h"

namespace altprop::weight_flow {

namespace {

/// W[to] = W[from] R(h Omega(t, W[at])), by numbers of the matrices that are read.
struct Move {
  int64_t from, at, to;
  double t, h;
};

/// Euler: one after the other. Midpoint: half a step to the middle, then the whole step with what
/// Omega is there.
std::vector<Move> moves_of(const Grid& grid) {
  std::vector<Move> out;
  for (int64_t to = 1; to < grid.reads(); ++to) {
    const int64_t at = to - 1, from = grid.midpoint && to % 2 == 0 ? to - 2 : at;
    out.push_back({from, at, to, grid.time(at), grid.time(to) - grid.time(from)});
  }
  return out;
}

struct MoveKept {
  std::any generator;
  Tensor omega;     ///< before it is capped
  double norm = 0;  ///< of it, Frobenius
  Turned turned;
};

struct GroupKept {
  Turned start;  ///< of fixed to W(0), where that is learnt
  std::vector<MoveKept> moves;
};

const GroupKept& kept_of(const Trajectory& trajectory) {
  return *std::any_cast<const std::shared_ptr<GroupKept>&>(trajectory.kept);
}

/// Derivative of Omega -> c Omega / max(c, |Omega|), which is its own transpose.
Tensor pull_cap(const Tensor& covector, const MoveKept& move, double cap) {
  if (cap <= 0 || move.norm <= cap) return covector;
  const double along = (move.omega * covector).sum().item<double>() / (move.norm * move.norm);
  return covector.sub(move.omega, along).mul_(cap / move.norm);
}

}  // namespace

void GroupFlow::build(int64_t d, const Grid&) {
  generator_->build(d);
  fixed_ = std::make_shared<Param>("fixed", at::eye(d));
  fixed_->learnt = false;
  if (settings_.start == "orthogonal") fixed_->init = "orthogonal";
  turn_ = settings_.learn_start ? std::make_shared<Param>("start", at::zeros({d, d})) : nullptr;
}

std::vector<ParamPtr> GroupFlow::params() const {
  std::vector<ParamPtr> out = generator_->params();
  if (turn_) out.push_back(turn_);
  out.push_back(fixed_);
  return out;
}

// Steps are taken in double whatever the network's type: roundings of float32 would add up.
Trajectory GroupFlow::run(const Grid& grid) const {
  const Retraction& retract = retraction(settings_.retraction);
  const at::ScalarType type = fixed_->value.scalar_type();
  auto kept = std::make_shared<GroupKept>();
  std::vector<Tensor> w{fixed_->value.to(at::kDouble)};
  if (turn_) {
    const Tensor s = turn_->value.to(at::kDouble);
    const Turned start = retraction("cayley").apply(s - s.t(), digits_of(type));
    w[0] = at::mm(w[0], start.rotation);
    kept->start = start.to(type);
  }
  Trajectory out{{w[0].to(type)}, {}};
  for (const Move& move : moves_of(grid)) {
    MoveKept k;
    k.omega = generator_->omega(move.t, out.read[move.at], k.generator);
    k.norm = k.omega.norm().item<double>();
    const double shorter = settings_.cap > 0 && k.norm > settings_.cap ? settings_.cap / k.norm : 1;
    const Turned turned =
        retract.apply(k.omega.to(at::kDouble).mul(move.h * shorter), digits_of(type));
    w.push_back(at::mm(w[move.from], turned.rotation));
    out.read.push_back(w.back().to(type));
    k.turned = turned.to(type);
    kept->moves.push_back(std::move(k));
  }
  out.kept = std::move(kept);
  return out;
}

std::vector<Tensor> GroupFlow::pull(const Trajectory& trajectory, const Grid& grid,
                                    std::span<const Tensor> read) const {
  const Retraction& retract = retraction(settings_.retraction);
  const GroupKept& kept = kept_of(trajectory);
  const std::vector<Tensor>& w = trajectory.read;
  const std::unique_ptr<Generator::Pull> generator = generator_->pull();
  std::vector<Tensor> of_w;
  for (const Tensor& one : read) of_w.push_back(one.clone());
  const std::vector<Move> moves = moves_of(grid);
  for (size_t i = moves.size(); i-- > 0;) {
    const Move& move = moves[i];
    const MoveKept& k = kept.moves[i];
    // skew_part(R^T (W[from]^T G)), and W[to] = W[from] R
    const Tensor turn = skew_part(at::mm(w[move.to].t(), of_w[move.to]));
    of_w[move.from].addmm_(of_w[move.to], k.turned.rotation.t());
    const Tensor of_omega = pull_cap(retract.pull(k.turned, turn).mul_(move.h), k, settings_.cap);
    generator->through(w[move.at], k.generator, of_omega, of_w[move.at]);
    of_w[move.to].reset();
  }
  std::vector<Tensor> gradients = generator->gradients();
  if (turn_) {
    const Tensor turn = skew_part(at::mm(w[0].t(), of_w[0]));
    gradients.push_back(retraction("cayley").pull(kept.start, turn) * 2);
  }
  // `fixed` learns nothing, but somebody may ask.
  gradients.push_back(turn_ ? at::mm(of_w[0], kept.start.rotation.t()) : of_w[0]);
  return gradients;
}

std::vector<Tensor> GroupFlow::push(const Trajectory& trajectory, const Grid& grid,
                                    const ParamTangents& of) const {
  const Retraction& retract = retraction(settings_.retraction);
  const GroupKept& kept = kept_of(trajectory);
  const std::vector<Tensor>& w = trajectory.read;
  Tensor first = at::zeros_like(w[0]);
  if (const Tensor df = of(*fixed_); df.defined())
    first.add_(turn_ ? at::mm(df, kept.start.rotation) : df);
  if (const Tensor ds = turn_ ? of(*turn_) : Tensor(); ds.defined())
    first.addmm_(w[0], retraction("cayley").push(kept.start, ds - ds.t()));
  std::vector<Tensor> out{first};
  const std::vector<Move> moves = moves_of(grid);
  for (size_t i = 0; i < moves.size(); ++i) {
    const Move& move = moves[i];
    const MoveKept& k = kept.moves[i];
    const Tensor omega =
        pull_cap(generator_->push(w[move.at], k.generator, out[move.at], of), k, settings_.cap);
    const Tensor turn = retract.push(k.turned, omega * move.h);
    out.push_back(at::mm(out[move.from], k.turned.rotation).addmm_(w[move.to], turn));
  }
  return out;
}

int64_t GroupFlow::multiply_adds(const Grid& grid) const {
  const int64_t d = fixed_->value.size(0);
  return (grid.reads() - 1) * (generator_->multiply_adds() + 7 * d * d * d);
}

double GroupFlow::largest_turn(const Trajectory& trajectory) {
  double out = 0;
  for (const MoveKept& move : kept_of(trajectory).moves) out = std::max(out, move.turned.angle);
  return out;
}

std::string GroupFlow::notice(const Trajectory& trajectory) const {
  const double turn = largest_turn(trajectory);
  if (turn <= 1) return "";
  return turn > std::numbers::pi
             ? "a step turns its weights by more than pi rad, which means nothing; take more "
               "steps, "
               "a smaller T, or cap Omega"
             : "a step turns its weights by more than 1 rad, which is coarse; take more steps, a "
               "smaller T, or cap Omega";
}

}  // namespace altprop::weight_flow

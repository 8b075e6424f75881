// Feedback alignment: credit returns through fixed random tensors.
// T. Lillicrap, D. Cownden, D. Tweed, C. Akerman, "Random synaptic feedback weights support error
// backpropagation for deep learning", 2014/2016, arXiv 1411.0247.
#include "altprop/rules/feedback/feedback_rule.h"
#include "altprop/rules/registry.h"

namespace altprop {

namespace {

/// The base's substitutes as they are drawn: fixed for the whole run.
struct FeedbackAlignment : FeedbackRule {
  bool allows_in_place() const override { return !looks_at_gradients(); }
};

const RegisterRule registered_feedback_alignment{
    {.name = "feedback-alignment",
     .aliases = {"fa"},
     .summary = "credit through fixed random matrices instead of the transposed weights",
     .assumes = "separate feedback synapses, fixed",
     .source = "Lillicrap et al. 2014, arXiv 1411.0247",
     .example_net = "mlp:784-100-100-10:relu",
     .make = [] { return std::make_unique<FeedbackAlignment>(); },
     .order = 10,
     .reaches = 0.74}};

}  // namespace

}  // namespace altprop

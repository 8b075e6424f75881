// The switches of own kernels.
#include "altprop/tensor/own_kernels.h"

#include <gtest/gtest.h>

#include "altprop/base/error.h"
#include "altprop/network/softmax.h"
#include "altprop/tensor/lstm.h"
#include "altprop/tensor/outer_product.h"
#include "altprop/tensor/packed_matrix.h"
#include "altprop/tensor/settle.h"
#include "altprop/tensor/value_steps.h"

namespace altprop {
namespace {

/// tools/kernels.sh reads this.
TEST(KernelSwitches, Listed) {
  for (const std::string& name : OwnKernels::all().names())
    std::printf("own kernel %s\n", name.c_str());
  std::fflush(stdout);
  EXPECT_EQ(OwnKernels::named(OwnKernels::all().names()), OwnKernels::all());
}

TEST(KernelSwitches, AreReadFromLeftToRight) {
  EXPECT_TRUE(OwnKernels::off_by("").empty());
  EXPECT_EQ(OwnKernels::off_by("none"), OwnKernels::all());
  EXPECT_EQ(OwnKernels::off_by(" -rows , -avx512"),
            OwnKernels({OwnKernel::Rows, OwnKernel::Avx512}));
  EXPECT_EQ(OwnKernels::off_by("none,rows"), OwnKernels::all().without({OwnKernel::Rows}));
  EXPECT_EQ(OwnKernels::off_by("-rows,all,-lstm"), OwnKernels({OwnKernel::Lstm}));
}

TEST(KernelSwitches, AWrongNameIsToldWithTheRightOnes) {
  try {
    OwnKernels::off_by("-outer-produce");
    ADD_FAILURE() << "was taken";
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what())
                  .find("there is no own kernel 'outer-produce'; there are outer-product, "
                        "packed-matrix, "),
              0u)
        << error.what();
  }
}

/// What asks whether a kernel fits, and the kernels that have to be on for it.
struct Question {
  OwnKernels needs;
  bool of_avx512;
  std::function<bool()> fits;
};

TEST(KernelSwitches, EachTurnsOffItsKernelAndNoOther) {
  const Tensor x = at::zeros({16, 32}), classes = at::zeros({16}, at::kLong);
  const std::vector<Question> questions = {
      {{OwnKernel::OuterProduct}, true, [&] { return outer_product_fits(x, x.t(), x); }},
      {{OwnKernel::PackedMatrix}, true, [&] { return PackedMatrix::has_panels(x.options()); }},
      {{OwnKernel::Settle}, true, [&] { return settle_fits(x) && gather_fits(x, x); }},
      {{OwnKernel::ValueSteps, OwnKernel::PackedMatrix}, true, [&] { return value_steps_fit(x); }},
      {{OwnKernel::Lstm}, false, [&] { return lstm_kernels_fit({&x}); }},
      {{OwnKernel::SoftmaxRows}, false, [&] { return softmax_rows_fit(x, classes); }}};
  const OwnKernels before = kernels_off();
  set_kernels_off({});
  std::vector<bool> here;  // AVX-512 may be missing
  for (const Question& q : questions) here.push_back(q.fits());
  for (const std::string& name : OwnKernels::all().names()) {
    const OwnKernels off = OwnKernels::named({name});
    const KernelsOff guard(off);
    for (size_t i = 0; i < questions.size(); ++i) {
      const Question& q = questions[i];
      const bool hit =
          q.needs.without(off) != q.needs || (q.of_avx512 && off.has(OwnKernel::Avx512));
      EXPECT_EQ(q.fits(), here[i] && !hit) << name << " " << i;
    }
  }
  EXPECT_TRUE(kernels_off().empty()) << "the guards have put everything back";
  set_kernels_off(before);
}

TEST(KernelSwitches, InstructionsAreTurnedOffFromAboveAndBelow) {
  const KernelsOff avx512({OwnKernel::Avx512});
  EXPECT_STRNE(own_instructions(), "avx512");
  const KernelsOff avx2({OwnKernel::Avx2});
  EXPECT_STREQ(own_instructions(), "plain");
}

}  // namespace
}  // namespace altprop

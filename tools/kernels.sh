#!/usr/bin/env bash
# Runs the tests whose numbers depend on kernels under each choice of kernels alone: linear backend, every own kernel off,
# instructions, libtorch's own capability lowered, one thread and two. The first argument is the build folder.
# Where there is no AVX-512, its kernels run emulated if build/altprop_emulated has been built.
set -uo pipefail
build=$(cd "${1:-build}" && pwd)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Special values run under sets of switches by themselves: here under the choice alone.
own='*/SpecialValues.*AllOn:SpecialValuesAvx512.*:*Linear.*:Tanh.*:LinearBackends.*:OuterProduct.*:Rows.*:*PackedMatrix*:NarrowCredit.*:Settle.*:SettlePair.*'
own+=':Recurrent.*:SpikingEvent.*:SpikingWindow.*:*CoreKernels.*:CoreLoops.*:CoreEngines.*:CoreSpikes.*:TheoryForms.*'
own+=':ValueChain.*:Signs.*:Planar.*:SoftmaxPool.*:Softmax.*:RightAnswers.*:Stream.*:KernelSwitches.*:StepAtOnce.*'
rest='EquilibriumDynamics.*:HolomorphicRowBlocks.*:LinearRelaxation.*:InPlace.*:Conv.*:Activation.*:AgainstAutograd.*'
rest+=':Divergence.NamesTheStep*:*SpecialValuesOfOperations*AllOn'

failed=0 ran=0
# name, filter, variables...
choice() {
  local name=$1 filter=$2
  shift 2
  env OMP_NUM_THREADS=1 "$@" "${program:-$build/altprop_tests}" --gtest_brief=1 --gtest_filter="$filter" \
    >"$logs/$name" 2>&1 || touch "$logs/$name.failed"
}
settle() {  # waits for the choices that run
  wait
  for log in "$logs"/*; do
    [[ $log == *.failed ]] && continue
    ran=$((ran + 1))
    if [[ -e $log.failed ]] || ! grep -q '^\[  PASSED  \]' "$log"; then
      failed=$((failed + 1))
      echo "FAILED with the choice $(basename "$log"):"
      grep -vE '^$|^\[==========\]|^\[  PASSED  \]' "$log"
    fi
  done
  rm -rf "${logs:?}"/*
}

kernels=$(ALTPROP_KERNELS=none "$build/altprop_tests" --gtest_filter=KernelSwitches.Listed | sed -n 's/^own kernel //p')
[[ -n $kernels ]] || { echo "the build has no list of kernels"; exit 1; }
choice aten "$own:$rest" ALTPROP_LINEAR_BACKEND=aten &
choice onednn "$own:$rest" ALTPROP_LINEAR_BACKEND=onednn &
settle
choice none "$own:$rest" ALTPROP_KERNELS=none &
choice lowered-libtorch "$own:$rest" ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 &
settle
for kernel in $kernels; do
  choice "without-$kernel" "$own" ALTPROP_KERNELS="-$kernel" &
  (($(jobs -pr | wc -l) < $(nproc))) || wait -n
done
settle
choice two-threads "$own:$rest" OMP_NUM_THREADS=2
if [[ -x $build/altprop_emulated ]]; then
  program=$build/altprop_emulated choice emulated-avx512 '*'
fi
settle
echo "kernels: $ran choices, $failed failed"
exit $((failed > 0))

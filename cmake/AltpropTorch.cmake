# Imported target altprop::torch for the libtorch inside a pip wheel, CPU or CUDA.
# find_package(Torch) of a CUDA wheel demands a CUDA toolkit; plain imported libraries do not, and the code needs none.
#
# Input:  ALTPROP_TORCH_DIR (folder with include/ and lib/), else the `torch` of ALTPROP_PYTHON, of ./.venv or of python3.
# Output: target altprop::torch, variables ALTPROP_TORCH_DIR, ALTPROP_TORCH_HAS_CUDA.

if(TARGET altprop::torch)
  return()
endif()

if(NOT ALTPROP_TORCH_DIR)
  set(_altprop_pythons ${ALTPROP_PYTHON} ${CMAKE_SOURCE_DIR}/.venv/bin/python python3)
  foreach(_python IN LISTS _altprop_pythons)
    execute_process(
      COMMAND ${_python} -c "import importlib.util, os; print(os.path.dirname(importlib.util.find_spec('torch').origin))"
      OUTPUT_VARIABLE _torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE _failed)
    if(NOT _failed AND EXISTS "${_torch}/lib/libtorch.so")
      set(ALTPROP_TORCH_DIR "${_torch}" CACHE PATH "folder of the torch wheel: include/ and lib/")
      break()
    endif()
  endforeach()
endif()
if(NOT EXISTS "${ALTPROP_TORCH_DIR}/lib/libtorch.so")
  message(FATAL_ERROR "libtorch was not found: install the pip package 'torch' or set ALTPROP_TORCH_DIR to its folder")
endif()

set(_lib "${ALTPROP_TORCH_DIR}/lib")
add_library(altprop::torch INTERFACE IMPORTED)
target_include_directories(altprop::torch SYSTEM INTERFACE
  "${ALTPROP_TORCH_DIR}/include" "${ALTPROP_TORCH_DIR}/include/torch/csrc/api/include")
target_compile_definitions(altprop::torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
target_link_directories(altprop::torch INTERFACE "${_lib}")
target_link_options(altprop::torch INTERFACE "LINKER:-rpath,${_lib}")
target_link_libraries(altprop::torch INTERFACE "${_lib}/libtorch.so" "${_lib}/libtorch_cpu.so" "${_lib}/libc10.so")
# libtorch's parallel loops are templates of its headers: compiled without OpenMP they are serial, and nothing says so.
# The library to link is the one that libtorch has loaded; a second one would bring a second pool of threads.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(altprop::torch INTERFACE -fopenmp)
  file(GLOB _openmp "${_lib}/libgomp*.so*")
  target_link_libraries(altprop::torch INTERFACE "${_openmp}")
else()
  message(WARNING "with this compiler altprop's own loops use one thread: only GCC's OpenMP is the one of libtorch")
endif()
set(ALTPROP_TORCH_HAS_CUDA OFF)
# A Python process has loaded them before, with torch.
if(EXISTS "${_lib}/libtorch_cuda.so" AND NOT SKBUILD)
  set(ALTPROP_TORCH_HAS_CUDA ON)
  # Nothing references a symbol of these, yet loading them is what registers the CUDA kernels.
  target_link_libraries(altprop::torch INTERFACE
    "-Wl,--no-as-needed" "${_lib}/libtorch_cuda.so" "${_lib}/libc10_cuda.so" "-Wl,--as-needed")
endif()

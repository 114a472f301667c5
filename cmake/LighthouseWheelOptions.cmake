# How pip builds (scikit-build-core sets SKBUILD): only the library, for the Python that asks. Decided anew at each build, so
# that a build folder that is kept serves another interpreter or another choice of CUDA too.
#
#   LIGHTHOUSE_LIBRARY     a liblighthouse.so to put into the package in place of building one
#   LIGHTHOUSE_CUDA        of the environment: on, off or auto (the default): where there are a GPU, nvcc and a torch with CUDA
#   LIGHTHOUSE_CUDA_ARCHS  of the environment, like "80;90"; default: of the GPU that is here, else LighthouseCuda.cmake's

set(LIGHTHOUSE_LIBRARY "" CACHE FILEPATH "A liblighthouse.so to package in place of building one")
set(LIGHTHOUSE_BUILD_PROGRAM OFF)
set(LIGHTHOUSE_BUILD_TESTS OFF)
set(LIGHTHOUSE_PYTHON "${PYTHON_EXECUTABLE}")
unset(LIGHTHOUSE_TORCH_DIR CACHE)

# The GPU's compute capability without the dot, empty where there is none.
function(lighthouse_gpu_architecture out)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE found ERROR_QUIET RESULT_VARIABLE failed)
  string(REGEX MATCH "^[0-9]+\\.[0-9]+" found "${found}")
  string(REPLACE "." "" found "${found}")
  if(failed)
    set(found "")
  endif()
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

function(lighthouse_torch_has_cuda out)
  execute_process(
    COMMAND "${LIGHTHOUSE_PYTHON}" -c "import importlib.util as u, os, sys
sys.exit(not os.path.exists(os.path.join(os.path.dirname(u.find_spec('torch').origin), 'lib', 'libtorch_cuda.so')))"
    ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(${out} OFF PARENT_SCOPE)
  else()
    set(${out} ON PARENT_SCOPE)
  endif()
endfunction()

lighthouse_gpu_architecture(gpu)
if(NOT DEFINED CACHE{LIGHTHOUSE_CUDA})
  string(TOLOWER "$ENV{LIGHTHOUSE_CUDA}" wanted)
  if(wanted MATCHES "^(on|1)$")
    set(LIGHTHOUSE_CUDA ON)
  elseif(wanted MATCHES "^(off|0)$")
    set(LIGHTHOUSE_CUDA OFF)
  elseif(wanted MATCHES "^(auto)?$")
    find_program(LIGHTHOUSE_NVCC nvcc PATHS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
    lighthouse_torch_has_cuda(torch_has_cuda)
    if(gpu AND LIGHTHOUSE_NVCC AND torch_has_cuda)
      set(LIGHTHOUSE_CUDA ON)
    else()
      set(LIGHTHOUSE_CUDA OFF)
    endif()
  else()
    message(FATAL_ERROR "lighthouse: LIGHTHOUSE_CUDA must be on, off or auto; got $ENV{LIGHTHOUSE_CUDA}")
  endif()
endif()
if(NOT "$ENV{LIGHTHOUSE_CUDA_ARCHS}" STREQUAL "")
  set(LIGHTHOUSE_CUDA_ARCHS "$ENV{LIGHTHOUSE_CUDA_ARCHS}")
elseif(gpu)
  set(LIGHTHOUSE_CUDA_ARCHS "${gpu}")
endif()
message(STATUS "CUDA kernels: ${LIGHTHOUSE_CUDA}")

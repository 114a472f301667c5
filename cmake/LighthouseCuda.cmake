# The CUDA compiler and what to compile for. Kernels need no torch, and torch's own package, which rewrites flags, is not
# used: what stands here is what nvcc gets.
#
#   LIGHTHOUSE_CUDA_ARCHS  compute capabilities without the dot; machine code for each, and PTX of the last for newer ones

set(LIGHTHOUSE_CUDA_ARCHS "80;90;100;120" CACHE STRING "Compute capabilities to compile for")
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(LIGHTHOUSE_NVCC nvcc PATHS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
  if(NOT LIGHTHOUSE_NVCC)
    message(FATAL_ERROR "lighthouse: LIGHTHOUSE_CUDA=ON needs nvcc; expected it on PATH or in /usr/local/cuda/bin. Install the "
      "CUDA toolkit that torch was built with (torch.version.cuda), or configure with -DLIGHTHOUSE_CUDA=OFF.")
  endif()
  set(CMAKE_CUDA_COMPILER "${LIGHTHOUSE_NVCC}")
endif()
set(architectures "")
foreach(arch IN LISTS LIGHTHOUSE_CUDA_ARCHS)
  list(APPEND architectures "${arch}-real")
endforeach()
list(GET LIGHTHOUSE_CUDA_ARCHS -1 newest)
list(APPEND architectures "${newest}-virtual")
set(CMAKE_CUDA_ARCHITECTURES "${architectures}")
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc can
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
find_package(CUDAToolkit REQUIRED)
message(STATUS "CUDA ${CMAKE_CUDA_COMPILER_VERSION}, compute capabilities ${LIGHTHOUSE_CUDA_ARCHS}")

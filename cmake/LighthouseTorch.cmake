# Finds the torch that Python has and makes an imported target of it: lighthouse::torch.
#
# Torch's own package (find_package(Torch)) stops where the wheel was made for CUDA and the machine has no CUDA toolkit, and
# it rewrites the caller's CUDA flags. A library for the CPU needs two shared objects and the headers, no more.
#
#   LIGHTHOUSE_PYTHON     the interpreter whose torch is used (default: python3)
#   LIGHTHOUSE_TORCH_DIR  a torch folder to use instead of asking an interpreter (holds include/ and lib/)

set(LIGHTHOUSE_TORCH_VERSION "2.11" CACHE STRING "The torch release series that the library is built for")

function(lighthouse_find_torch)
  if(TARGET lighthouse::torch)
    return()
  endif()
  if(NOT LIGHTHOUSE_TORCH_DIR)
    set(python "${LIGHTHOUSE_PYTHON}")
    if(NOT python)
      find_program(LIGHTHOUSE_PYTHON3 NAMES python3 REQUIRED)
      set(python "${LIGHTHOUSE_PYTHON3}")
    endif()
    # Found without being imported: importing torch takes seconds.
    execute_process(
      COMMAND "${python}" -c "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
      OUTPUT_VARIABLE torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE
      ERROR_VARIABLE torch_error RESULT_VARIABLE torch_failed)
    if(torch_failed)
      message(FATAL_ERROR "lighthouse: ${python} has no torch. Expected torch ${LIGHTHOUSE_TORCH_VERSION}.*; install it "
        "(./run setup does), or name another interpreter with -DLIGHTHOUSE_PYTHON=...")
    endif()
    set(LIGHTHOUSE_TORCH_DIR "${torch_dir}" CACHE PATH "The torch folder in use" FORCE)
  endif()
  set(torch_dir "${LIGHTHOUSE_TORCH_DIR}")

  file(STRINGS "${torch_dir}/version.py" version_line REGEX "^__version__ = ")
  string(REGEX REPLACE ".*'([^']+)'.*" "\\1" torch_version "${version_line}")
  string(REPLACE "." "\\." wanted "${LIGHTHOUSE_TORCH_VERSION}")
  if(NOT torch_version MATCHES "^${wanted}\\.")
    message(FATAL_ERROR "lighthouse: expected torch ${LIGHTHOUSE_TORCH_VERSION}.*; got ${torch_version} in ${torch_dir}. "
      "A library built for one release series cannot be loaded into another.")
  endif()
  message(STATUS "torch ${torch_version} in ${torch_dir}")

  add_library(lighthouse::torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(lighthouse::torch SYSTEM INTERFACE
    "${torch_dir}/include" "${torch_dir}/include/torch/csrc/api/include")
  target_link_libraries(lighthouse::torch INTERFACE "${torch_dir}/lib/libtorch_cpu.so" "${torch_dir}/lib/libc10.so")
  if(LIGHTHOUSE_CUDA AND EXISTS "${torch_dir}/lib/libtorch_cuda.so")
    # No symbol of them need be used: what registers itself in them is what makes torch see a GPU.
    target_link_libraries(lighthouse::torch INTERFACE "-Wl,--push-state,--no-as-needed,\"${torch_dir}/lib/libtorch_cuda.so\",\"${torch_dir}/lib/libc10_cuda.so\",--pop-state")
  endif()
  # The wheel's libraries need others of the wheel that only they know how to find, at run time.
  target_link_options(lighthouse::torch INTERFACE "LINKER:--allow-shlib-undefined")
  # torch brings libstdc++.so.6 into the process. A compiler that links a static one in its place makes two of them there, which
  # share some symbols and crash where a number is written to a stream.
  target_link_libraries(lighthouse::torch INTERFACE "-l:libstdc++.so.6")
  target_compile_features(lighthouse::torch INTERFACE cxx_std_20)
endfunction()

lighthouse_find_torch()

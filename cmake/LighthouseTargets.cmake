# How the project's own targets are compiled: warnings, one precompiled header of torch's, files joined.
#
#   LIGHTHOUSE_UNITY  compile the files of a folder some at a time, as one. Most of what a file costs here is reading headers
#                     and instantiating the same templates: joined, a build takes less than half as long.

option(LIGHTHOUSE_UNITY "Compile the source files of a folder some at a time, as one" ON)

# The warnings that every target of the project is held to.
add_library(lighthouse_warnings INTERFACE)
target_compile_options(lighthouse_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
# GCC 13 sees overflows in the std::vector<bool> of torch's headers where there are none.
target_compile_options(lighthouse_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)

# lighthouse_join(TARGET [FILES_AT_A_TIME]): names in unnamed namespaces must then be unique within the folder.
function(lighthouse_join target)
  set(at_a_time 8)
  if(ARGC GREATER 1)
    set(at_a_time ${ARGV1})
  endif()
  if(LIGHTHOUSE_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${at_a_time})
    # A joined file is included, so that the compiler takes its unnamed namespace for a header's.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

# lighthouse_compile_quickly(TARGET): for what computes little, tests among it: the compiler's time is what counts.
function(lighthouse_compile_quickly target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# lighthouse_use_torch_headers(TARGET): takes the precompiled header that src/ops/CMakeLists.txt makes.
function(lighthouse_use_torch_headers target)
  # torch's thread pool is OpenMP's, and its headers ask whether the compiler has it: a precompiled header must fit in that.
  target_compile_options(${target} PRIVATE ${OpenMP_CXX_FLAGS})
  target_precompile_headers(${target} REUSE_FROM lighthouse_torch_headers)
endfunction()

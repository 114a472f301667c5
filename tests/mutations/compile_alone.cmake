# For copies of the tree that faults are planted in: the project's own files compile one by one, since one of them changes
# at a time; those of tests stay joined.
function(lighthouse_compile_alone folder)
  get_property(targets DIRECTORY "${folder}" PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  endforeach()
  get_property(folders DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
  foreach(inner IN LISTS folders)
    lighthouse_compile_alone("${inner}")
  endforeach()
endfunction()

cmake_language(DEFER CALL lighthouse_compile_alone "${CMAKE_CURRENT_SOURCE_DIR}/src")

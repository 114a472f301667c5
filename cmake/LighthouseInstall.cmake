# The installable package: find_package(lighthouse), target lighthouse::lighthouse.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/lighthouse")
install(TARGETS lighthouse EXPORT lighthouse_targets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/lighthouse" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT lighthouse_targets NAMESPACE lighthouse:: DESTINATION "${package_dir}")
if(TARGET lighthouse_program)
  install(TARGETS lighthouse_program RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/lighthouseConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/lighthouseConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/lighthouseConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/lighthouseConfig.cmake"
  "${PROJECT_BINARY_DIR}/lighthouseConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/LighthouseTorch.cmake"
  DESTINATION "${package_dir}")

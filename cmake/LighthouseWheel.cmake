# What pip installs of the C++ side: liblighthouse.so beside the Python files, under that one name (a wheel holds no links).
if(LIGHTHOUSE_LIBRARY)
  if(NOT EXISTS "${LIGHTHOUSE_LIBRARY}")
    message(FATAL_ERROR "lighthouse: LIGHTHOUSE_LIBRARY must name a liblighthouse.so; there is no ${LIGHTHOUSE_LIBRARY}")
  endif()
  file(REAL_PATH "${LIGHTHOUSE_LIBRARY}" library)
  install(PROGRAMS "${library}" DESTINATION lighthouse_attention RENAME liblighthouse.so)
else()
  # torch's libraries are in the process before this one is loaded; the run path helps tools that look at the file alone.
  set_target_properties(lighthouse PROPERTIES INSTALL_RPATH "$ORIGIN/../torch/lib")
  set_property(TARGET lighthouse PROPERTY VERSION)
  set_property(TARGET lighthouse PROPERTY SOVERSION)
  install(TARGETS lighthouse LIBRARY DESTINATION lighthouse_attention)
endif()

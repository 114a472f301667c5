# The warnings that every target of the project is held to.
add_library(lighthouse_warnings INTERFACE)
target_compile_options(lighthouse_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)

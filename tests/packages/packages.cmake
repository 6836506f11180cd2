# The Dockerfile and the Debian packages, without an engine: what it says is done in chroots.
add_test(NAME packages.dockerfile
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/packages/dockerfile.sh ${CMAKE_BINARY_DIR}/roots)
set_tests_properties(packages.dockerfile PROPERTIES LABELS e2e TIMEOUT 900 SKIP_RETURN_CODE 77)

# One official SDK through the sidecar, where `./dev sdk` has installed it before.
if(EXISTS ${CMAKE_BINARY_DIR}/sdk/node/node_modules/openai AND NOT WEIR_SANITIZE)
  add_test(NAME sdk.openai
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sdk/run.py --only sdk --sdk openai ${CMAKE_BINARY_DIR})
  set_tests_properties(sdk.openai PROPERTIES LABELS e2e TIMEOUT 300)
endif()

# Not under sanitizers: the programs here are built without.
if(NOT WEIR_SANITIZE AND NOT WEIR_FUZZ AND NOT WEIR_COVERAGE)
  add_test(NAME install.consumer
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consumer/consumer.sh ${CMAKE_BINARY_DIR}
                   ${PROJECT_SOURCE_DIR}/README.md)
  set_tests_properties(install.consumer PROPERTIES LABELS install TIMEOUT 120)
endif()

# The checks of .ci/ on this tree, and the proof that each of them can fail. The purity checks are
# registered with the libraries themselves (cmake/WeirTargets.cmake).
set(ci ${PROJECT_SOURCE_DIR}/.ci)

foreach(check layers docs sleeps format shell spelling)
  add_test(NAME lint.${check} COMMAND ${ci}/check-${check} ${PROJECT_SOURCE_DIR})
  list(APPEND lint_tests lint.${check})
endforeach()

# An instrumented library exports what its instruments need.
if(TARGET weir AND NOT WEIR_SANITIZE AND NOT WEIR_FUZZ AND NOT WEIR_COVERAGE)
  add_test(NAME lint.abi COMMAND ${ci}/check-abi $<TARGET_FILE:weir>
                                 ${PROJECT_SOURCE_DIR}/shim/weir.sym)
  list(APPEND lint_tests lint.abi)
endif()

# One test a check, so that the report says which one has gone blind.
foreach(case pure paths layers docs sleeps format shell spelling abi tidy verdict sanitizers)
  add_test(NAME lint.selftest.${case}
           COMMAND ${PROJECT_SOURCE_DIR}/tests/lint/selftest.sh ${case} ${PROJECT_SOURCE_DIR}
                   ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER})
  list(APPEND lint_tests lint.selftest.${case})
endforeach()

set_tests_properties(${lint_tests} PROPERTIES LABELS lint TIMEOUT 120)

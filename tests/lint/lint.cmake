# The checks of .ci/ on this tree, and the proof that each of them can fail. The purity checks are
# registered with the libraries themselves (cmake/WeirTargets.cmake), that of the ABI with libweir.
set(ci ${PROJECT_SOURCE_DIR}/.ci)

foreach(check layers docs sleeps mutants format shell spelling)
  add_test(NAME lint.${check} COMMAND ${ci}/check-${check} ${PROJECT_SOURCE_DIR})
  list(APPEND lint_tests lint.${check})
endforeach()

# One test a check, so that the report says which one has gone blind.
foreach(case pure paths layers docs sleeps mutants format shell spelling abi tidy verdict sanitizers)
  add_test(NAME lint.selftest.${case}
           COMMAND ${PROJECT_SOURCE_DIR}/tests/lint/selftest.sh ${case} ${PROJECT_SOURCE_DIR}
                   ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER})
  list(APPEND lint_tests lint.selftest.${case})
endforeach()

set_tests_properties(${lint_tests} PROPERTIES LABELS lint TIMEOUT 120)

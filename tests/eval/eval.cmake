# What `./dev eval` runs; no tests.
weir_program(weir-eval-judge SOURCES eval/judge.c eval/chunks.c USES weir_rules)
weir_program(weir-eval-features
  SOURCES eval/features.c eval/chunks.c unit/naive_estimate.c USES weir_rules)
target_include_directories(weir-eval-features PRIVATE
  ${CMAKE_CURRENT_SOURCE_DIR}/unit ${PROJECT_SOURCE_DIR}/shim/state)

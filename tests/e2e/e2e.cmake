# The real programs together, in small: the demo's two halves, kill -9, ./dev up.
weir_test(e2e.demo LABEL e2e
  SOURCES e2e/test_demo_e2e.c demo/child.c
  USES weir_core
  TIMEOUT 300
  ENV WEIR_BIN=${CMAKE_BINARY_DIR}/bin)
weir_test(e2e.up LABEL e2e
  SOURCES e2e/test_up_e2e.c demo/child.c
  USES weir_core PkgConfig::CURL
  ENV WEIR_BIN=${CMAKE_BINARY_DIR}/bin WEIR_UP=${CMAKE_CURRENT_SOURCE_DIR}/demo/up.sh)
# A short outage; ./dev outage has the whole one.
add_test(NAME e2e.outage COMMAND weir-outage --short)
set_tests_properties(e2e.outage PROPERTIES LABELS e2e TIMEOUT 120 RUN_SERIAL ON)
# A share of the kills; ./dev chaos has all of them.
add_test(NAME e2e.chaos COMMAND weir-chaos --share)
set_tests_properties(e2e.chaos PROPERTIES LABELS e2e TIMEOUT 180 RUN_SERIAL ON)
add_dependencies(test_e2e_demo weir-demo weir-demo-instance weir-upstream weir-coordinator)
add_dependencies(test_e2e_up weir-upstream weir-coordinator weir_cli)
# It says how well the quota is used: nothing else should keep the machine busy meanwhile.
set_tests_properties(e2e.demo PROPERTIES RUN_SERIAL ON)

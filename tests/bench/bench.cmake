# weir-bench: figures for people. Its test only makes sure that it runs.
weir_program(weir-bench
  SOURCES bench/main.c bench/step.c bench/scale.c bench/codec.c bench/show.c bench/estimate.c bench/store.c bench/trip.c
          bench/proxy.c bench/proxy_load.c bench/proxy_upstream.c
          demo/child.c ../coordinator/shell/tables.c
  USES weir_store weir_coord weir_stats weir_rules weir_proto weir_core PkgConfig::ZMQ)
target_include_directories(weir-bench PRIVATE ${PROJECT_SOURCE_DIR}/coordinator/shell)
add_dependencies(weir-bench weir-coordinator weir-proxy)
add_test(NAME bench.quick COMMAND weir-bench --quick --json ${CMAKE_BINARY_DIR}/bench-quick.json)
set_tests_properties(bench.quick PROPERTIES LABELS bench TIMEOUT 120)
add_test(NAME bench.proxy
  COMMAND weir-bench --quick --json ${CMAKE_BINARY_DIR}/bench-proxy.json proxy)
set_tests_properties(bench.proxy PROPERTIES LABELS bench TIMEOUT 120)

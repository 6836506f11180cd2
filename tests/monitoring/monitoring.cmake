# What docs/monitoring ships for Prometheus and Grafana, against what a coordinator serves.
add_test(NAME monitoring.names
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/monitoring/names.sh $<TARGET_FILE:weir-coordinator>
          ${CMAKE_BINARY_DIR}/monitoring)
set_tests_properties(monitoring.names PROPERTIES LABELS e2e TIMEOUT 60)

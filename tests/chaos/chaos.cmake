# Kills, cuts and floods, judged by the simulated provider: ./dev chaos, and a share as a test.
weir_program(weir-chaos
  SOURCES chaos/main.c chaos/acts_kill.c chaos/acts_world.c chaos/acts_peers.c chaos/site.c
          chaos/fleet.c chaos/keys.c chaos/light.c chaos/judge.c outage/stand.c demo/child.c
          demo/promise.c
  USES weir_proto weir PkgConfig::CURL PkgConfig::ZMQ Threads::Threads)
# A disk that fails on request, preloaded into the coordinator.
add_library(weir-chaos-disk MODULE chaos/disk_shim.c)
target_link_libraries(weir-chaos-disk PRIVATE weir_flags ${CMAKE_DL_LIBS})
set_target_properties(weir-chaos-disk PROPERTIES PREFIX ""
                      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_dependencies(weir-chaos weir-chaos-disk weir-upstream weir-coordinator weir_cli)

weir_test(unit.chaos LABEL unit SOURCES chaos/test_judge.c chaos/judge.c USES weir_core)

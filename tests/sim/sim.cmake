# The simulator: both pure machines, a network and a provider on one virtual clock. One thread, so
# a sanitizer needs only a few seeds to see every line.
if(WEIR_SANITIZE OR WEIR_COVERAGE)
  set(sim_env WEIR_SEEDS=10)
endif()
weir_test(sim.seeds LABEL sim COST 50 TIMEOUT 14400
          SOURCES sim/sim.c sim/world.c sim/world_coord.c sim/world_shim.c sim/world_judge.c
                  sim/world_faults.c sim/world_store.c upstream/limits.c
          USES weir_coord weir_client
          ENV ${sim_env})

target_include_directories(test_sim_seeds PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/upstream)

# The scenario engine behind `weir simulate` (tests/sim/CMakeLists.txt).
weir_test(sim.scenario LABEL sim TIMEOUT 600 SOURCES sim/test_scenario.c USES weir_sim
          ENV WEIR_SOURCE_DIR=${PROJECT_SOURCE_DIR})
# Outages in it: what is noted of them, and what follows.
weir_test(sim.outage LABEL sim COST 50 TIMEOUT 600 SOURCES sim/test_outage.c USES weir_sim
          ENV WEIR_SOURCE_DIR=${PROJECT_SOURCE_DIR})
# Use that grows too fast for the provider.
weir_test(sim.ramp LABEL sim TIMEOUT 600 SOURCES sim/test_ramp.c USES weir_sim
          ENV WEIR_SOURCE_DIR=${PROJECT_SOURCE_DIR})

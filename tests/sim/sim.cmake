# The simulator: both pure machines, a network and a provider on one virtual clock.
weir_test(sim.seeds LABEL sim TIMEOUT 900 SOURCES sim/sim.c sim/world.c USES weir_coord weir_client)

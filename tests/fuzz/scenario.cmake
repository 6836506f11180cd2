# The reader of scenarios.
weir_fuzzer(scenario SOURCES fuzz/fuzz_scenario.c USES weir_sim)

# The simulated provider: its judgement, and its reading.
weir_test(unit.upstream_limits LABEL unit SOURCES unit/test_upstream_limits.c USES weir_upstream)
weir_test(unit.upstream_script LABEL unit SOURCES unit/test_upstream_script.c USES weir_upstream)

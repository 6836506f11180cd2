# The simulated provider: its judgement, and its reading.
weir_test(unit.upstream_limits LABEL unit SOURCES unit/test_upstream_limits.c USES weir_upstream)
weir_test(unit.upstream_script LABEL unit SOURCES unit/test_upstream_script.c USES weir_upstream)
weir_test(shell.upstream LABEL shell SOURCES unit/test_upstream.c
          USES weir_upstream PkgConfig::CURL Threads::Threads)

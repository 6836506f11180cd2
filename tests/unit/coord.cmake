# The coordinator's books, which need nothing else of it.
foreach(module ring slots trail day ledger gates learn ramp standing_bucket kept)
  weir_test(unit.${module} LABEL unit SOURCES unit/test_${module}.c USES weir_ledger)
endforeach()
# The coordinator's pure machine, in virtual time.
foreach(module alerts throttle calendar fair bias breaker retries choose latency ratio coord coord_breaker
               coord_reload keep keep_absence coord_tenants coord_budgets coord_standing coord_routes coord_routes_random
               coord_callers coord_peers coord_show today slow coord_islands grant)
  weir_test(unit.${module} LABEL unit SOURCES unit/test_${module}.c USES weir_coord)
endforeach()
# What is shown, as text.
weir_test(unit.stats LABEL unit SOURCES unit/test_stats.c USES weir_stats)

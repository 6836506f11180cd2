# The vocabulary and the small machines that every layer shares.
foreach(module err vocab hash rng cursor table pq json wide)
  weir_test(unit.${module} LABEL unit SOURCES unit/test_${module}.c USES weir_core)
endforeach()

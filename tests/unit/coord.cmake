# The coordinator's pure machine, in virtual time.
foreach(module ring ledger coord grant)
  weir_test(unit.${module} LABEL unit SOURCES unit/test_${module}.c USES weir_coord)
endforeach()

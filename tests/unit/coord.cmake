# The coordinator's pure machine, in virtual time.
foreach(module ring ledger coord grant calendar day fair bias
               coord_reload coord_tenants coord_budgets)
  weir_test(unit.${module} LABEL unit SOURCES unit/test_${module}.c USES weir_coord)
endforeach()

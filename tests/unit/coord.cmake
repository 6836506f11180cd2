# The coordinator's books, which need nothing else of it.
foreach(module ring trail day ledger gates learn)
  weir_test(unit.${module} LABEL unit SOURCES unit/test_${module}.c USES weir_ledger)
endforeach()
# The coordinator's pure machine, in virtual time.
weir_test(unit.calendar LABEL unit SOURCES unit/test_calendar.c USES weir_coord)
foreach(module coord coord_standing grant)
  weir_test(unit.${module} LABEL unit SOURCES unit/test_${module}.c USES weir_coord)
endforeach()

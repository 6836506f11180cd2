# A fleet of real instances in an outage of its provider: ./dev outage, and in small as a test.
weir_program(weir-outage
  SOURCES outage/main.c outage/fleet.c outage/plain.c outage/stand.c outage/judge.c demo/child.c
          demo/promise.c
  USES weir_core weir PkgConfig::CURL Threads::Threads m)
add_dependencies(weir-outage weir-upstream weir-coordinator)

weir_test(unit.outage LABEL unit SOURCES outage/test_judge.c outage/judge.c USES weir_core)

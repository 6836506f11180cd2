# The demo: its driver, and the instance program that it starts many of.
weir_program(weir-demo
  SOURCES demo/main.c demo/report.c demo/promise.c demo/screen.c demo/half.c demo/parts.c demo/child.c demo/call.c
          demo/figures.c demo/upstream.c demo/workload.c
  USES weir_core PkgConfig::CURL)
weir_program(weir-demo-instance
  SOURCES demo/instance.c demo/naive.c demo/managed.c demo/call.c demo/workload.c
  USES weir_core weir PkgConfig::CURL Threads::Threads)
add_dependencies(weir-demo weir-demo-instance weir-upstream weir-coordinator)

weir_test(unit.demo LABEL unit
  SOURCES demo/test_demo.c demo/call.c demo/figures.c demo/workload.c USES weir_core)

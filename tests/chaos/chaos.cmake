# Kills, cuts and floods, judged by the simulated provider: ./dev chaos, and a share as a test.
weir_program(weir-chaos
  SOURCES chaos/main.c chaos/acts_kill.c chaos/acts_world.c chaos/acts_peers.c chaos/site.c
          chaos/fleet.c chaos/judge.c outage/stand.c demo/child.c
  USES weir_proto weir PkgConfig::CURL PkgConfig::ZMQ Threads::Threads)
add_dependencies(weir-chaos weir-upstream weir-coordinator weir_cli)

weir_test(unit.chaos LABEL unit SOURCES chaos/test_judge.c chaos/judge.c USES weir_core)

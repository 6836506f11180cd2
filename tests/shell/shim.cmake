# libweir over real sockets, against a coordinator and a provider that do as they are told.
weir_test(shell.libweir LABEL shell
          SOURCES shell/test_libweir.c shell/fake_coordinator.c
          USES weir weir_proto PkgConfig::ZMQ Threads::Threads)
# With the objects instead of the library: one test looks at a single transfer.
weir_test(shell.libweir_call LABEL shell
          SOURCES shell/test_libweir_call.c shell/fake_coordinator.c shell/fake_provider.c
                  $<TARGET_OBJECTS:weir_shim>
          USES weir_shim weir_proto PkgConfig::ZMQ Threads::Threads)
weir_test(shell.libweir_call_routes LABEL shell
          SOURCES shell/test_libweir_call_routes.c shell/fake_coordinator.c shell/fake_provider.c
                  shell/run.c
          USES weir weir_proto PkgConfig::ZMQ Threads::Threads
          ENV WEIR_UPSTREAM_BIN=$<TARGET_FILE:weir-upstream>)
weir_test(shell.libweir_call_degrade LABEL shell
          SOURCES shell/test_libweir_call_degrade.c shell/fake_coordinator.c shell/fake_provider.c
          USES weir weir_proto PkgConfig::ZMQ Threads::Threads)
weir_test(shell.libweir_call_real LABEL shell
          SOURCES shell/test_libweir_call_real.c shell/daemon.c shell/run.c
          USES weir weir_proto weir_core PkgConfig::ZMQ Threads::Threads
          ENV WEIR_UPSTREAM_BIN=$<TARGET_FILE:weir-upstream>
              WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>)
weir_test(shell.island LABEL shell
          SOURCES shell/test_island.c shell/daemon.c
          USES weir weir_proto weir_core PkgConfig::ZMQ Threads::Threads
          ENV WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>)
weir_test(shell.libweir_edges LABEL shell
          SOURCES shell/test_libweir_edges.c shell/fake_coordinator.c shell/fake_provider.c
                  $<TARGET_OBJECTS:weir_shim>
          USES weir_shim weir_proto PkgConfig::ZMQ Threads::Threads)
weir_test(shell.libweir_keys LABEL shell
          SOURCES shell/test_libweir_keys.c shell/fake_coordinator.c shell/fake_provider.c
                  $<TARGET_OBJECTS:weir_shim>
          USES weir_shim weir_proto PkgConfig::ZMQ Threads::Threads)
# It has a resolver of its own, which the shared libcurl has to find.
set_target_properties(test_shell_libweir_edges PROPERTIES ENABLE_EXPORTS ON)

# The command line: its parts on files in a temporary folder, and the program as a process.
weir_test(unit.cli LABEL unit SOURCES shell/test_cli_parts.c USES weir_cli_parts)
weir_test(unit.batch LABEL unit SOURCES shell/test_cli_batch_files.c USES weir_cli_parts)

set(cli_env WEIR_BIN=$<TARGET_FILE:weir_cli> WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>
    WEIR_UPSTREAM_BIN=$<TARGET_FILE:weir-upstream> WEIR_SOURCE_DIR=${PROJECT_SOURCE_DIR})
weir_test(shell.cli LABEL shell SOURCES shell/test_cli.c shell/daemon.c shell/run.c
                  shell/fake_coordinator.c
          USES weir_proto weir_core PkgConfig::ZMQ Threads::Threads ENV ${cli_env})
weir_test(shell.cli_top LABEL shell SOURCES shell/test_cli_top.c shell/fake_coordinator.c
          USES weir_proto weir_core PkgConfig::ZMQ Threads::Threads ENV ${cli_env})
weir_test(shell.batch LABEL shell SOURCES shell/test_cli_batch.c shell/daemon.c shell/run.c
                  shell/fake_coordinator.c shell/fake_provider.c
          USES weir_proto weir_core PkgConfig::ZMQ Threads::Threads
          ENV ${cli_env} WEIR_DISK_SHIM=$<TARGET_FILE:weir-chaos-disk>)
weir_test(shell.cli_keys LABEL shell SOURCES shell/test_cli_keys.c shell/daemon.c shell/run.c
          USES weir_proto weir_core PkgConfig::ZMQ Threads::Threads ENV ${cli_env})

# The store, from the daemon to the command line.
weir_test(shell.store LABEL shell COST 20 SOURCES shell/test_store_daemon.c shell/daemon.c shell/run.c
          USES weir_proto weir_core PkgConfig::ZMQ Threads::Threads ENV ${cli_env})

# The coordinator's shell: its parts, and the daemon as a process.
set(coordinator_env WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>
    WEIR_SOURCE_DIR=${PROJECT_SOURCE_DIR})

weir_test(shell.coordinator LABEL shell COST 40 SOURCES shell/test_coordinator.c shell/daemon.c
          USES weir_proto PkgConfig::ZMQ ENV ${coordinator_env})
# Memory that AddressSanitizer keeps after it was freed is no growth of the daemon.
weir_test(shell.hostile LABEL shell SOURCES shell/test_hostile.c shell/daemon.c
          USES weir_proto weir_core PkgConfig::ZMQ
          ENV ${coordinator_env} ASAN_OPTIONS=quarantine_size_mb=4)

weir_test(unit.conf LABEL unit SOURCES shell/test_conf.c USES weir_conf ENV ${coordinator_env})
weir_test(unit.conf_ledger LABEL unit SOURCES shell/test_conf_ledger.c USES weir_conf
          ENV ${coordinator_env})

weir_test(unit.daemon_parts LABEL unit SOURCES shell/test_daemon_parts.c
          USES weir_coordinator_shell)

weir_test(unit.zones LABEL unit SOURCES shell/test_zones.c USES weir_coordinator_shell)
weir_test(unit.peers LABEL unit SOURCES shell/test_peers.c USES weir_coordinator_shell)

# Keys, from libweir to the daemon.
weir_test(shell.identity LABEL shell COST 20 SOURCES shell/test_identity.c shell/daemon.c
          USES weir weir_proto PkgConfig::ZMQ Threads::Threads ENV ${coordinator_env})

# The admin port; promtool has a look where it is installed.
weir_test(shell.admin LABEL shell COST 40 SOURCES shell/test_admin.c shell/daemon.c shell/run.c
          USES weir_proto weir_core PkgConfig::ZMQ ENV ${coordinator_env})

# Alerts to a receiver that does as it is told.
weir_test(shell.hook LABEL shell SOURCES shell/test_hook.c shell/fake_provider.c
          USES weir_coordinator_shell weir_core)
weir_test(shell.alarm LABEL shell SOURCES shell/test_alarm.c shell/fake_provider.c
          USES weir_coordinator_shell weir_proto weir_core)

# Those who ask for rows, before a coordinator that answers as it is told.
weir_test(shell.rows LABEL shell SOURCES shell/test_rows.c
          USES weir_coordinator_shell weir_proto weir_core)

# The store, on disks that fail on demand.
weir_test(unit.store LABEL unit COST 30 SOURCES shell/test_store.c shell/faulty_vfs.c
          USES weir_coordinator_shell)

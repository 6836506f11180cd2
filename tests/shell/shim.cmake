# libweir over real sockets, against a coordinator and a provider that do as they are told.
weir_test(shell.libweir LABEL shell
          SOURCES shell/test_libweir.c shell/fake_coordinator.c
          USES weir weir_proto PkgConfig::ZMQ Threads::Threads)

# The sidecar as a process, between raw clients, a coordinator and the simulated provider.
weir_test(shell.proxy LABEL shell COST 60 SOURCES shell/test_proxy.c shell/proxy_fixture.c shell/daemon.c shell/run.c
          USES weir_proto weir_core PkgConfig::ZMQ
          ENV WEIR_PROXY_BIN=$<TARGET_FILE:weir-proxy>
              WEIR_PROXY_EXAMPLE=${PROJECT_SOURCE_DIR}/docs/examples/weir-proxy.yaml
              WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>
              WEIR_UPSTREAM_BIN=$<TARGET_FILE:weir-upstream>)

# The same before clients that mean ill, or come and go in thousands. WEIR_CHURN_S=60 goes on with
# the latter for a minute.
weir_test(shell.proxy_hostile LABEL shell
          SOURCES shell/test_proxy_hostile.c shell/proxy_fixture.c shell/daemon.c shell/run.c
          USES weir_proto weir_core PkgConfig::ZMQ
          ENV WEIR_PROXY_BIN=$<TARGET_FILE:weir-proxy>
              WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>
              WEIR_UPSTREAM_BIN=$<TARGET_FILE:weir-upstream>)

# Uploads that pass as they come.
weir_test(shell.proxy_upload LABEL shell
          SOURCES shell/test_proxy_upload.c shell/proxy_fixture.c shell/daemon.c shell/run.c
          USES weir_proto weir_core PkgConfig::ZMQ
          ENV WEIR_PROXY_BIN=$<TARGET_FILE:weir-proxy>
              WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>
              WEIR_UPSTREAM_BIN=$<TARGET_FILE:weir-upstream>)

# Odd requests and answers, of a client and a provider that the test drives itself.
weir_test(shell.proxy_answers LABEL shell
          SOURCES shell/test_proxy_answers.c shell/proxy_fixture.c shell/daemon.c shell/run.c
          USES weir_proto weir_core PkgConfig::ZMQ
          ENV WEIR_PROXY_BIN=$<TARGET_FILE:weir-proxy>
              WEIR_COORDINATOR_BIN=$<TARGET_FILE:weir-coordinator>
              WEIR_UPSTREAM_BIN=$<TARGET_FILE:weir-upstream>)

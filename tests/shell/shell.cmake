include(shell/coordinator.cmake OPTIONAL)
include(shell/cli.cmake OPTIONAL)
include(shell/shim.cmake OPTIONAL)
include(shell/proxy.cmake OPTIONAL)

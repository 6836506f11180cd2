include(shell/coordinator.cmake OPTIONAL)

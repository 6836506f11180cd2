# The codec against golden vectors, msgpack-c, hostile bytes and PROTOCOL.md.
foreach(test golden oracle malformed document)
  weir_test(wire.${test} LABEL unit SOURCES wire/test_${test}.c wire/fields.c
            USES weir_proto PkgConfig::MSGPACK)
  target_compile_definitions(test_wire_${test} PRIVATE WEIR_PROTO_DIR="${PROJECT_SOURCE_DIR}/proto")
endforeach()

# cmake -DIN=file -DOUT=file.c -DHEADER=weir/x.h -DNAME=symbol -P WeirEmbed.cmake: the bytes of a file
# as a C array, with its size beside it.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "((0x..,){20})" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "#include <${HEADER}>\n\nconst unsigned char ${NAME}[] = {\n${bytes}};\n"
     "const size_t ${NAME}_size = sizeof(${NAME});\n")

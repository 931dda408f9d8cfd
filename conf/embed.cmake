# embed.cmake - a file as an array of C: cmake -DFROM=file -DTO=file.c -DHEADER=folder/file.h -DNAME=name -P embed.cmake
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes ${bytes})
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes ${bytes})
file(WRITE ${TO} "#include \"${HEADER}\"\n\nconst char ${NAME}[] = {\n${bytes}\n0 };\nconst size_t ${NAME}_length = sizeof ${NAME} - 1;\n")

# embed.cmake - a file as a string of C: cmake -DFROM=file -DTO=file.c -DHEADER=folder/file.h -DNAME=name -P embed.cmake
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes ${bytes})
string(REGEX REPLACE "((\\\\x..)(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?)" "\"\\1\"\n" bytes ${bytes})
file(WRITE ${TO} "#include \"${HEADER}\"\n\nconst char ${NAME}[] =\n${bytes};\nconst size_t ${NAME}_length = sizeof ${NAME} - 1;\n")

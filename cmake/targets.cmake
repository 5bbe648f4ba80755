add_library(treadle_flags INTERFACE)
target_include_directories(treadle_flags INTERFACE ${PROJECT_SOURCE_DIR}
                                                   ${PROJECT_SOURCE_DIR}/include)
target_compile_options(treadle_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion)
if(TREADLE_WERROR)
  target_compile_options(treadle_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(treadle_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
else()  # clang counts signs under -Wconversion, g++ does not
  target_compile_options(treadle_flags INTERFACE -Wno-sign-conversion)
endif()

function(treadle_sources out)
  file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
  set(${out} ${sources} PARENT_SCOPE)
endfunction()

# treadle_folder(name [GLOBS ...] [LINK ...] [PRIVATE_LINK ...]): a static library of the folder's
# *.cc.
function(treadle_folder name)
  cmake_parse_arguments(arg "" "" "GLOBS;LINK;PRIVATE_LINK" ${ARGN})
  if(NOT arg_GLOBS)
    set(arg_GLOBS *.cc)
  endif()
  treadle_sources(sources ${arg_GLOBS})
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE treadle_flags ${arg_PRIVATE_LINK})
endfunction()

# treadle_library_name(<result> <library>…): the name by which programs that are linked with the
# first library open it: libx.so.3.
function(treadle_library_name result library)
  file(REAL_PATH ${library} path)
  string(REGEX MATCH "[^/]+[.]so[.][0-9]+" name ${path})
  set(${result} ${name} PARENT_SCOPE)
endfunction()

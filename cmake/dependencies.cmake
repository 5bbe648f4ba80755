# What others wrote. .deps is the environment that scripts/setup.sh made; a system package that is
# new enough goes before it.
set(TREADLE_DEPS ${PROJECT_SOURCE_DIR}/.deps CACHE PATH "Environment made by scripts/setup.sh")
set(TREADLE_SHARED "$ENV{TREADLE_SHARED}" CACHE PATH "Folder of test models (models/, data/)")
if(NOT TREADLE_SHARED AND EXISTS ${PROJECT_SOURCE_DIR}/../shared/models)
  cmake_path(SET shared NORMALIZE ${PROJECT_SOURCE_DIR}/../shared)
  set(TREADLE_SHARED ${shared} CACHE PATH "" FORCE)
endif()

find_package(dnnl 3.2 CONFIG QUIET)
if(NOT dnnl_FOUND)
  find_package(dnnl 3.2 CONFIG QUIET PATHS ${TREADLE_DEPS} NO_DEFAULT_PATH)
endif()
if(NOT dnnl_FOUND)
  message(FATAL_ERROR "oneDNN 3.2 or newer not found: run scripts/setup.sh first")
endif()

if(SKBUILD)  # pip has its own environment, of pyproject.toml's requirements
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
            "import importlib.util as u; print(*u.find_spec('onnx').submodule_search_locations)"
    OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE onnx)
  set(onnx_proto ${onnx}/onnx.proto)
else()
  file(GLOB onnx_proto ${TREADLE_DEPS}/lib/python3*/site-packages/onnx/onnx.proto)
endif()
set(TREADLE_ONNX_PROTO "${onnx_proto}" CACHE FILEPATH "onnx.proto of the PyPI package onnx")
if(NOT EXISTS "${TREADLE_ONNX_PROTO}")
  message(FATAL_ERROR "onnx.proto not found: run scripts/setup.sh, or set TREADLE_ONNX_PROTO")
endif()

find_package(Protobuf 3.21 REQUIRED)
find_package(hwy CONFIG REQUIRED)
# Highway's headers alone (backends/cpu/simd/simd.h says why).
add_library(treadle_highway INTERFACE)
target_include_directories(treadle_highway SYSTEM INTERFACE $<TARGET_PROPERTY:hwy::hwy,INTERFACE_INCLUDE_DIRECTORIES>)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(re2 REQUIRED IMPORTED_TARGET re2)
find_package(libjpeg-turbo CONFIG REQUIRED)
find_package(PNG REQUIRED)
# Further formats of ImageDecoder, where they are installed.
if(TREADLE_CODECS)
  pkg_check_modules(tiff IMPORTED_TARGET libtiff-4>=4.5)
  pkg_check_modules(webp IMPORTED_TARGET libwebp)
  pkg_check_modules(jpeg2000 IMPORTED_TARGET libopenjp2)
endif()

if(TREADLE_TOOLS)
  find_package(CLI11 CONFIG REQUIRED)
  find_package(nlohmann_json CONFIG REQUIRED)
  pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
endif()
# Formats of data sets; the command needs them, the library goes without where they are not installed.
pkg_check_modules(libzip libzip)
find_package(ZLIB)
set(TREADLE_FORMATS OFF)
if(libzip_FOUND AND ZLIB_FOUND)
  set(TREADLE_FORMATS ON)
  pkg_check_modules(hdf5 hdf5)
  pkg_check_modules(lmdb lmdb)
elseif(TREADLE_TOOLS)
  message(FATAL_ERROR "TREADLE_TOOLS needs libzip and zlib")
endif()

if(TREADLE_TESTS)
  find_package(GTest REQUIRED)
endif()

find_program(TREADLE_PYTHON python3 PATHS ${TREADLE_DEPS}/bin NO_DEFAULT_PATH)

if(TREADLE_PYTHON_MODULE)
  if(NOT SKBUILD)
    set(Python_EXECUTABLE ${TREADLE_PYTHON})
  endif()
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
endif()

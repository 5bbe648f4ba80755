include(${CMAKE_CURRENT_LIST_DIR}/treadle-targets.cmake)

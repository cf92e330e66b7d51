# Functions that define floors, the shared library, plugins and tests. SPDX-License-Identifier: Apache-2.0

# prov_floor(NAME FOLDER LINKS ...): a static library of all C files of a folder; its headers are seen by who links it.
function(prov_floor name folder)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC ${ARG_LINKS} PRIVATE prov_warnings)
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/${folder})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${ARG_LINKS})
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR}/${folder})
  endif()
  set_property(GLOBAL APPEND PROPERTY PROV_FLOORS ${name})
endfunction()

# prov_library(): libprov.so from host/api, over all floors, exporting what include/prov/ declares.
function(prov_library)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/host/api/*.c)
  if(NOT sources)
    return()
  endif()
  get_property(floors GLOBAL PROPERTY PROV_FLOORS)
  add_library(prov SHARED ${sources})
  set_target_properties(prov PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0
                        LINK_DEPENDS ${PROJECT_SOURCE_DIR}/host/api/libprov.map)
  target_compile_definitions(prov PRIVATE PROV_VERSION="${PROJECT_VERSION}")
  target_link_libraries(prov PUBLIC prov_headers PRIVATE ${floors} prov_warnings)
  target_include_directories(prov PRIVATE ${PROJECT_SOURCE_DIR}/host/api)
  target_link_options(prov PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/host/api/libprov.map -Wl,--exclude-libs,ALL
                      -Wl,-z,nodelete)
endfunction()

# prov_plugin(NAME SOURCES ... LINKS ...): lib/prov/plugins/NAME.so, exporting prov_plugin_v1 alone. SDK links the sdk.
function(prov_plugin name)
  cmake_parse_arguments(ARG "SDK;NO_INSTALL" "OUTPUT_DIRECTORY" "SOURCES;LINKS" ${ARGN})
  add_library(plugin-${name} MODULE ${ARG_SOURCES})
  if(NOT ARG_OUTPUT_DIRECTORY)
    set(ARG_OUTPUT_DIRECTORY ${PROV_PLUGIN_OUTPUT_DIRECTORY})
  endif()
  set_target_properties(plugin-${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${ARG_OUTPUT_DIRECTORY}
                        LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/plugin.map)
  target_link_libraries(plugin-${name} PRIVATE prov_headers prov_warnings ${ARG_LINKS})
  if(ARG_SDK)
    target_link_libraries(plugin-${name} PRIVATE psdk)
  endif()
  target_link_options(plugin-${name} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/plugin.map
                      -Wl,--exclude-libs,ALL)
  if(NOT ARG_NO_INSTALL)
    install(TARGETS plugin-${name} LIBRARY DESTINATION ${PROV_PLUGIN_INSTALL_DIR})
  endif()
endfunction()

# prov_subdirectories(PATTERN ...): every folder that matches and has a CMakeLists.txt; none of them is required.
function(prov_subdirectories)
  foreach(pattern ${ARGN})
    file(GLOB found CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${pattern})
    foreach(folder ${found})
      if(EXISTS ${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt)
        add_subdirectory(${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/${folder})
      endif()
    endforeach()
  endforeach()
endfunction()

# prov_unit_tests(FLOOR FOLDER): every test_*.c in tests/FOLDER is one Check executable, linked to that floor, ctest name
# FOLDER/NAME with the dots of its file name, label = first part of FOLDER.
function(prov_unit_tests floor folder)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINKS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/test_*.c)
  string(REGEX REPLACE "/.*" "" label ${folder})
  foreach(source ${sources})
    get_filename_component(base ${source} NAME_WE)
    string(REPLACE "/" "_" prefix ${folder})
    string(REPLACE "test_" "" short ${base})
    set(target ${prefix}_${short})
    add_executable(${target} ${source})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(${target} PRIVATE ${floor} ${ARG_LINKS} prov_warnings PkgConfig::CHECK Threads::Threads)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    add_test(NAME ${folder}/${short} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    set_tests_properties(${folder}/${short} PROPERTIES LABELS "${label};${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                         ENVIRONMENT "PROV_SOURCE_DIR=${PROJECT_SOURCE_DIR};PROV_BUILD_DIR=${CMAKE_BINARY_DIR}"
                         SKIP_RETURN_CODE 77)
  endforeach()
endfunction()

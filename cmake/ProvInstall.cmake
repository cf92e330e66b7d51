# cmake --install, with GNUInstallDirs. SPDX-License-Identifier: Apache-2.0
include(CMakePackageConfigHelpers)

if(TARGET prov)
  install(TARGETS prov LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_COMPONENT dev)
endif()
install(FILES include/prov_plugin.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/prov DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# The plugin ABI's version is said once, in its header.
file(STRINGS include/prov_plugin.h abi_lines REGEX "^#define PROV_ABI_(MAJOR|MINOR) ")
string(REGEX REPLACE "[^0-9]*MAJOR ([0-9]+)u?;[^0-9]*MINOR ([0-9]+)u?" "\\1.\\2" PROV_PLUGIN_ABI "${abi_lines}")

# pkg-config: paths that move with the installed tree, unless a folder was given as an absolute path.
function(prov_pc_path result folder)
  if(IS_ABSOLUTE ${folder})
    set(${result} ${folder} PARENT_SCOPE)
  else()
    set(${result} "\${prefix}/${folder}" PARENT_SCOPE)
  endif()
endfunction()
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(PROV_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(PROV_PC_PREFIX "\${pcfiledir}/${up}")
endif()
prov_pc_path(PROV_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
prov_pc_path(PROV_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
prov_pc_path(PROV_PC_PLUGINDIR ${PROV_PLUGIN_INSTALL_DIR})
configure_file(cmake/prov-plugin.pc.in ${CMAKE_BINARY_DIR}/package/prov-plugin.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/package/prov-plugin.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

if(TARGET prov)
  get_target_property(PROV_SOVERSION prov SOVERSION)
  configure_file(cmake/prov.pc.in ${CMAKE_BINARY_DIR}/package/prov.pc @ONLY)
  configure_package_config_file(cmake/provConfig.cmake.in ${CMAKE_BINARY_DIR}/package/provConfig.cmake
                                INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/prov
                                PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR PROV_PLUGIN_INSTALL_DIR)
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/provConfigVersion.cmake
                                   COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/package/prov.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
  install(FILES ${CMAKE_BINARY_DIR}/package/provConfig.cmake ${CMAKE_BINARY_DIR}/package/provConfigVersion.cmake
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/prov COMPONENT dev)
endif()

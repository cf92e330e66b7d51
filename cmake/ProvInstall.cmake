# cmake --install, with GNUInstallDirs. SPDX-License-Identifier: Apache-2.0
if(TARGET prov)
  install(TARGETS prov LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_COMPONENT dev)
endif()
install(FILES include/prov_plugin.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/prov DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

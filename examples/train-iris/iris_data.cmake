# iris_data.cmake - iris.csv as a C file. SPDX-License-Identifier: Apache-2.0
#
#     cmake -DCSV=iris.csv -DOUT=iris_data.c -P iris_data.cmake
cmake_minimum_required(VERSION 3.22)
file(SHA256 "${CSV}" digest)
file(STRINGS "${CSV}" lines)
list(POP_FRONT lines header)
if(NOT header STREQUAL "sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm,species")
  message(FATAL_ERROR "${CSV}:1: not the header that is expected: ${header}")
endif()

set(measures "")
set(species "")
set(names "")
set(number 1)
set(column 0)
foreach(line IN LISTS lines)
  math(EXPR number "${number} + 1")
  if(NOT line MATCHES "^([0-9]\\.[0-9]),([0-9]\\.[0-9]),([0-9]\\.[0-9]),([0-9]\\.[0-9]),([a-z]+)$")
    message(FATAL_ERROR "${CSV}:${number}: want four numbers like 5.1 and a species: ${line}")
  endif()
  string(APPEND measures
         "    {${CMAKE_MATCH_1}F, ${CMAKE_MATCH_2}F, ${CMAKE_MATCH_3}F, ${CMAKE_MATCH_4}F},\n")
  list(FIND names "${CMAKE_MATCH_5}" which)
  if(which EQUAL -1)
    list(LENGTH names which)
    list(APPEND names "${CMAKE_MATCH_5}")
  endif()
  if(column EQUAL 25)
    string(APPEND species "\n")
    set(column 0)
  endif()
  if(column EQUAL 0)
    string(APPEND species "    ${which},")
  else()
    string(APPEND species " ${which},")
  endif()
  math(EXPR column "${column} + 1")
endforeach()
list(LENGTH lines rows)
list(LENGTH names kinds)
if(NOT rows EQUAL 150 OR NOT kinds EQUAL 3)
  message(FATAL_ERROR "${CSV}: ${rows} rows of ${kinds} species, not 150 of 3")
endif()
list(JOIN names "\", \"" names)

file(WRITE "${OUT}" "/* iris_data.c - made from iris.csv by iris_data.cmake; do not edit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include \"iris_data.h\"

const char iris_csv_sha256[65] = \"${digest}\";

const char *const iris_species_names[IRIS_SPECIES] = {\"${names}\"};

const float iris_measures[IRIS_ROWS][IRIS_FEATURES] = {
${measures}};

const uint8_t iris_species[IRIS_ROWS] = {
${species}
};
")

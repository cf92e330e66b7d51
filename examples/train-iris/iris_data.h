/* iris_data.h - Fisher's Iris measurements, compiled in. See README.md for where they come from.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * iris_data.c is made from iris.csv by iris_data.cmake, and a test compares the two.
 */
#ifndef IRIS_DATA_H
#define IRIS_DATA_H

#include <stdint.h>

#define IRIS_ROWS 150
#define IRIS_FEATURES 4
#define IRIS_SPECIES 3

/* Sepal length and width, petal length and width, in centimetres. */
extern const float iris_measures[IRIS_ROWS][IRIS_FEATURES];
/* 0, 1 or 2: iris_species_names says which. */
extern const uint8_t iris_species[IRIS_ROWS];
extern const char *const iris_species_names[IRIS_SPECIES];
/* SHA-256 of iris.csv, as `sha256sum` prints it. */
extern const char iris_csv_sha256[65];

#endif

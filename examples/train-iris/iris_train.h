/* iris_train.h - a small neural network (4 inputs, 16 tanh units, 3 outputs) and its training. No Provhost in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Mini-batch gradient descent with momentum on the cross-entropy of a softmax. All that training depends on is in
 * struct iris_trainer: no globals, no clock, a random generator of its own. So one seed always gives the same model on
 * the same mathematical library. Threads: [any] on different trainers.
 */
#ifndef IRIS_TRAIN_H
#define IRIS_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iris_data.h"

#define IRIS_HIDDEN 16
#define IRIS_TEST_OF_SPECIES 10 /* held out of the 50 of each species */
#define IRIS_TEST (IRIS_TEST_OF_SPECIES * IRIS_SPECIES)
#define IRIS_TRAIN (IRIS_ROWS - IRIS_TEST)
#define IRIS_BATCH 8
#define IRIS_LEARNING_RATE 0.02F
#define IRIS_MOMENTUM 0.9F

/* What training changes; also the shape of its velocity and of a gradient. Floats alone, without padding. */
struct iris_net {
    float w1[IRIS_HIDDEN][IRIS_FEATURES];
    float b1[IRIS_HIDDEN];
    float w2[IRIS_SPECIES][IRIS_HIDDEN];
    float b2[IRIS_SPECIES];
};
#define IRIS_WEIGHTS (sizeof(struct iris_net) / sizeof(float))

struct iris_trainer {
    struct iris_net net;
    struct iris_net velocity;
    float mean[IRIS_FEATURES];  /* of the training rows: inputs are (x - mean) / deviation */
    float deviation[IRIS_FEATURES];
    uint8_t train[IRIS_TRAIN];  /* row numbers; shuffled by each epoch */
    uint8_t test[IRIS_TEST];    /* row numbers; never trained on */
    uint64_t random;            /* state of the generator */
    int64_t epoch;              /* how many are done */
    int64_t step;               /* mini-batches so far */
};

struct iris_measurement {
    double loss;       /* mean cross-entropy */
    double accuracy;   /* 0..1 */
    double confidence; /* mean probability given to the species that was chosen, 0..1 */
    double recall[IRIS_SPECIES]; /* of the rows of a species, how many were recognised, 0..1 */
    size_t rows;
};

/* Splits the rows (40 and 10 of each species, at random), and draws the first weights. */
void iris_trainer_init(struct iris_trainer *trainer, uint64_t seed);
/* One pass over the training rows. */
void iris_trainer_epoch(struct iris_trainer *trainer);
/* Measures the net as it is, on the rows held out or on the training rows. */
void iris_trainer_measure(const struct iris_trainer *trainer, bool held_out, struct iris_measurement *ret);
/* The probability of each species for four measures in centimetres. */
void iris_trainer_predict(const struct iris_trainer *trainer, const float measures[IRIS_FEATURES],
                          float ret_probability[IRIS_SPECIES]);

#endif

/* iris_train.c - the network and its training. SPDX-License-Identifier: Apache-2.0 */
#include "iris_train.h"

#include <math.h>
#include <string.h>

_Static_assert(sizeof(struct iris_net) ==
                   sizeof(float) * (IRIS_HIDDEN * (IRIS_FEATURES + 1) + IRIS_SPECIES * (IRIS_HIDDEN + 1)),
               "iris_net is read as one row of floats");

/* What one row gives on its way through the net. */
struct pass {
    float x[IRIS_FEATURES];
    float hidden[IRIS_HIDDEN];
    float probability[IRIS_SPECIES];
};

/* ---- random numbers: SplitMix64 ---------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Below n, each as likely as the others for a small n. */
static size_t random_below(uint64_t *state, size_t n)
{
    return (size_t)((random_next(state) >> 32) * n >> 32);
}

/* In [-limit, limit). */
static float random_weight(uint64_t *state, float limit)
{
    return ((float)(random_next(state) >> 40) * 0x1p-23F - 1.0F) * limit;
}

static void shuffle(uint64_t *state, uint8_t *rows, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = random_below(state, i);
        uint8_t row = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = row;
    }
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static void split(struct iris_trainer *t)
{
    size_t n_train = 0, n_test = 0;

    for (uint8_t species = 0; species < IRIS_SPECIES; species++) {
        uint8_t rows[IRIS_ROWS];
        size_t n = 0;
        for (size_t row = 0; row < IRIS_ROWS; row++) {
            if (iris_species[row] == species)
                rows[n++] = (uint8_t)row;
        }
        shuffle(&t->random, rows, n);
        for (size_t i = 0; i < n; i++) {
            if (i < IRIS_TEST_OF_SPECIES)
                t->test[n_test++] = rows[i];
            else
                t->train[n_train++] = rows[i];
        }
    }
}

/* Means and deviations of the training rows alone: nothing of the held-out rows may reach the model. */
static void standardise(struct iris_trainer *t)
{
    for (size_t f = 0; f < IRIS_FEATURES; f++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < IRIS_TRAIN; i++)
            sum += (double)iris_measures[t->train[i]][f];
        double mean = sum / IRIS_TRAIN;
        for (size_t i = 0; i < IRIS_TRAIN; i++) {
            double off = (double)iris_measures[t->train[i]][f] - mean;
            squares += off * off;
        }
        t->mean[f] = (float)mean;
        t->deviation[f] = (float)sqrt(squares / IRIS_TRAIN);
    }
}

void iris_trainer_init(struct iris_trainer *trainer, uint64_t seed)
{
    /* Glorot's limits: the spread of a signal is the same before and behind a layer. */
    const float limit1 = sqrtf(6.0F / (IRIS_FEATURES + IRIS_HIDDEN));
    const float limit2 = sqrtf(6.0F / (IRIS_HIDDEN + IRIS_SPECIES));

    memset(trainer, 0, sizeof *trainer);
    trainer->random = seed;
    split(trainer);
    standardise(trainer);
    for (size_t h = 0; h < IRIS_HIDDEN; h++) {
        for (size_t f = 0; f < IRIS_FEATURES; f++)
            trainer->net.w1[h][f] = random_weight(&trainer->random, limit1);
    }
    for (size_t s = 0; s < IRIS_SPECIES; s++) {
        for (size_t h = 0; h < IRIS_HIDDEN; h++)
            trainer->net.w2[s][h] = random_weight(&trainer->random, limit2);
    }
}

/* ---- forward and back -------------------------------------------------------------------------------------------- */

static void softmax(float values[IRIS_SPECIES])
{
    float largest = values[0], sum = 0;

    for (size_t s = 1; s < IRIS_SPECIES; s++)
        largest = fmaxf(largest, values[s]);
    for (size_t s = 0; s < IRIS_SPECIES; s++) {
        values[s] = expf(values[s] - largest);
        sum += values[s];
    }
    for (size_t s = 0; s < IRIS_SPECIES; s++)
        values[s] /= sum;
}

static void forward(const struct iris_trainer *t, const float measures[IRIS_FEATURES], struct pass *ret)
{
    const struct iris_net *net = &t->net;

    for (size_t f = 0; f < IRIS_FEATURES; f++)
        ret->x[f] = (measures[f] - t->mean[f]) / t->deviation[f];
    for (size_t h = 0; h < IRIS_HIDDEN; h++) {
        float sum = net->b1[h];
        for (size_t f = 0; f < IRIS_FEATURES; f++)
            sum += net->w1[h][f] * ret->x[f];
        ret->hidden[h] = tanhf(sum);
    }
    for (size_t s = 0; s < IRIS_SPECIES; s++) {
        float sum = net->b2[s];
        for (size_t h = 0; h < IRIS_HIDDEN; h++)
            sum += net->w2[s][h] * ret->hidden[h];
        ret->probability[s] = sum;
    }
    softmax(ret->probability);
}

/* Adds what one row says about the weights. The slope of softmax and cross-entropy together is probability - truth. */
static void backward(const struct iris_net *net, const struct pass *p, uint8_t species, struct iris_net *gradient)
{
    float out[IRIS_SPECIES];

    for (size_t s = 0; s < IRIS_SPECIES; s++) {
        out[s] = p->probability[s] - (s == species ? 1.0F : 0.0F);
        gradient->b2[s] += out[s];
        for (size_t h = 0; h < IRIS_HIDDEN; h++)
            gradient->w2[s][h] += out[s] * p->hidden[h];
    }
    for (size_t h = 0; h < IRIS_HIDDEN; h++) {
        float slope = 0;
        for (size_t s = 0; s < IRIS_SPECIES; s++)
            slope += out[s] * net->w2[s][h];
        slope *= 1.0F - p->hidden[h] * p->hidden[h];
        gradient->b1[h] += slope;
        for (size_t f = 0; f < IRIS_FEATURES; f++)
            gradient->w1[h][f] += slope * p->x[f];
    }
}

/* One step of momentum. A net is IRIS_WEIGHTS floats in a row. */
static void step(struct iris_trainer *t, const struct iris_net *gradient, size_t rows)
{
    float weights[IRIS_WEIGHTS], velocity[IRIS_WEIGHTS], slope[IRIS_WEIGHTS];

    memcpy(weights, &t->net, sizeof weights);
    memcpy(velocity, &t->velocity, sizeof velocity);
    memcpy(slope, gradient, sizeof slope);
    for (size_t i = 0; i < IRIS_WEIGHTS; i++) {
        velocity[i] = IRIS_MOMENTUM * velocity[i] - IRIS_LEARNING_RATE * slope[i] / (float)rows;
        weights[i] += velocity[i];
    }
    memcpy(&t->net, weights, sizeof weights);
    memcpy(&t->velocity, velocity, sizeof velocity);
    t->step++;
}

void iris_trainer_epoch(struct iris_trainer *trainer)
{
    shuffle(&trainer->random, trainer->train, IRIS_TRAIN);
    for (size_t at = 0; at < IRIS_TRAIN; at += IRIS_BATCH) {
        struct iris_net gradient = {0};
        size_t rows = IRIS_TRAIN - at < IRIS_BATCH ? IRIS_TRAIN - at : IRIS_BATCH;
        for (size_t i = 0; i < rows; i++) {
            struct pass p;
            uint8_t row = trainer->train[at + i];
            forward(trainer, iris_measures[row], &p);
            backward(&trainer->net, &p, iris_species[row], &gradient);
        }
        step(trainer, &gradient, rows);
    }
    trainer->epoch++;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

void iris_trainer_measure(const struct iris_trainer *trainer, bool held_out, struct iris_measurement *ret)
{
    const uint8_t *rows = held_out ? trainer->test : trainer->train;
    size_t n = held_out ? IRIS_TEST : IRIS_TRAIN, right = 0, of[IRIS_SPECIES] = {0}, hits[IRIS_SPECIES] = {0};
    double loss = 0, confidence = 0;

    for (size_t i = 0; i < n; i++) {
        struct pass p;
        uint8_t truth = iris_species[rows[i]];
        size_t chosen = 0;
        forward(trainer, iris_measures[rows[i]], &p);
        for (size_t s = 1; s < IRIS_SPECIES; s++) {
            if (p.probability[s] > p.probability[chosen])
                chosen = s;
        }
        loss -= log(fmax((double)p.probability[truth], 1e-30));
        confidence += (double)p.probability[chosen];
        of[truth]++;
        hits[truth] += chosen == truth;
        right += chosen == truth;
    }
    memset(ret, 0, sizeof *ret);
    ret->rows = n;
    ret->loss = loss / (double)n;
    ret->accuracy = (double)right / (double)n;
    ret->confidence = confidence / (double)n;
    for (size_t s = 0; s < IRIS_SPECIES; s++)
        ret->recall[s] = (double)hits[s] / (double)of[s];
}

void iris_trainer_predict(const struct iris_trainer *trainer, const float measures[IRIS_FEATURES],
                          float ret_probability[IRIS_SPECIES])
{
    struct pass p;

    forward(trainer, measures, &p);
    memcpy(ret_probability, p.probability, sizeof p.probability);
}

/* test_iris_train.c - the network of examples/train-iris really learns. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "iris_train.h"

#define EPOCHS 40
#define DEFAULT_SEED 1936

static double after(uint64_t seed, int epochs, bool held_out, double *ret_loss)
{
    struct iris_trainer t;
    struct iris_measurement m;

    iris_trainer_init(&t, seed);
    for (int i = 0; i < epochs; i++)
        iris_trainer_epoch(&t);
    iris_trainer_measure(&t, held_out, &m);
    if (ret_loss)
        *ret_loss = m.loss;
    return m.accuracy;
}

/* Sums of the four columns for each species, from the means that are printed everywhere. */
START_TEST(the_data_are_fishers)
{
    static const double means[IRIS_SPECIES][IRIS_FEATURES] = {
        {5.006, 3.428, 1.462, 0.246}, {5.936, 2.770, 4.260, 1.326}, {6.588, 2.974, 5.552, 2.026}};
    static const float row35[] = {4.9F, 3.1F, 1.5F, 0.2F}, row38[] = {4.9F, 3.6F, 1.4F, 0.1F};

    for (size_t s = 0; s < IRIS_SPECIES; s++) {
        for (size_t f = 0; f < IRIS_FEATURES; f++) {
            double sum = 0;
            size_t n = 0;
            for (size_t row = 0; row < IRIS_ROWS; row++) {
                if (iris_species[row] == s) {
                    sum += (double)iris_measures[row][f];
                    n++;
                }
            }
            ck_assert_uint_eq(n, 50);
            ck_assert_double_eq_tol(sum / 50, means[s][f], 1e-5);
        }
    }
    ck_assert_mem_eq(iris_measures[34], row35, sizeof row35);
    ck_assert_mem_eq(iris_measures[37], row38, sizeof row38);
}
END_TEST

START_TEST(every_row_is_trained_on_or_held_out_but_not_both)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct iris_trainer t;
        int seen[IRIS_ROWS] = {0}, held[IRIS_SPECIES] = {0};
        iris_trainer_init(&t, seed);
        for (int epoch = 0; epoch < 3; epoch++)
            iris_trainer_epoch(&t);
        for (size_t i = 0; i < IRIS_TRAIN; i++)
            seen[t.train[i]]++;
        for (size_t i = 0; i < IRIS_TEST; i++) {
            seen[t.test[i]]++;
            held[iris_species[t.test[i]]]++;
        }
        for (size_t row = 0; row < IRIS_ROWS; row++)
            ck_assert_int_eq(seen[row], 1);
        for (size_t s = 0; s < IRIS_SPECIES; s++)
            ck_assert_int_eq(held[s], IRIS_TEST_OF_SPECIES);
    }
}
END_TEST

START_TEST(without_training_it_guesses)
{
    double sum = 0;

    for (uint64_t seed = 0; seed < 300; seed++)
        sum += after(seed, 0, true, NULL);
    ck_assert_double_gt(sum / 300, 0.25);
    ck_assert_double_lt(sum / 300, 0.42);
}
END_TEST

START_TEST(after_forty_epochs_it_knows_most_flowers_that_it_never_saw)
{
    double sum = 0;

    for (uint64_t seed = 0; seed < 100; seed++)
        sum += after(seed, EPOCHS, true, NULL);
    ck_assert_double_gt(sum / 100, 0.95);
    ck_assert_double_gt(after(DEFAULT_SEED, EPOCHS, true, NULL), 0.93);
}
END_TEST

START_TEST(the_loss_falls_for_every_seed)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        double start, first, ten, forty;
        after(seed, 0, false, &start);
        after(seed, 1, false, &first);
        after(seed, 10, false, &ten);
        after(seed, EPOCHS, false, &forty);
        ck_assert_double_lt(first, start);
        ck_assert_double_lt(ten, first);
        ck_assert_double_lt(forty, ten);
        ck_assert_double_lt(forty, start / 5);
    }
}
END_TEST

START_TEST(one_seed_gives_one_model_and_another_seed_another)
{
    struct iris_trainer a, b, c;

    iris_trainer_init(&a, 7);
    iris_trainer_init(&b, 7);
    iris_trainer_init(&c, 8);
    for (int i = 0; i < 5; i++) {
        iris_trainer_epoch(&a);
        iris_trainer_epoch(&b);
        iris_trainer_epoch(&c);
    }
    ck_assert_mem_eq(&a.net, &b.net, sizeof a.net);
    ck_assert_uint_eq(a.random, b.random);
    ck_assert_float_ne(a.net.w1[0][0], c.net.w1[0][0]);
    ck_assert_int_eq(a.epoch, 5);
    ck_assert_int_eq(a.step, 5 * IRIS_TRAIN / IRIS_BATCH);
}
END_TEST

START_TEST(a_trainer_goes_on_from_a_copy_as_if_nothing_had_happened)
{
    struct iris_trainer whole, copy;

    iris_trainer_init(&whole, 3);
    for (int i = 0; i < 10; i++)
        iris_trainer_epoch(&whole);
    copy = whole;
    for (int i = 0; i < 10; i++) {
        iris_trainer_epoch(&whole);
        iris_trainer_epoch(&copy);
    }
    ck_assert_mem_eq(&whole.net, &copy.net, sizeof whole.net);
    ck_assert_mem_eq(&whole.velocity, &copy.velocity, sizeof whole.velocity);
}
END_TEST

START_TEST(measurement_and_prediction_say_the_same)
{
    struct iris_trainer t;
    struct iris_measurement m;
    size_t right = 0;
    double confidence = 0, recall = 0;

    iris_trainer_init(&t, DEFAULT_SEED);
    for (int i = 0; i < EPOCHS; i++)
        iris_trainer_epoch(&t);
    iris_trainer_measure(&t, true, &m);
    for (size_t i = 0; i < IRIS_TEST; i++) {
        float p[IRIS_SPECIES];
        size_t best = 0;
        iris_trainer_predict(&t, iris_measures[t.test[i]], p);
        ck_assert_float_eq_tol(p[0] + p[1] + p[2], 1.0F, 1e-5F);
        for (size_t s = 1; s < IRIS_SPECIES; s++)
            best = p[s] > p[best] ? s : best;
        right += best == iris_species[t.test[i]];
        confidence += (double)p[best];
    }
    for (size_t s = 0; s < IRIS_SPECIES; s++)
        recall += m.recall[s];
    ck_assert_uint_eq(m.rows, IRIS_TEST);
    ck_assert_double_eq_tol(m.accuracy, (double)right / IRIS_TEST, 1e-9);
    ck_assert_double_eq_tol(m.confidence, confidence / IRIS_TEST, 1e-6);
    ck_assert_double_eq_tol(recall / IRIS_SPECIES, m.accuracy, 1e-9); /* as many of each species */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iris_train");
    TCase *tc = tcase_create("training");
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_data_are_fishers);
    tcase_add_test(tc, every_row_is_trained_on_or_held_out_but_not_both);
    tcase_add_test(tc, without_training_it_guesses);
    tcase_add_test(tc, after_forty_epochs_it_knows_most_flowers_that_it_never_saw);
    tcase_add_test(tc, the_loss_falls_for_every_seed);
    tcase_add_test(tc, one_seed_gives_one_model_and_another_seed_another);
    tcase_add_test(tc, a_trainer_goes_on_from_a_copy_as_if_nothing_had_happened);
    tcase_add_test(tc, measurement_and_prediction_say_the_same);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

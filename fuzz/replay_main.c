/* replay_main.c - runs a fuzz target over its corpus without a fuzzing engine.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *   fuzz_NAME [-m MUTATIONS] [-t SECONDS] FILE|FOLDER...
 *
 * Every file is run as it is, at every prefix length of a small file, and then in MUTATIONS deterministic mutations (bit
 * flips, changed bytes, cuts, repeats, interesting values, splices with another file of the corpus): the same corpus
 * gives the same inputs everywhere. After SECONDS it stops in good order and says how far it came. When an input kills
 * the process, it is written to ./crash-NAME, so that it can become a file of the corpus.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)1 << 20)
#define PREFIX_MAX 512u /* files up to this size are run at every prefix length */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    char *path;
    uint8_t *data;
    size_t len;
};

static struct {
    struct input *inputs;
    size_t n_inputs;
    uint64_t random;
    uint64_t runs;
    time_t end; /* 0: no limit */
} state;

/* What is running now, for the crash handler. */
static const uint8_t *volatile current_data;
static volatile size_t current_len;
static char crash_path[512];

static void keep_input(void)
{
    int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        const uint8_t *data = current_data;
        ssize_t written = write(fd, data, current_len);
        (void)written;
        (void)close(fd);
    }
}

static void on_crash(int number)
{
    keep_input();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* There in sanitizer builds only: those end the process by themselves, with a report that a handler would cut off. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void crash_handler_install(const char *program)
{
    const char *name = strrchr(program, '/');
    (void)snprintf(crash_path, sizeof crash_path, "crash-%s", name ? name + 1 : program);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(keep_input);
        return;
    }
    const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)signal(numbers[i], on_crash);
    }
}

static void die(const char *what, const char *path)
{
    (void)fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno));
    exit(1);
}

static void input_add(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct input *grown = realloc(state.inputs, (state.n_inputs + 1) * sizeof *grown);
    if (!file || !grown) {
        die("cannot read", path);
    }
    state.inputs = grown;
    struct input *input = &state.inputs[state.n_inputs];
    input->path = strdup(path);
    input->data = malloc(INPUT_MAX);
    if (!input->path || !input->data) {
        die("cannot keep", path);
    }
    input->len = fread(input->data, 1, INPUT_MAX, file);
    (void)fclose(file);
    state.n_inputs++;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct input *)a)->path, ((const struct input *)b)->path);
}

static void inputs_load(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        die("cannot open", path);
    }
    if (!S_ISDIR(status.st_mode)) {
        input_add(path);
        return;
    }
    DIR *folder = opendir(path);
    if (!folder) {
        die("cannot list", path);
    }
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char name[4096];
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof name) {
            input_add(name);
        }
    }
    (void)closedir(folder);
}

/* xorshift64*: small, the same everywhere. */
static uint64_t random_next(void)
{
    state.random ^= state.random >> 12;
    state.random ^= state.random << 25;
    state.random ^= state.random >> 27;
    return state.random * 0x2545F4914F6CDD1DULL;
}

static size_t random_below(size_t limit)
{
    return limit ? (size_t)(random_next() % limit) : 0;
}

/* Runs one input from a copy of exactly its size, so that a read past the end is seen by sanitizers and valgrind. */
static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy) {
        die("out of memory", "replay");
    }
    memcpy(copy, data, len);
    current_data = copy;
    current_len = len;
    (void)LLVMFuzzerTestOneInput(copy, len);
    state.runs++;
    current_len = 0;
    free(copy);
}

static bool time_is_up(void)
{
    return state.end && time(NULL) >= state.end;
}

/* A piece of another input (or of this one) over or into buf at a random place. */
static size_t splice_other(uint8_t *buf, size_t len)
{
    const struct input *other = &state.inputs[random_below(state.n_inputs)];
    if (other->len == 0) {
        return len;
    }
    size_t from = random_below(other->len);
    size_t piece = 1 + random_below(other->len - from < 64 ? other->len - from : 64);
    size_t at = random_below(len + 1);
    if (random_next() & 1) { /* insert */
        if (len + piece > INPUT_MAX) {
            return len;
        }
        memmove(buf + at + piece, buf + at, len - at);
        memcpy(buf + at, other->data + from, piece);
        return len + piece;
    }
    if (at + piece > len) {
        piece = len - at;
    }
    memcpy(buf + at, other->data + from, piece);
    return len;
}

static size_t mutate_once(uint8_t *buf, size_t len)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '{', '}', '[', ']', ',', ':', '\n', ' ', '-', '+', '9'};
    size_t at = random_below(len);
    switch (random_next() % 7) {
    case 0:
        if (len) {
            buf[at] = (uint8_t)(buf[at] ^ (1u << random_below(8)));
        }
        return len;
    case 1:
        if (len) {
            buf[at] = telling[random_below(sizeof telling)];
        }
        return len;
    case 2: /* cut the end */
        return at;
    case 3: { /* cut a piece out */
        size_t piece = random_below(len - at < 16 ? len - at : 16);
        memmove(buf + at, buf + at + piece, len - at - piece);
        return len - piece;
    }
    case 4: { /* repeat a piece */
        size_t piece = random_below(len - at < 32 ? len - at : 32);
        if (len + piece > INPUT_MAX) {
            return len;
        }
        memmove(buf + at + piece, buf + at, len - at);
        return len + piece;
    }
    case 5: /* all the bytes of a word the same */
        for (size_t i = at; i < len && i < at + 8; i++) {
            buf[i] = random_next() & 1 ? 0xff : 0;
        }
        return len;
    default:
        return splice_other(buf, len);
    }
}

static void mutate_input(const struct input *input, uint64_t mutations, uint8_t *buf)
{
    for (uint64_t i = 0; i < mutations && !time_is_up(); i++) {
        size_t len = input->len;
        memcpy(buf, input->data, len);
        for (size_t steps = 1 + random_below(4); steps; steps--) {
            len = mutate_once(buf, len);
        }
        run(buf, len);
    }
}

int main(int argc, char **argv)
{
    uint64_t mutations = 2000;
    long seconds = 20;
    int option;
    while ((option = getopt(argc, argv, "m:t:")) != -1) {
        switch (option) {
        case 'm':
            mutations = strtoull(optarg, NULL, 10);
            break;
        case 't':
            seconds = strtol(optarg, NULL, 10);
            break;
        default:
            (void)fprintf(stderr, "usage: %s [-m MUTATIONS] [-t SECONDS] FILE|FOLDER...\n", argv[0]);
            return 2;
        }
    }
    for (int i = optind; i < argc; i++) {
        inputs_load(argv[i]);
    }
    if (state.n_inputs == 0) {
        (void)fprintf(stderr, "%s: the corpus is empty\n", argv[0]);
        return 1;
    }
    qsort(state.inputs, state.n_inputs, sizeof *state.inputs, by_path);
    uint8_t *buf = malloc(INPUT_MAX);
    if (!buf) {
        die("out of memory", argv[0]);
    }
    crash_handler_install(argv[0]);
    run(buf, 0);
    for (size_t i = 0; i < state.n_inputs; i++) {
        const struct input *input = &state.inputs[i];
        for (size_t len = 0; input->len <= PREFIX_MAX && len < input->len; len++) {
            run(input->data, len);
        }
        run(input->data, input->len);
    }
    state.end = seconds > 0 ? time(NULL) + seconds : 0;
    for (size_t i = 0; i < state.n_inputs; i++) {
        state.random = 0x9E3779B97F4A7C15ULL ^ (i + 1);
        mutate_input(&state.inputs[i], mutations, buf);
    }
    (void)printf("%llu inputs from %zu files%s\n", (unsigned long long)state.runs, state.n_inputs,
                 time_is_up() ? ", stopped by the time limit" : "");
    for (size_t i = 0; i < state.n_inputs; i++) {
        free(state.inputs[i].path);
        free(state.inputs[i].data);
    }
    free(state.inputs);
    free(buf);
    return 0;
}

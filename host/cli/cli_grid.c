/* cli_grid.c - tables. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

#define ROWS 256 /* that settle the widths */
#define MAX_WIDTH 64

/* Code points as cli_put writes them, near enough for columns. */
static size_t cells_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void cli_table_init(struct cli_table *table, struct cli *cli, const char *const *titles)
{
    *table = (struct cli_table){.cli = cli, .titles = titles};
    while (titles[table->n_columns] && table->n_columns < CLI_COLUMNS)
        table->n_columns++;
}

static size_t screen_width(const struct cli *cli)
{
    struct winsize size;
    return !cli->out_path && isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
                   size.ws_col > 20
               ? size.ws_col
               : 0;
}

/* Cuts text to cells on a terminal: the last column only, and at a whole character. */
static void put_cut(FILE *out, const char *text, size_t cells)
{
    if (cells_of(text) <= cells) {
        cli_put(out, text);
        return;
    }
    char room[1024];
    size_t used = 0, n = 0;
    for (; used < sizeof room - 8 && text[used]; used++) {
        n += ((unsigned char)text[used] & 0xc0) != 0x80;
        if (n > cells - 1)
            break;
        room[used] = text[used];
    }
    room[used] = '\0';
    cli_put(out, room);
    fputs("~", out);
}

static void put_row(const struct cli_table *table, const char *const *texts, char style)
{
    const struct cli *cli = table->cli;
    size_t screen = screen_width(cli), at = 0, last = table->n_columns - 1;
    fputs(style ? cli_style(cli->color, style) : "", cli->out);
    for (size_t i = 0; i <= last; i++) {
        const char *text = texts[i] ? texts[i] : "";
        size_t width = table->width[i], cells = cells_of(text);
        bool right = table->titles[i][0] == '>';
        if (right && cells < width)
            fprintf(cli->out, "%*s", (int)(width - cells), "");
        if (i == last && screen > at + 8)
            put_cut(cli->out, text, screen - at);
        else
            cli_put(cli->out, text);
        if (i < last)
            fprintf(cli->out, "%*s", !right && cells < width ? (int)(width - cells) + 2 : 2, "");
        at += (cells > width ? cells : width) + 2;
    }
    fputs(style ? cli_style(cli->color, 0) : "", cli->out);
    fputc('\n', cli->out);
}

static void settle(struct cli_table *table)
{
    const char *titles[CLI_COLUMNS] = {NULL};
    table->settled = true;
    for (size_t i = 0; i < table->n_columns; i++) {
        titles[i] = table->titles[i] + (table->titles[i][0] == '>');
        table->width[i] = cells_of(titles[i]);
        for (size_t row = 0; row < table->n_rows; row++) {
            size_t cells = cells_of(table->cells[row * table->n_columns + i]);
            if (cells > table->width[i])
                table->width[i] = cells < MAX_WIDTH ? cells : MAX_WIDTH;
        }
    }
    if (!table->cli->quiet)
        put_row(table, titles, 'd');
    for (size_t row = 0; row < table->n_rows; row++)
        put_row(table, (const char *const *)table->cells + row * table->n_columns, 0);
    for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->n_rows = 0;
}

bool cli_table_row(struct cli_table *table, const char *const *texts)
{
    if (table->settled) {
        put_row(table, texts, 0);
        return true;
    }
    if (!table->cells && !(table->cells = calloc(ROWS * table->n_columns, sizeof *table->cells)))
        return false;
    char **row = table->cells + table->n_rows * table->n_columns;
    bool whole = true;
    for (size_t i = 0; i < table->n_columns; i++) {
        row[i] = strdup(texts[i] ? texts[i] : "");
        whole = whole && row[i];
    }
    if (!whole) {
        for (size_t i = 0; i < table->n_columns; i++) {
            free(row[i]);
            row[i] = NULL;
        }
        return false;
    }
    if (++table->n_rows == ROWS)
        settle(table);
    return true;
}

void cli_table_done(struct cli_table *table)
{
    if (table->n_rows)
        settle(table);
    free(table->cells);
    table->cells = NULL;
}

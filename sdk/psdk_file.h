/* psdk_file.h - files that are either whole or absent, locks, directories.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * All functions restart on EINTR and complete short reads and writes. "Durable" means: the file and every new folder
 * entry on the way to it were fsynced. Threads: [any]. Since 1.0.
 */
#ifndef PSDK_FILE_H
#define PSDK_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "psdk_buf.h"

/* Opens with O_CLOEXEC and EINTR handling. Returns the descriptor or a negative PROV_E_* code. */
int psdk_open(const char *path, int flags, mode_t mode, prov_error *err);
/* Closes; the result is looked at only for data that was not fsynced. Sets *fd = -1. Safe on -1. */
void psdk_close(int *fd);
int psdk_write_all(int fd, const void *data, size_t len, const char *what, prov_error *err);
int psdk_pwrite_all(int fd, const void *data, size_t len, uint64_t offset, const char *what, prov_error *err);
/* Reads exactly len, or less at the end of the file: *ret_len. */
int psdk_pread_all(int fd, void *data, size_t len, uint64_t offset, size_t *ret_len, const char *what, prov_error *err);
int psdk_fdatasync(int fd, const char *what, prov_error *err);
/* fsync of a folder. */
int psdk_sync_dir(const char *path, prov_error *err);

/* Reads a whole regular file of at most max bytes, adding to ret. PROV_E_LIMIT when it is larger. */
int psdk_read_file(const char *path, size_t max, struct psdk_buf *ret, prov_error *err);
/* Replaces (or with exclusive = true creates, PROV_E_EXISTS when there) a file durably: temporary file in the same folder, fsync, rename or
 * link, fsync of the folder. On failure the old file stays and no temporary file is left; only when the folder cannot be
 * synced after the rename (outcome UNKNOWN) is the new file there already. */
int psdk_write_file(const char *path, const void *data, size_t len, mode_t mode, bool exclusive, prov_error *err);
/* Renames within or between open folders without ever replacing. 0 or an errno (EEXIST: to is taken). */
int psdk_rename_new(int from_dir, const char *from, int to_dir, const char *to);
/* Makes path and its parents (mode for the new ones), durably. */
int psdk_mkdirs(const char *path, mode_t mode, prov_error *err);
/* The folder part of path into ret ("." when there is none). PROV_E_LIMIT when cap is too small. */
int psdk_dirname(const char *path, char *ret, size_t cap, prov_error *err);
/* Deletes a folder and all in it; not an error when it is not there. Never follows links. */
int psdk_remove_tree(const char *path, prov_error *err);

/* An advisory lock on a file, held across threads and processes (flock on an own descriptor), gone with its process. */
struct psdk_lock {
    int fd; /* -1: not held */
};
#define PSDK_LOCK_INIT {-1}
/* Takes the lock, creating the file (0600). timeout_ns 0: try once. PROV_E_TIMEOUT when somebody else keeps it. */
int psdk_lock_take(struct psdk_lock *lock, const char *path, bool shared, uint64_t timeout_ns, prov_error *err);
void psdk_lock_drop(struct psdk_lock *lock);

/* Checks that nobody but the owner (this user or root) can write the file or any folder above it, on an already opened
 * descriptor and its real path. PROV_E_DENIED names the place and the remedy. */
int psdk_check_private(int fd, const char *real_path, bool also_secret, prov_error *err);

/* Clocks and times. */
uint64_t psdk_monotonic_ns(void);
uint64_t psdk_wall_ns(void);
/* RFC 3339 UTC with microseconds and Z, 27 characters and a NUL: 2026-11-20T12:00:00.123456Z */
#define PSDK_TIME_SIZE 28
void psdk_time_format(uint64_t wall_ns, char ret[PSDK_TIME_SIZE]);
/* Strict: exactly that form, a real date. false: not that. */
bool psdk_time_parse(const char *text, size_t len, uint64_t *ret_wall_ns);
/* "10s", "500ms", "1h30m", "2d", "0" -> ns; "16MiB", "10MB", "512" -> bytes. false: not that (or overflow). */
bool psdk_parse_duration(const char *text, uint64_t *ret_ns);
bool psdk_parse_size(const char *text, uint64_t *ret_bytes);

#endif

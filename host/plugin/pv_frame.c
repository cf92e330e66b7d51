/* pv_frame.c - the memory of a call. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "pv_instance_int.h"

/* The pattern differs from byte to byte, so that neither zeros nor a repeated byte pass for it. */
static const struct pv_guard whole_guard = {{
    0xa5, 0xb8, 0x9f, 0xf2, 0xd1, 0x34, 0x0b, 0x6e, 0x4d, 0xa0, 0x87, 0x9a, 0xf9, 0xdc, 0x33, 0x16,
    0x75, 0x48, 0xaf, 0x82, 0xe1, 0xc4, 0xdb, 0x3e, 0x1d, 0x70, 0x57, 0xaa, 0x89, 0xec, 0xc3, 0x26,
    0x05, 0x18, 0x7f, 0x52, 0xb1, 0x94, 0xeb, 0xce, 0x2d, 0x00, 0x67, 0x7a, 0x59, 0xbc, 0x93, 0xf6,
    0xd5, 0x28, 0x0f, 0x62, 0x41, 0xa4, 0xbb, 0x9e, 0xfd, 0xd0, 0x37, 0x0a, 0x69, 0x4c, 0xa3, 0x86,
}};

struct pv_frame *pv_frame_new(const struct pv_frame_kind *kind)
{
    struct pv_frame *frame = calloc(1, kind->size);
    if (frame == NULL)
        return NULL;
    frame->kind = kind;
    pthread_mutex_init(&frame->gate, NULL);
    pv_frame_guard(frame, &frame->err_front, "what lies in front of err");
    pv_frame_guard(frame, &frame->err_back, "err");
    return frame;
}

void pv_frame_free(struct pv_frame *frame)
{
    if (frame == NULL)
        return;
    if (frame->kind->done != NULL)
        frame->kind->done(frame);
    pthread_mutex_destroy(&frame->gate);
    free(frame);
}

void pv_frame_guard(struct pv_frame *frame, struct pv_guard *guard, const char *name)
{
    *guard = whole_guard;
    if (frame->n_guards < PV_FRAME_GUARDS) {
        frame->guards[frame->n_guards].guard = guard;
        frame->guards[frame->n_guards].name = name;
        frame->n_guards++;
    }
}

const char *pv_frame_broken_guard(const struct pv_frame *frame)
{
    for (uint32_t i = 0; i < frame->n_guards && i < PV_FRAME_GUARDS; i++) {
        if (memcmp(frame->guards[i].guard, &whole_guard, sizeof whole_guard) != 0)
            return frame->guards[i].name;
    }
    return NULL;
}

bool pv_frame_enter(struct pv_frame *frame)
{
    pthread_mutex_lock(&frame->gate);
    if (frame->revoked) {
        pthread_mutex_unlock(&frame->gate);
        return false;
    }
    return true;
}

void pv_frame_leave(struct pv_frame *frame)
{
    if (frame->idle_ns > 0)
        atomic_store_explicit(&frame->moved_ns, psdk_monotonic_ns(), memory_order_relaxed);
    pthread_mutex_unlock(&frame->gate);
}

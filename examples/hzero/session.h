/* session.h: what most commands begin with: a model, a tape, a picture, and one forward pass on it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZERO_SESSION_H
#define HZERO_SESSION_H

#include <jansson.h>

#include "hzero.h"
#include "options.h"

typedef struct session {
    const char *who; /* "hzero predict", for messages */
    hz_model model;
    hz_tape *t;
    hz_tensor image;  /* the network's input, f32 (1, C, H, W), from malloc */
    hz_var x, logits; /* "pixels" and the scores, on the tape */
    bool f64;         /* set before session_forward: x, and with it all that is computed, is in f64 */
    hz_error err;     /* the first failure */
} session;

/* Open the model and a tape as the options say. */
bool session_open(session *s, const char *who, const options *o);

/* Load a picture (NULL: all zeros, where only shapes matter) and record the network on it; what the tape held before is
 * forgotten. A NaN or an infinity anywhere is an error. */
bool session_forward(session *s, const char *path);

/* Close everything and say on stderr what went wrong, if something did. Returns the exit status. */
int session_close(session *s);

/* Take over the tape's error, if it has one. Returns true if there is none. */
bool session_ok(session *s);

/* The input as it would be seen, u8 (H, W, 3) in memory from malloc: free(picture->data). */
bool session_picture(session *s, hz_tensor *picture);

/* The number that a gray pixel (127.5 of 255) of colour c is in the network's input. */
float session_gray(const session *s, int64_t c);

/* Whether the gradient's channels come blue first. */
bool session_is_bgr(const session *s);

/* Which of the numbers for red, green, blue are those of the input's channel c; gray has red's. */
int session_colour(const session *s, int64_t c);

/* s in memory from malloc (NULL if there is none), in ASCII with '?' for the rest if it is not UTF-8: a file's name may be
 * anything, JSON and the text of a PNG may not. */
char *readable(const char *s);
json_t *json_text(const char *s);

/* Print a JSON value, which is used up. */
void print_json(json_t *value);

/* {"rows": [lo, hi], "columns": [lo, hi]} of a box of an input (1, C, H, W). */
json_t *json_of_field(const hz_box *field);

#endif

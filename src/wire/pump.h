/*
 * One direction of copying: from a wire to a wire, with back-pressure.
 *
 * The one place in karez where bytes are moved. It reads only what the other side can take, so a slow reader
 * makes its source stop, and never queues more than what one read brought.
 */
#ifndef KAREZ_WIRE_PUMP_H
#define KAREZ_WIRE_PUMP_H

#include "base/buf.h"
#include "wire/wire.h"

/* Bytes one pump moves before others have a say. */
#define PUMP_TURN_BYTES (512 * 1024)

/* Pieces that a filter may give for one write, and the room for what it adds to each. */
#define PUMP_IOV  48
#define PUMP_TEXT 32

/* What a filter gives: bytes to send, from its input or made by itself. */
struct pump_out {
	struct iovec iov[PUMP_IOV];
	int n_iov;
	char text[PUMP_IOV][PUMP_TEXT]; /* room for iov[i] to point to */
};

/*
 * Turn what was read into what is to be sent.
 *   in    shortened by what was used; may be left with bytes when `out` is full or the body has ended.
 *   *end  set to true when this direction is complete: what is left in `in` belongs to something else.
 * Called with an empty `in` and p NULL when the source has ended.
 * Returns 0 or an ERR_* that ends the pump.
 */
typedef int pump_filter_fn(void *arg, struct str *in, struct pump_out *out, bool *end);

enum pump_state {
	PUMP_RUNNING, /* wants more of its source, or room at its destination */
	PUMP_END,     /* the limit or the filter's end is reached, everything is written */
	PUMP_EOF,     /* the source has ended, everything is written */
	PUMP_FAILED,  /* see e and failed_src */
};

/* A value inside its owner; zero it, set the first group, then pump_run(). */
struct pump {
	struct wire *src, *dst; /* borrowed: the owner closes them after the pump */
	pump_filter_fn *filter; /* NULL: bytes pass as they are */
	void *filter_arg;
	uint64_t left; /* bytes of the source still to pass; UINT64_MAX: until it ends */

	enum pump_state state;
	uint64_t n_bytes; /* bytes taken by the destination so far */
	struct buf pending; /* read, but not yet taken by the destination */
	int e;
	bool failed_src;  /* the source failed, not the destination */
	bool want_read;	  /* what must be wanted of src */
	bool want_write;  /* what must be wanted of dst */
	bool src_ended, filter_ended;
};

/*
 * Copy as much as is possible now. Afterwards the owner wants want_read of src and want_write of dst, and
 * calls again when either is ready.
 */
enum pump_state pump_run(struct pump *p);

/* Give up what is pending. The wires are the owner's. */
void pump_free(struct pump *p);

#endif

/* Log lines that strangers cause: so many a second, and a count of those left out. */
#ifndef KAREZ_EV_LOG_PACE_H
#define KAREZ_EV_LOG_PACE_H

#include "ev/ev.h"

#define LOG_PACE_PER_SECOND 20

/* Embedded in its owner, all zero at first. */
struct log_pace {
	uint64_t since_ms; /* when this second began */
	unsigned n;	   /* written in it */
	uint64_t n_left_out;
};

/* May one more line be written now? Says how many were left out when a new second begins. */
bool log_pace_take(struct log_pace *p, struct ev *ev, struct log *log);

#endif

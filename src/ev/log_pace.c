/* A log that anybody on the internet can fill is of no use, and neither is one that is silent. */
#include "ev/log_pace.h"

bool log_pace_take(struct log_pace *p, struct ev *ev, struct log *log)
{
	uint64_t now = ev_now_ms(ev);

	if (p->n == 0 || now - p->since_ms >= 1000) {
		if (p->n_left_out > 0)
			log_info(log,
				 "event=refused msg=\"%llu more lines like these were left out\"",
				 (unsigned long long)p->n_left_out);
		*p = (struct log_pace){.since_ms = now};
	}
	if (p->n >= LOG_PACE_PER_SECOND) {
		p->n_left_out++;
		return false;
	}
	p->n++;
	return true;
}

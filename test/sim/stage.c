/* The same beginning, trace and end for all kinds of worlds. */
#include "sim/stage.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/cable.h"

/* Everything that is closed is really gone after so long. */
#define END_MS 300000

static void stage_log(void *arg, enum log_level level, const char *line, size_t len)
{
	stage_note(arg, "log " STR_FMT, STR_ARG(((struct str){line, len})));
}

void stage_open(struct stage *s, uint64_t seed, bool verbose)
{
	struct store_why why;

	s->seed = s->dice.state = seed;
	s->verbose = verbose;
	s->trace = 0xcbf29ce484222325;
	CHECK(ev_sim_new(seed, &s->ev) == 0);
	s->log = (struct log){.level = LOG_INFO, .write = stage_log, .arg = s};
	CHECK(store_open(s->ev, &s->log, "memory:", &s->store, &why) == 0);
	list_init(&s->cables);
}

void stage_note(struct stage *s, const char *fmt, ...)
{
	char text[512];
	size_t len = str_printf(text, sizeof text, "%8llu ", (unsigned long long)ev_now_ms(s->ev));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + len, sizeof text - len, fmt, ap);
	va_end(ap);
	for (const char *p = text; *p != '\0'; p++) /* FNV-1a */
		s->trace = (s->trace ^ (uint8_t)*p) * 0x100000001b3;
	if (s->verbose)
		puts(text);
}

void stage_fail(struct stage *s, const char *fmt, ...)
{
	va_list ap;

	if (s->failed)
		return;
	s->failed = true;
	printf("seed %llu, %llu ms: ", (unsigned long long)s->seed,
	       (unsigned long long)ev_now_ms(s->ev));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	ev_stop(s->ev);
}

void stage_close(struct stage *s)
{
	store_close(s->store);
	if (!s->failed && ev_sim_run_for(s->ev, END_MS))
		stage_fail(s, "something still happens after the end");
	if (!s->failed && !list_empty(&s->cables))
		stage_fail(s, "a wire is left over");
}

void stage_free(struct stage *s)
{
	ev_free(s->ev);
}

void stage_ip(unsigned n, char out[32])
{
	str_printf(out, 32, "10.%u.%u.%u", 1 + n / 62500, n / 250 % 250, 1 + n % 250);
}

unsigned stage_ip_number(const char *ip)
{
	unsigned a, b, c;

	if (sscanf(ip, "10.%u.%u.%u", &a, &b, &c) != 3 || a == 0 || c == 0)
		return UINT32_MAX;
	return (a - 1) * 62500 + b * 250 + (c - 1);
}

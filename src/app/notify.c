/* A manager that cannot be reached is no reason to stop serving: what cannot be told is not told.
 */
#include "app/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/show.h"
#include "net/net_notify.h"

/* The manager's patience beyond our own deadline, in milliseconds. */
#define NOTIFY_GRACE_MS 5000

/* Bytes of all lines of one message. */
#define NOTIFY_TEXT (NOTIFY_STATUS + 64)

static void notify_send(const struct notify *n, const char *lines)
{
	(void)!net_notify(n->socket, str_of(lines));
}

static void notify_on_alive(void *arg)
{
	struct notify *n = arg;

	notify_send(n, "WATCHDOG=1");
	ev_timer_set(n->ev, &n->alive, n->alive_ms);
}

/* Half of the time that the manager waits, as sd_watchdog_enabled(3) has it; 0: it does not. */
static uint64_t notify_pace(const struct notify_env *env)
{
	uint64_t usec = 0, pid = (uint64_t)getpid();

	if (env->watchdog_pid != NULL &&
	    (num_parse(str_of(env->watchdog_pid), UINT32_MAX, &pid) != 0 ||
	     pid != (uint64_t)getpid()))
		return 0;
	if (num_parse(str_of(env->watchdog_usec), UINT64_MAX / 2, &usec) != 0 || usec == 0)
		return 0;
	return MAX(usec / 2000, 1u);
}

void notify_begin(struct notify *n, struct ev *ev, const struct notify_env *env)
{
	*n = (struct notify){.ev = ev, .alive = {.fn = notify_on_alive, .arg = n}};
	if (env->socket == NULL || env->socket[0] == '\0')
		return;
	n->socket = env->socket;
	if ((n->alive_ms = notify_pace(env)) != 0)
		ev_timer_set(ev, &n->alive, n->alive_ms);
}

void notify_begin_here(struct notify *n, struct ev *ev)
{
	notify_begin(n, ev,
		     &(struct notify_env){.socket = getenv("NOTIFY_SOCKET"),
					  .watchdog_usec = getenv("WATCHDOG_USEC"),
					  .watchdog_pid = getenv("WATCHDOG_PID")});
}

void notify_end(struct notify *n)
{
	if (n->ev != NULL)
		ev_timer_stop(n->ev, &n->alive);
	n->socket = NULL;
}

void notify_ready(struct notify *n)
{
	if (n->socket == NULL)
		return;
	n->ready = true;
	notify_send(n, "READY=1");
}

void notify_status(struct notify *n, const char *fmt, ...)
{
	char raw[NOTIFY_STATUS], clean[NOTIFY_STATUS], lines[NOTIFY_TEXT];
	va_list ap;

	if (n->socket == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	show_line(clean, sizeof clean, str_of(raw));
	if (strcmp(clean, n->status) == 0)
		return;
	memcpy(n->status, clean, sizeof clean);
	str_printf(lines, sizeof lines, "STATUS=%s", clean);
	notify_send(n, lines);
}

void notify_reloading(struct notify *n)
{
	char lines[NOTIFY_TEXT];

	if (n->socket == NULL || !n->ready)
		return;
	n->reloading = true;
	str_printf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)(ev_now_ns(n->ev) / 1000));
	notify_send(n, lines);
}

void notify_reloaded(struct notify *n)
{
	if (n->reloading)
		notify_ready(n);
	n->reloading = false;
}

void notify_stopping(struct notify *n, uint64_t within_ms)
{
	char lines[NOTIFY_TEXT];

	if (n->socket == NULL)
		return;
	str_printf(lines, sizeof lines, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
		   (unsigned long long)((within_ms + NOTIFY_GRACE_MS) * 1000));
	notify_send(n, lines);
}

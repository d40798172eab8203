/*
 * The first write on a channel.
 *
 * A peer says how large the packets of a channel may be (RFC 4254 5.1), and libssh cuts what we
 * write into pieces of that size less 10. It does not check the number, nor can one ask for it:
 * with 10 it would send empty packets for ever, with 11 packets of one byte. So the first write is
 * watched through libssh's log, where it tells of each packet; when the first is smaller than there
 * was reason for, the write is left in the middle, from within the log. The session ends then, and
 * nothing of it is used again but to free it.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/secsh_wire.h"

/* What channel_write_common() of libssh 0.10 logs at SSH_LOG_PACKET for each packet. */
#define GUARD_TEXT "ssh_channel_write wrote "

struct guard {
	jmp_buf away;
	unsigned long least; /* bytes that the first packet must have */
};

static void guard_on_log(int priority, const char *function, const char *line, void *arg)
{
	const char *at = arg == NULL ? NULL : strstr(line, GUARD_TEXT);
	struct guard *g = arg;

	if (at == NULL)
		return;
	(void)ssh_set_log_level(SSH_LOG_NONE);
	(void)ssh_set_log_userdata(NULL);
	if (strtoul(at + sizeof GUARD_TEXT - 1, NULL, 10) < g->least)
		longjmp(g->away, 1);
}

/* Returns false if the peer's packets are too small. */
static bool guard_try(ssh_channel ch, const void *data, size_t len, int *n)
{
	struct guard g = {.least = MIN(MIN(len, (size_t)ssh_channel_window_size(ch)),
				       (size_t)SECSH_PACKET_LEAST)};

	if (setjmp(g.away) != 0)
		return false;
	(void)ssh_set_log_callback(guard_on_log);
	(void)ssh_set_log_userdata(&g);
	(void)ssh_set_log_level(SSH_LOG_PACKET);
	*n = ssh_channel_write(ch, data, (uint32_t)len);
	(void)ssh_set_log_level(SSH_LOG_NONE);
	(void)ssh_set_log_userdata(NULL);
	return true;
}

int secsh_guard_write(struct secsh_link *l, ssh_channel ch, const void *data, size_t len,
		      bool *proven)
{
	int n = -1;

	if (*proven)
		return ssh_channel_write(ch, data, (uint32_t)len);
	if (!guard_try(ch, data, len, &n)) {
		secsh_link_fail(l, ERR_PROTO, STR("the packets of a channel are too small"));
		return -1;
	}
	*proven = n > 0;
	return n;
}
